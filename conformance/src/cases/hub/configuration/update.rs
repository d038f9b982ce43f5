//! Updates of documents (HUB-CFG-003, -010).

use serde_json::{Value, json};

use super::calls::{accepted, at, etag_of, id_of, idle, put, read, setting, update, with};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::demand_refused;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-updated-by-etag",
        title: "An update with the current etag changes the priority and yields a new etag",
        requirements: &["HUB-CFG-003"],
        needs: &[],
        run: body!(by_etag),
    },
    Case {
        id: "configuration-updated-by-star",
        title: "An update with If-Match * changes the priority whatever the etag is",
        requirements: &["HUB-CFG-003"],
        needs: &[],
        run: body!(by_star),
    },
    Case {
        id: "configuration-updated-by-old-etag",
        title: "An update with an etag that is no longer current is refused with 412",
        requirements: &["HUB-CFG-003"],
        needs: &[],
        run: body!(by_old_etag),
    },
    Case {
        id: "configuration-updated-members",
        title: "Labels, condition and metrics can be changed too",
        requirements: &["HUB-CFG-003"],
        needs: &[],
        run: body!(other_members),
    },
    Case {
        id: "configuration-content-immutable",
        title: "Another content is refused with 400 and changes nothing",
        requirements: &["HUB-CFG-010"],
        needs: &[],
        run: body!(content_immutable),
    },
    Case {
        id: "configuration-content-kind-immutable",
        title: "Content for modules in the place of content for devices is refused with 400",
        requirements: &["HUB-CFG-010"],
        needs: &[],
        run: body!(kind_immutable),
    },
    Case {
        id: "configuration-same-content",
        title: "The same content in another order is no change of the content",
        requirements: &["HUB-CFG-010"],
        needs: &[],
        run: body!(same_content),
    },
];

async fn by_etag(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let updated = update(bench, "HUB-CFG-003", &made, "priority", json!(99)).await?;
    let found = read(bench, "HUB-CFG-003", id_of(&made)).await?;
    for document in [&updated, &found] {
        bench.equal_json("HUB-CFG-003", "priority", &json!(99), at(document, "priority"));
        let (old, new) = (etag_of(&made), etag_of(document));
        let allowed = format!("another etag than {old}");
        bench.demand("HUB-CFG-003", old != new && !new.is_empty(), allowed, new);
    }
    Ok(())
}

async fn by_star(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let changed = with(&with(&made, "priority", json!(99)), "etag", json!("MA=="));
    let answer = put(bench, IfMatch::Any, &changed).await?;
    accepted("HUB-CFG-003", answer)?;
    let found = read(bench, "HUB-CFG-003", id_of(&made)).await?;
    bench.equal_json("HUB-CFG-003", "priority", &json!(99), at(&found, "priority"));
    Ok(())
}

async fn by_old_etag(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    update(bench, "HUB-CFG-003", &made, "priority", json!(99)).await?;
    let late = with(&made, "priority", json!(5));
    let answer = put(bench, IfMatch::Etag(etag_of(&made)), &late).await?;
    demand_refused(bench, "HUB-CFG-003", &answer, 412, "PreconditionFailed");
    let found = read(bench, "HUB-CFG-003", id_of(&made)).await?;
    bench.equal_json("HUB-CFG-003", "priority", &json!(99), at(&found, "priority"));
    Ok(())
}

async fn other_members(bench: &mut Bench) -> Checked {
    let mut current = idle(bench).await?;
    let queries = json!({ "mine": "SELECT deviceId FROM devices WHERE tags.none = 'none'" });
    let changes = [
        ("labels", json!({ "made": "later" })),
        ("targetCondition", json!("tags.mark = 'nobody'")),
        ("metrics", json!({ "queries": queries })),
    ];
    for (name, value) in changes.clone() {
        let updated = update(bench, "HUB-CFG-003", &current, name, value).await?;
        let (old, new) = (etag_of(&current), etag_of(&updated));
        let allowed = format!("another etag than {old} with other {name}");
        bench.demand("HUB-CFG-003", old != new && !new.is_empty(), allowed, new);
        current = updated;
    }
    let found = read(bench, "HUB-CFG-003", id_of(&current)).await?;
    for (name, value) in changes {
        let seen = if name == "metrics" {
            json!({ "queries": at(at(&found, "metrics"), "queries") })
        } else {
            at(&found, name).clone()
        };
        bench.equal_json("HUB-CFG-003", name, &value, &seen);
    }
    Ok(())
}

async fn content_immutable(bench: &mut Bench) -> Checked {
    let content = json!({ "deviceContent": setting("fan", json!(2)) });
    demand_immutable(bench, content).await
}

async fn kind_immutable(bench: &mut Bench) -> Checked {
    demand_immutable(bench, json!({ "moduleContent": setting("fan", json!(1)) })).await
}

/// Demands that `content` is refused for a configuration that exists.
async fn demand_immutable(bench: &mut Bench, content: Value) -> Checked {
    let made = idle(bench).await?;
    let current = update(bench, "HUB-CFG-003", &made, "priority", json!(11)).await?;
    // Without a condition of its own, no other part of the document can be at fault.
    let changed = with(&with(&current, "content", content), "targetCondition", json!(""));
    let answer = put(bench, IfMatch::Etag(etag_of(&current)), &changed).await?;
    let name = "CannotModifyImmutableConfigurationContent";
    demand_refused(bench, "HUB-CFG-010", &answer, 400, name);
    let found = read(bench, "HUB-CFG-010", id_of(&made)).await?;
    let seen = at(at(&found, "content"), "deviceContent");
    bench.equal_json("HUB-CFG-010", "deviceContent", &setting("fan", json!(1)), seen);
    Ok(())
}

async fn same_content(bench: &mut Bench) -> Checked {
    let made = idle(bench).await?;
    let content = json!({ "deviceContent": setting("fan", json!(1)) });
    let changed = with(&with(&made, "content", content), "priority", json!(12));
    let answer = put(bench, IfMatch::Etag(etag_of(&made)), &changed).await?;
    let stored = accepted("HUB-CFG-010", answer)?;
    bench.equal_json("HUB-CFG-010", "priority", &json!(12), at(&stored, "priority"));
    Ok(())
}
