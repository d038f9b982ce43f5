//! Which ids the registry takes (HUB-REG-013, -014).

use serde_json::json;
use twinspec_model::identity::Identity;

use super::calls::{any, create, demand_refused, put, read, text};
use crate::bench::{Bench, IfMatch, identity_path};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-id-punctuation",
        title: "Each punctuation character of the documented set may be in a device id",
        requirements: &["HUB-REG-013"],
        needs: &[],
        run: body!(punctuation),
    },
    Case {
        id: "registry-module-id-punctuation",
        title: "All characters of the documented set may be in one module id",
        requirements: &["HUB-REG-013"],
        needs: &[],
        run: body!(module_punctuation),
    },
    Case {
        id: "registry-id-longest",
        title: "Ids of 128 characters are accepted for a device and a module",
        requirements: &["HUB-REG-013"],
        needs: &[],
        run: body!(longest),
    },
    Case {
        id: "registry-id-character-refused",
        title: "Device ids with a character outside the documented set are refused",
        requirements: &["HUB-REG-014"],
        needs: &[],
        run: body!(character_refused),
    },
    Case {
        id: "registry-module-id-character-refused",
        title: "Module ids with a character outside the documented set are refused",
        requirements: &["HUB-REG-014"],
        needs: &[],
        run: body!(module_character_refused),
    },
    Case {
        id: "registry-id-too-long-refused",
        title: "A device id of 129 characters is refused",
        requirements: &["HUB-REG-014"],
        needs: &[],
        run: body!(too_long_refused),
    },
];

/// What ids may hold besides ASCII letters and digits; `:` and `;` are in one source only.
const PUNCTUATION: &str = "-.+%_#*?!(),=@$'";

/// The longest id.
const LENGTH_MAX: usize = 128;

/// An id of this case's own that begins as given out and ends with `end`.
fn new_id(bench: &mut Bench, end: &str) -> String {
    let id = format!("{}{end}", bench.new_name());
    bench.claim(&id);
    id
}

/// An id of this case's own with `length` characters.
fn long_id(bench: &mut Bench, length: usize) -> String {
    let start = bench.new_name();
    let id = format!("{start:x<length$}");
    bench.claim(&id);
    id
}

async fn punctuation(bench: &mut Bench) -> Checked {
    for character in PUNCTUATION.chars() {
        let identity = Identity::device(new_id(bench, &format!("{character}z")));
        demand_taken(bench, &identity).await?;
    }
    Ok(())
}

async fn module_punctuation(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    let module = format!("Az09{PUNCTUATION}z");
    demand_taken(bench, &Identity::module(&device, module)).await
}

async fn longest(bench: &mut Bench) -> Checked {
    let device = long_id(bench, LENGTH_MAX);
    demand_taken(bench, &Identity::device(&device)).await?;
    demand_taken(bench, &Identity::module(&device, "m".repeat(LENGTH_MAX))).await
}

/// Creates the identity and reads it under its own id.
async fn demand_taken(bench: &mut Bench, identity: &Identity) -> Checked {
    let entity = create(bench, "HUB-REG-013", identity, json!({})).await?;
    let found = read(bench, identity, any).await?;
    for seen in [&entity, &found] {
        let device = text(seen, "/deviceId");
        bench.equal("HUB-REG-013", "deviceId", identity.device.as_str(), device);
        if let Some(module) = &identity.module {
            bench.equal("HUB-REG-013", "moduleId", module.as_str(), text(seen, "/moduleId"));
        }
    }
    Ok(())
}

async fn character_refused(bench: &mut Bench) -> Checked {
    let good = Identity::device(new_id(bench, "-b"));
    create(bench, "HUB-REG-013", &good, json!({})).await?;
    for character in [" ", "^", "&", "|", "\u{fc}"] {
        let identity = Identity::device(new_id(bench, &format!("{character}b")));
        demand_id_refused(bench, &identity).await?;
    }
    Ok(())
}

async fn module_character_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    let good = Identity::module(&device, "a-b");
    create(bench, "HUB-REG-013", &good, json!({})).await?;
    for module in ["a b", "a^b", "a&b"] {
        demand_id_refused(bench, &Identity::module(&device, module)).await?;
    }
    Ok(())
}

async fn too_long_refused(bench: &mut Bench) -> Checked {
    let good = Identity::device(long_id(bench, LENGTH_MAX));
    create(bench, "HUB-REG-013", &good, json!({})).await?;
    let identity = Identity::device(long_id(bench, LENGTH_MAX + 1));
    demand_id_refused(bench, &identity).await
}

async fn demand_id_refused(bench: &mut Bench, identity: &Identity) -> Checked {
    let body = json!({ "deviceId": identity.device, "moduleId": identity.module });
    let answer = put(bench, identity, IfMatch::Absent, &body).await?;
    if demand_refused(bench, "HUB-REG-014", &answer, 400, "") {
        // What is asked for by a name that cannot exist is refused in one way or another.
        let path = identity_path(identity);
        let answer = bench.call(http::Method::GET, &path, IfMatch::Absent, None).await?;
        let refused = !answer.status.is_success();
        bench.demand("HUB-REG-014", refused, "no such identity", answer.to_string());
    }
    Ok(())
}
