//! Which write renews which time in the metadata (HUB-META-003, -007, -008, -010).

use serde_json::{Value, json};
use tokio::time::Instant;

use super::sides::{Side, Writer};
use crate::bench::{Bench, VISIBLE, shorten, words};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-repeat-desired",
        title: "A PATCH that repeats desired values raises the version and renews their times",
        requirements: &["HUB-META-003"],
        needs: &[],
        run: |bench| Box::pin(repeat(bench, Side::Desired)),
    },
    Case {
        id: "twin-repeat-reported",
        title: "A PATCH that repeats reported values raises the version and renews their times",
        requirements: &["HUB-META-003"],
        needs: &[],
        run: |bench| Box::pin(repeat(bench, Side::Reported)),
    },
    Case {
        id: "twin-leaf-stamps-ancestors-desired",
        title: "A changed desired leaf renews its own time and its ancestors', not its siblings'",
        requirements: &["HUB-META-007"],
        needs: &[],
        run: |bench| Box::pin(leaf_and_ancestors(bench, Side::Desired)),
    },
    Case {
        id: "twin-leaf-stamps-ancestors-reported",
        title: "A changed reported leaf renews its own time and its ancestors', not its siblings'",
        requirements: &["HUB-META-007"],
        needs: &[],
        run: |bench| Box::pin(leaf_and_ancestors(bench, Side::Reported)),
    },
    Case {
        id: "twin-removal-stamps-desired",
        title: "Removing a desired key renews the times of what encloses it",
        requirements: &["HUB-META-008"],
        needs: &[],
        run: |bench| Box::pin(removal(bench, Side::Desired)),
    },
    Case {
        id: "twin-removal-stamps-reported",
        title: "Removing a reported key renews the times of what encloses it",
        requirements: &["HUB-META-008"],
        needs: &[],
        run: |bench| Box::pin(removal(bench, Side::Reported)),
    },
    Case {
        id: "twin-put-stamps-everything",
        title: "A PUT renews the time of each property, also of those it does not change",
        requirements: &["HUB-META-010"],
        needs: &[],
        run: body!(put),
    },
];

fn start() -> Value {
    with_uncle(4)
}

fn with_uncle(uncle: u8) -> Value {
    json!({
        "outer": { "inner": { "leaf": 1, "sibling": 2 }, "aunt": { "leaf": 3 } },
        "uncle": uncle,
    })
}

/// Writes the start and returns its metadata, with the hub's clock already past it.
async fn started(bench: &mut Bench, writer: &mut Writer, side: Side) -> Checked<Value> {
    let twin = writer.write(bench, &start()).await?;
    let metadata = side.metadata(&twin);
    wait_for_clock(bench, &metadata).await?;
    Ok(metadata)
}

/// Waits until the hub stamps what is written with a later time than `metadata` has. Another twin
/// shows it: this one's times must not move meanwhile.
async fn wait_for_clock(bench: &mut Bench, metadata: &Value) -> Checked {
    let mut clock = Writer::new(bench, Side::Desired).await?;
    let deadline = Instant::now() + bench.budget(VISIBLE);
    // Times of the hub may have no more than whole seconds, and writes can be faster than that.
    loop {
        let twin = clock.write(bench, &json!({ "clock": 1 })).await?;
        if newer(&Side::Desired.metadata(&twin), metadata, "") || Instant::now() >= deadline {
            return Ok(());
        }
        bench.look_again().await;
    }
}

/// The time at `path` in a form that sorts: 0 to 7 fractional digits are all in use.
fn time(metadata: &Value, path: &str) -> Option<String> {
    let text = metadata.pointer(&format!("{path}/$lastUpdated"))?.as_str()?;
    let (seconds, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let is_digit = |c: &char| c.is_ascii_digit();
    let fraction: String = rest.trim_start_matches('.').chars().take_while(is_digit).collect();
    Some(format!("{seconds}.{fraction:0<7}"))
}

/// Whether the time at `path` is later in `after` than in `before`.
fn newer(after: &Value, before: &Value, path: &str) -> bool {
    time(before, path).is_some() && time(after, path) > time(before, path)
}

fn demand_newer(
    bench: &mut Bench,
    requirement: &'static str,
    path: &str,
    before: &Value,
    after: &Value,
) {
    let allowed = format!("$metadata{path}/$lastUpdated after {}", words(&time(before, path)));
    let seen = format!("{} in {}", words(&time(after, path)), shorten(&after.to_string()));
    bench.demand(requirement, newer(after, before, path), allowed, seen);
}

async fn repeat(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let before = started(bench, &mut writer, side).await?;
    let version = side.version(&bench.read_twin(&writer.who.identity).await?);
    let reply = writer.send(bench, &start()).await?;
    let allowed = "the repetition accepted";
    bench.demand("HUB-META-003", reply.is_accepted(), allowed, reply.to_string());
    let shows = |twin: &Value| side.version(twin) > version;
    let twin = bench.watch_twin(&writer.who.identity, shows).await?;
    let allowed = format!("$version above {}", words(&version));
    bench.demand("HUB-META-003", shows(&twin), allowed, words(&side.version(&twin)));
    let after = side.metadata(&twin);
    for path in ["", "/outer", "/outer/inner/leaf", "/outer/inner/sibling", "/uncle"] {
        demand_newer(bench, "HUB-META-003", path, &before, &after);
    }
    Ok(())
}

async fn leaf_and_ancestors(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let before = started(bench, &mut writer, side).await?;
    let patch = json!({ "outer": { "inner": { "leaf": 5 } } });
    let after = side.metadata(&writer.write(bench, &patch).await?);
    for path in ["", "/outer", "/outer/inner", "/outer/inner/leaf"] {
        demand_newer(bench, "HUB-META-007", path, &before, &after);
    }
    for path in ["/outer/inner/sibling", "/outer/aunt", "/outer/aunt/leaf", "/uncle"] {
        let what = format!("time at $metadata{path}");
        bench.equal("HUB-META-007", &what, time(&before, path), time(&after, path));
    }
    Ok(())
}

async fn removal(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let before = started(bench, &mut writer, side).await?;
    let patch = json!({ "outer": { "inner": { "leaf": null } } });
    let after = side.metadata(&writer.write(bench, &patch).await?);
    for path in ["", "/outer", "/outer/inner"] {
        demand_newer(bench, "HUB-META-008", path, &before, &after);
    }
    wait_for_clock(bench, &after).await?;
    let last = side.metadata(&writer.write(bench, &json!({ "uncle": null })).await?);
    demand_newer(bench, "HUB-META-008", "", &after, &last);
    Ok(())
}

async fn put(bench: &mut Bench) -> Checked {
    let side = Side::Desired;
    let mut writer = Writer::new(bench, side).await?;
    let before = started(bench, &mut writer, side).await?;
    let body = json!({ "properties": { "desired": with_uncle(5) } });
    let after = side.metadata(&bench.replace_twin(&writer.who.identity, &body).await?);
    let places = ["", "/outer", "/outer/inner", "/outer/inner/leaf", "/outer/inner/sibling"];
    for path in places.into_iter().chain(["/outer/aunt", "/outer/aunt/leaf", "/uncle"]) {
        demand_newer(bench, "HUB-META-010", path, &before, &after);
    }
    Ok(())
}
