//! The `$version` of a twin's sections (HUB-META-001, -002, -004).

use serde_json::{Value, json};

use super::sides::{Side, Writer};
use crate::bench::{Bench, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-version-grows-desired",
        title: "The desired version grows with each accepted PATCH and never falls",
        requirements: &["HUB-META-001"],
        needs: &[],
        run: |bench| Box::pin(grows(bench, Side::Desired)),
    },
    Case {
        id: "twin-version-grows-put",
        title: "The desired version grows with each accepted PUT and never falls",
        requirements: &["HUB-META-001"],
        needs: &[],
        run: |bench| Box::pin(grows(bench, Side::DesiredPut)),
    },
    Case {
        id: "twin-version-grows-reported",
        title: "The reported version grows with each accepted PATCH and never falls",
        requirements: &["HUB-META-001"],
        needs: &[],
        run: |bench| Box::pin(grows(bench, Side::Reported)),
    },
    Case {
        id: "twin-version-grows-module",
        title: "The desired version of a module's twin grows with each accepted PATCH",
        requirements: &["HUB-META-001"],
        needs: &[],
        run: |bench| Box::pin(grows(bench, Side::ModuleDesired)),
    },
    Case {
        id: "twin-version-step-desired",
        title: "A PATCH raises the desired version by one, whatever it changes",
        requirements: &["HUB-META-002"],
        needs: &[],
        run: |bench| Box::pin(step_of_one(bench, Side::Desired)),
    },
    Case {
        id: "twin-version-step-reported",
        title: "A PATCH raises the reported version by one, whatever it changes",
        requirements: &["HUB-META-002"],
        needs: &[],
        run: |bench| Box::pin(step_of_one(bench, Side::Reported)),
    },
    Case {
        id: "twin-version-tags-only",
        title: "A PATCH of tags leaves the desired version alone",
        requirements: &["HUB-META-004"],
        needs: &[],
        run: body!(tags_only),
    },
];

/// Writes that add, change, nest, remove and add again; each changes the section.
fn writes(side: Side) -> Vec<Value> {
    let mut writes = vec![
        json!({ "a": 1 }),
        json!({ "a": 2, "b": [1, 2] }),
        json!({ "o": { "x": 1, "y": { "z": true } } }),
        json!({ "o": { "x": 2 } }),
    ];
    if side != Side::DesiredPut {
        writes.push(json!({ "a": null, "o": null }));
    }
    writes.push(json!({ "a": 1 }));
    writes
}

async fn grows(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let fresh = bench.read_twin(&writer.who.identity).await?;
    let mut last = side.version(&fresh);
    for members in writes(side) {
        let version = side.version(&writer.write(bench, &members).await?);
        let grew = version.is_some() && version > last;
        let allowed = format!("$version above {} after {members}", words(&last));
        bench.demand("HUB-META-001", grew, allowed, words(&version));
        last = version;
    }
    let reply = writer.send(bench, &json!({ "bad key": 1 })).await?;
    let version = side.version(&bench.read_twin(&writer.who.identity).await?);
    let allowed =
        format!("$version at least {} after the write answered {}", words(&last), reply.status());
    bench.demand("HUB-META-001", version >= last, allowed, words(&version));
    Ok(())
}

async fn step_of_one(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let fresh = bench.read_twin(&writer.who.identity).await?;
    let Some(first) = side.version(&fresh) else {
        let seen = fresh.to_string();
        bench.demand("HUB-META-002", false, "an integer $version in the section", seen);
        return Ok(());
    };
    for (version, members) in (first + 1..).zip(writes(side)) {
        let seen = side.version(&writer.write(bench, &members).await?);
        bench.equal("HUB-META-002", "$version", Some(version), seen);
    }
    Ok(())
}

async fn tags_only(bench: &mut Bench) -> Checked {
    let mut writer = Writer::new(bench, Side::Desired).await?;
    let before = Side::Desired.version(&writer.write(bench, &json!({ "a": 1 })).await?);
    let who = writer.who.clone();
    for tags in [json!({ "place": "roof" }), json!({ "place": null, "row": { "n": 1 } })] {
        let twin = bench.patch_twin(&who.identity, &json!({ "tags": tags })).await?;
        bench.equal("HUB-META-004", "$version", before, Side::Desired.version(&twin));
    }
    let mut connection = bench.connect_and_listen(&who).await?;
    let twin = connection.twin().await?;
    let seen = twin.pointer("/desired/$version").and_then(Value::as_u64);
    bench.equal("HUB-META-004", "$version read by the device", before, seen);
    Ok(())
}
