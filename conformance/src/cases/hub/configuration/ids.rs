//! Which ids a configuration may have (HUB-CFG-005).

use serde_json::json;

use super::calls::{create, document, id_of, put, read, setting};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::demand_refused;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-id-capital-letters",
        title: "An id with a capital letter is refused",
        requirements: &["HUB-CFG-005"],
        needs: &[],
        run: body!(capital_letters),
    },
    Case {
        id: "configuration-id-listed-characters",
        title: "An id with a space or one of the listed characters is refused",
        requirements: &["HUB-CFG-005"],
        needs: &[],
        run: body!(listed_characters),
    },
    Case {
        id: "configuration-id-length",
        title: "An id of 128 characters is taken, one of 129 is refused",
        requirements: &["HUB-CFG-005"],
        needs: &[],
        run: body!(length),
    },
    Case {
        id: "configuration-id-punctuation",
        title: "An id may have the punctuation that is documented as allowed",
        requirements: &["HUB-CFG-005"],
        needs: &[],
        run: body!(punctuation),
    },
];

/// Demands that the id is taken, or refused.
async fn demand(bench: &mut Bench, id: &str, taken: bool) -> Checked {
    bench.claim_configuration(id);
    let document = document(id, "", 1, &setting("fan", json!(1)));
    if taken {
        create(bench, "HUB-CFG-005", &document).await?;
        let found = read(bench, "HUB-CFG-005", id).await?;
        bench.equal("HUB-CFG-005", "id", id, id_of(&found));
    } else {
        let answer = put(bench, IfMatch::Absent, &document).await?;
        demand_refused(bench, "HUB-CFG-005", &answer, 400, "");
    }
    Ok(())
}

async fn capital_letters(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    demand(bench, &format!("{id}-Upper"), false).await?;
    demand(bench, &format!("{id}-upper"), true).await
}

async fn listed_characters(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    demand(bench, &format!("{id}-x"), true).await?;
    for character in "&^[]{}\\|\"<>/ ".chars() {
        demand(bench, &format!("{id}{character}x"), false).await?;
    }
    Ok(())
}

async fn length(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    demand(bench, &format!("{id:a<128}"), true).await?;
    demand(bench, &format!("{id:a<129}"), false).await
}

async fn punctuation(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    demand(bench, &format!("{id}-+%_*!'"), true).await
}
