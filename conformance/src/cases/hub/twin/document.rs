//! What a back end reads of a twin besides its content (HUB-META-011 to -015).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::sides::{Side, Writer};
use crate::bench::{Bench, Connection, Registered, VISIBLE, shorten, words};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-etag-desired",
        title: "The etag changes with each change of desired properties",
        requirements: &["HUB-META-011"],
        needs: &[],
        run: |bench| Box::pin(etag(bench, Side::Desired)),
    },
    Case {
        id: "twin-etag-put",
        title: "The etag changes with each PUT that changes desired properties",
        requirements: &["HUB-META-011"],
        needs: &[],
        run: |bench| Box::pin(etag(bench, Side::DesiredPut)),
    },
    Case {
        id: "twin-etag-tags",
        title: "The etag changes with each change of tags",
        requirements: &["HUB-META-011"],
        needs: &[],
        run: |bench| Box::pin(etag(bench, Side::Tags)),
    },
    Case {
        id: "twin-etag-module",
        title: "The etag of a module's twin changes with its desired properties",
        requirements: &["HUB-META-011"],
        needs: &[],
        run: |bench| Box::pin(etag(bench, Side::ModuleDesired)),
    },
    Case {
        id: "twin-new-times",
        title: "The times of a new twin are 0001-01-01T00:00:00Z until something happens",
        requirements: &["HUB-META-012"],
        needs: &[],
        run: body!(new_times),
    },
    Case {
        id: "twin-document-members",
        title: "A device twin has the documented members with their types",
        requirements: &["HUB-META-013"],
        needs: &[],
        run: body!(members),
    },
    Case {
        id: "twin-document-registry-only",
        title: "A twin does not show generationId and connectionStateUpdatedTime",
        requirements: &["HUB-META-014"],
        needs: &[],
        run: |bench| Box::pin(registry_only(bench, Side::Desired)),
    },
    Case {
        id: "twin-document-registry-only-module",
        title: "A module's twin does not show generationId and connectionStateUpdatedTime",
        requirements: &["HUB-META-014"],
        needs: &[],
        run: |bench| Box::pin(registry_only(bench, Side::ModuleDesired)),
    },
    Case {
        id: "twin-connection-state-disconnect",
        title: "The twin shows Connected after CONNECT and Disconnected after DISCONNECT",
        requirements: &["HUB-META-015"],
        needs: &[],
        run: body!(disconnects),
    },
    Case {
        id: "twin-connection-state-cut",
        title: "The twin shows Connected after CONNECT and Disconnected after a broken connection",
        requirements: &["HUB-META-015"],
        needs: &[],
        run: body!(breaks_off),
    },
    Case {
        id: "twin-connection-state-module",
        title: "A module's twin shows Connected and Disconnected as the module's connection does",
        requirements: &["HUB-META-015"],
        needs: &[],
        run: body!(module_connects),
    },
    Case {
        id: "twin-connection-state-take-over",
        title: "The twin shows Connected after a newer connection has replaced the one before",
        requirements: &["HUB-META-015"],
        needs: &[],
        run: body!(takes_over),
    },
];

/// A member that holds a text; empty when it does not.
fn text<'a>(twin: &'a Value, member: &str) -> &'a str {
    twin.get(member).and_then(Value::as_str).unwrap_or_default()
}

async fn etag(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let identity = writer.who.identity.clone();
    let read = |twin: &Value| text(twin, "etag").to_owned();
    let mut before = vec![read(&bench.read_twin(&identity).await?)];
    let removal = if side == Side::DesiredPut { json!({ "b": 1 }) } else { json!({ "a": null }) };
    let changes = [json!({ "a": 1 }), json!({ "a": 2 }), json!({ "b": { "c": "d" } }), removal];
    for members in changes {
        let etag = read(&writer.write(bench, &members).await?);
        let new = !etag.is_empty() && !before.contains(&etag);
        let allowed = format!("an etag other than {} after {members}", words(&before));
        bench.demand("HUB-META-011", new, allowed, words(&etag));
        before.push(etag);
    }
    Ok(())
}

async fn new_times(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let twin = bench.read_twin(&device.identity).await?;
    let places = [
        "/statusUpdateTime",
        "/lastActivityTime",
        "/properties/desired/$metadata/$lastUpdated",
        "/properties/reported/$metadata/$lastUpdated",
    ];
    for place in places {
        let time = twin.pointer(place).and_then(Value::as_str);
        let allowed = Some("0001-01-01T00:00:00Z");
        bench.equal("HUB-META-012", &format!("time at {place}"), allowed, time);
    }
    Ok(())
}

async fn members(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let id = device.identity.device.clone();
    let twin = bench.read_twin(&device.identity).await?;
    // Samples in the documentation write some of these words in other cases than the service.
    let one_of = |member: &str, words: &[&str]| {
        words.iter().any(|word| word.eq_ignore_ascii_case(text(&twin, member)))
    };
    let authentication = ["sas", "selfSigned", "certificateAuthority", "none"];
    let is_object = |pointer| twin.pointer(pointer).is_some_and(Value::is_object);
    let checks = [
        ("deviceId, the device's", text(&twin, "deviceId") == id),
        ("etag, a text that is not empty", !text(&twin, "etag").is_empty()),
        ("status, enabled or disabled", one_of("status", &["enabled", "disabled"])),
        (
            "connectionState, Connected or Disconnected",
            one_of("connectionState", &["Connected", "Disconnected"]),
        ),
        ("authenticationType, a known one", one_of("authenticationType", &authentication)),
        ("version, an integer", twin.get("version").is_some_and(Value::is_u64)),
        ("properties.desired, an object", is_object("/properties/desired")),
        ("properties.reported, an object", is_object("/properties/reported")),
    ];
    let seen = shorten(&twin.to_string());
    for (allowed, holds) in checks {
        bench.demand("HUB-META-013", holds, allowed, seen.as_str());
    }
    Ok(())
}

async fn registry_only(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let fresh = bench.read_twin(&writer.who.identity).await?;
    let changed = writer.write(bench, &json!({ "a": 1 })).await?;
    let mut connection = bench.connect_and_listen(&writer.who).await?;
    connection.twin().await?;
    let connected = bench.read_twin(&writer.who.identity).await?;
    for twin in [fresh, changed, connected] {
        for member in ["connectionStateUpdatedTime", "generationId"] {
            let absent = twin.get(member).is_none();
            let seen = shorten(&twin.to_string());
            bench.demand("HUB-META-014", absent, format!("no {member}"), seen);
        }
    }
    Ok(())
}

/// How long a state is waited for: two of these fit into a case. With a patience of six this is
/// the documented time.
const STATE: Duration = Duration::from_secs(50);
/// Within which time the state must be right.
const STATE_LATEST: Duration = Duration::from_secs(300);

async fn disconnects(bench: &mut Bench) -> Checked {
    let (device, connection) = connected(bench).await?;
    connection.disconnect().await?;
    shows_state(bench, &device, "Disconnected").await
}

async fn breaks_off(bench: &mut Bench) -> Checked {
    let (device, connection) = connected(bench).await?;
    connection.cut().await;
    shows_state(bench, &device, "Disconnected").await
}

async fn takes_over(bench: &mut Bench) -> Checked {
    let (device, mut older) = connected(bench).await?;
    let newer = bench.connect(&device).await?;
    older.closed("HUB-CONN-019").await?;
    shows_state(bench, &device, "Connected").await?;
    newer.disconnect().await?;
    shows_state(bench, &device, "Disconnected").await
}

async fn module_connects(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let connection = bench.connect(&module).await?;
    shows_state(bench, &module, "Connected").await?;
    connection.disconnect().await?;
    shows_state(bench, &module, "Disconnected").await
}

async fn connected(bench: &mut Bench) -> Checked<(Registered, Connection)> {
    let device = bench.device().await?;
    let connection = bench.connect(&device).await?;
    shows_state(bench, &device, "Connected").await?;
    Ok((device, connection))
}

async fn shows_state(bench: &mut Bench, device: &Registered, state: &str) -> Checked {
    let shows = |twin: &Value| text(twin, "connectionState").eq_ignore_ascii_case(state);
    let deadline = Instant::now() + bench.budget(STATE);
    loop {
        let twin = bench.watch_twin(&device.identity, shows).await?;
        // The last look may end a little before the deadline, never a whole look after it.
        let is_over = Instant::now() + bench.budget(VISIBLE / 2) > deadline;
        if !shows(&twin) && !is_over {
            continue;
        }
        let waited = bench.budget(STATE);
        let seen = format!("connectionState {} after {waited:?}", text(&twin, "connectionState"));
        if !shows(&twin) && !bench.is_embedded() && waited < STATE_LATEST {
            let why = format!("{seen}; {STATE_LATEST:?} are allowed, --patience 6 waits for them");
            return Err(Stop::Inconclusive(why));
        }
        bench.demand("HUB-META-015", shows(&twin), format!("connectionState {state}"), seen);
        return Ok(());
    }
}
