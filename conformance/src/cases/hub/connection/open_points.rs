//! What the sources leave open about connections: any allowed outcome will do, unless the profile
//! pins one.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_model::wire::mqtt::{ConnAck, Qos, Will};

use super::login::{text, try_connect, with_rest};
use crate::bench::{Bench, IfMatch, Login, Registered, identity_path};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-open-api-version",
        title: "A CONNECT with an api-version of the far future is accepted, or refused",
        requirements: &["A-H01"],
        needs: &[],
        run: body!(api_version),
    },
    Case {
        id: "connection-open-protocol-level",
        title: "A CONNECT of another protocol level is answered 1, refused otherwise, or cut off",
        requirements: &["A-H02"],
        needs: &[],
        run: body!(protocol_level),
    },
    Case {
        id: "connection-open-no-keep-alive",
        title: "A silent connection with keep-alive 0 is cut by the idle cap, or lives on",
        requirements: &["A-H03"],
        needs: &[Need::Clock],
        run: body!(no_keep_alive),
    },
    Case {
        id: "connection-open-will-topic",
        title: "A will on a topic outside the catalogue is refused, accepted, or cut off",
        requirements: &["A-H04"],
        needs: &[],
        run: body!(will_topic),
    },
    Case {
        id: "connection-open-will-qos-2",
        title: "A will at QoS 2 is refused, accepted, or cut off",
        requirements: &["A-H05"],
        needs: &[],
        run: body!(will_qos_2),
    },
    Case {
        id: "connection-open-empty-client-id",
        title: "An empty client id is answered 5 or 2, or cut off",
        requirements: &["A-H15"],
        needs: &[],
        run: body!(empty_client_id),
    },
    Case {
        id: "connection-open-new-keys",
        title: "New keys end the connection of their device, or leave it",
        requirements: &["A-H47"],
        needs: &[],
        run: body!(new_keys),
    },
];

/// A device that can connect, as it has shown.
async fn device(bench: &mut Bench) -> Checked<Registered> {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    Ok(device)
}

/// `accepted`, `refused` or `closed`.
fn reaction(answer: Option<ConnAck>) -> &'static str {
    match answer.map(|answer| answer.code.number()) {
        None => "closed",
        Some(0) => "accepted",
        Some(_) => "refused",
    }
}

async fn api_version(bench: &mut Bench) -> Checked {
    let device = device(bench).await?;
    let login = with_rest(bench, &device, "/?api-version=2099-01-31");
    let (_, answer) = try_connect(bench, "future", &login).await?;
    // A hub that closes without a CONNACK has refused too.
    let tag = if reaction(answer) == "accepted" { "accepted" } else { "refused" };
    bench.decides("A-H01", tag, text(answer));
    Ok(())
}

async fn protocol_level(bench: &mut Bench) -> Checked {
    let device = device(bench).await?;
    let mut login = bench.login(&device);
    login.connect.level = 6;
    let (_, answer) = try_connect(bench, "level", &login).await?;
    let tag = match answer.map(|answer| answer.code.number()) {
        None => "closed",
        Some(0) => "otherwise",
        Some(1) => "refused-1",
        Some(_) => "refused-other",
    };
    bench.decides("A-H02", tag, text(answer));
    Ok(())
}

async fn no_keep_alive(bench: &mut Bench) -> Checked {
    /// Longer than the idle cap of 1767 s (HUB-CONN-022).
    const SILENCE: Duration = Duration::from_secs(2000);
    let device = device(bench).await?;
    let mut login = bench.login(&device);
    login.connect.keep_alive = 0;
    let (mut connection, answer) = bench.connect_with("silent", &login).await?;
    bench.equal("HUB-CONN-007", "CONNACK to keep-alive 0", 0, answer.code.number());
    bench.advance(SILENCE).await?;
    let is_open = connection.is_open().await?;
    let tag = if is_open { "unlimited" } else { "capped" };
    bench.decides("A-H03", tag, format!("{tag} after {SILENCE:?}"));
    Ok(())
}

async fn will(bench: &mut Bench, id: &'static str, topic: &str, qos: Qos) -> Checked {
    let device = device(bench).await?;
    let mut login: Login = bench.login(&device);
    login.connect.will = Some(Will {
        topic: topic.replace("{device}", &device.identity.device),
        payload: Bytes::from_static(b"lost"),
        qos,
        retain: false,
    });
    let (_, answer) = try_connect(bench, "will", &login).await?;
    bench.decides(id, reaction(answer), text(answer));
    Ok(())
}

async fn will_topic(bench: &mut Bench) -> Checked {
    will(bench, "A-H04", "suite/elsewhere", Qos::AtMostOnce).await
}

async fn will_qos_2(bench: &mut Bench) -> Checked {
    will(bench, "A-H05", "devices/{device}/messages/events/", Qos::ExactlyOnce).await
}

async fn empty_client_id(bench: &mut Bench) -> Checked {
    let device = device(bench).await?;
    let mut login = bench.login(&device);
    login.connect.client_id = String::new();
    let (_, answer) = try_connect(bench, "nameless", &login).await?;
    let tag = match answer.map(|answer| answer.code.number()) {
        None => "closed",
        Some(2) => "refused-2",
        Some(5) => "refused-5",
        Some(_) => "otherwise",
    };
    bench.decides("A-H15", tag, text(answer));
    Ok(())
}

async fn new_keys(bench: &mut Bench) -> Checked {
    /// 32 bytes each, in base64.
    const PRIMARY: &str = "bmV3LXByaW1hcnkta2V5LW9mLTMyLWJ5dGVzLWluLWE=";
    const SECONDARY: &str = "bmV3LXNlY29uZC1rZXktb2YtMzItYnl0ZXMtaW4tYS0=";
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let path = identity_path(&device.identity);
    let mut identity: Value = bench.call(Method::GET, &path, IfMatch::Absent, None).await?.json();
    if let Some(keys) = identity.pointer_mut("/authentication/symmetricKey") {
        *keys = json!({ "primaryKey": PRIMARY, "secondaryKey": SECONDARY });
    }
    let answer = bench.call(Method::PUT, &path, IfMatch::Any, Some(&identity)).await?;
    bench.equal("HUB-REG-008", "status of the update", 200, answer.status.as_u16());
    let is_open = connection.is_open().await?;
    bench.decides("A-H47", if is_open { "kept" } else { "dropped" }, answer.to_string());
    Ok(())
}
