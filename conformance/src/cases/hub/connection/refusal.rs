//! How a CONNECT is refused (HUB-CONN-015 to -017).

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use twinspec_harness::clock::Clock;
use twinspec_model::auth;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::ConnAck;

use super::login::{text, try_connect};
use crate::bench::{Bench, Connection, IfMatch, Login, Registered, words};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-refused-signature",
        title: "A CONNECT whose token has a wrong signature is answered 5",
        requirements: &["HUB-CONN-015"],
        needs: &[],
        run: body!(refused_signature),
    },
    Case {
        id: "connection-refused-expired",
        title: "A CONNECT whose token has expired is answered 5",
        requirements: &["HUB-CONN-015"],
        needs: &[],
        run: body!(refused_expired),
    },
    Case {
        id: "connection-refused-unknown",
        title: "A CONNECT of a device that is not registered is answered 5",
        requirements: &["HUB-CONN-015"],
        needs: &[],
        run: body!(refused_unknown),
    },
    Case {
        id: "connection-refused-disabled",
        title: "A CONNECT of a disabled device is answered 5",
        requirements: &["HUB-CONN-015"],
        needs: &[],
        run: body!(refused_disabled),
    },
    Case {
        id: "connection-refused-no-token",
        title: "A CONNECT without a password, or with one that is no token, is answered 5",
        requirements: &["HUB-CONN-015"],
        needs: &[],
        run: body!(refused_no_token),
    },
    Case {
        id: "connection-refused-closed",
        title: "The connection of a device with a wrong signature is closed after the CONNACK",
        requirements: &["HUB-CONN-016"],
        needs: &[],
        run: body!(refused_closed),
    },
    Case {
        id: "connection-refused-unknown-closed",
        title: "The connection of an unregistered device is closed after the CONNACK",
        requirements: &["HUB-CONN-016"],
        needs: &[],
        run: body!(refused_unknown_closed),
    },
    Case {
        id: "connection-refused-no-session",
        title: "A refused CONNECT carries session-present 0, whatever session is kept",
        requirements: &["HUB-CONN-017"],
        needs: &[],
        run: body!(refused_no_session),
    },
];

/// A key that no identity has: 32 bytes in base64.
const WRONG_KEY: &str = "c3VpdGUtd3Jvbmcta2V5LXN1aXRlLXdyb25nLWtleSE=";

/// Two hours: far beyond every grace and clock skew.
const LONG_AGO_SECONDS: u64 = 7200;

async fn refused_signature(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let login = wrong_signature(bench, &device);
    demand_not_authorized(bench, &login).await
}

async fn refused_expired(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let now = Clock::default().now().unix_seconds();
    let expiry = Time::from_unix_seconds(now.saturating_sub(LONG_AGO_SECONDS));
    let login = signed(bench, &device, &device.key, expiry);
    demand_not_authorized(bench, &login).await
}

async fn refused_unknown(bench: &mut Bench) -> Checked {
    let login = unknown_device(bench);
    demand_not_authorized(bench, &login).await
}

async fn refused_disabled(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let path = format!("/devices/{}", device.identity.device);
    let mut identity = bench.call(Method::GET, &path, IfMatch::Absent, None).await?.json();
    if let Some(members) = identity.as_object_mut() {
        members.insert("status".to_owned(), Value::from("disabled"));
    }
    let answer = bench.call(Method::PUT, &path, IfMatch::Any, Some(&identity)).await?;
    if answer.json().get("status") != Some(&Value::from("disabled")) {
        return Err(Stop::Broken {
            requirement: "HUB-REG-015",
            allowed: "an identity that is disabled".to_owned(),
            seen: answer.to_string(),
        });
    }
    let login = bench.login(&device);
    demand_not_authorized(bench, &login).await
}

async fn refused_no_token(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    for password in [None, Some(Bytes::from_static(b"suite, please"))] {
        let mut login = bench.login(&device);
        login.connect.password = password;
        demand_not_authorized(bench, &login).await?;
    }
    Ok(())
}

async fn demand_not_authorized(bench: &mut Bench, login: &Login) -> Checked {
    let (_, answer) = try_connect(bench, "refused", login).await?;
    let code = answer.map(|answer| answer.code.number());
    bench.demand("HUB-CONN-015", code == Some(5), "CONNACK 5", text(answer));
    Ok(())
}

async fn refused_closed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let login = wrong_signature(bench, &device);
    demand_closed(bench, &login).await
}

async fn refused_unknown_closed(bench: &mut Bench) -> Checked {
    let login = unknown_device(bench);
    demand_closed(bench, &login).await
}

async fn demand_closed(bench: &mut Bench, login: &Login) -> Checked {
    let (mut connection, answer) = refused(bench, login).await?;
    let after = connection.closed("HUB-CONN-016").await?;
    let seen: Vec<&str> = after.iter().map(|packet| packet.name()).collect();
    let text = format!("{} after {}", words(&seen), text(answer));
    bench.demand("HUB-CONN-016", seen.is_empty(), "no packet before the end", text);
    Ok(())
}

async fn refused_no_session(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    // A session that is kept: its presence must not leak to whoever is refused.
    bench.connect_and_listen(&device).await?.disconnect().await?;
    let login = wrong_signature(bench, &device);
    let (_, answer) = refused(bench, &login).await?;
    // A hub that closes without a CONNACK has said nothing about a session.
    let present = answer.is_some_and(|answer| answer.session_present);
    bench.equal("HUB-CONN-017", "session present", false, present);
    Ok(())
}

/// A CONNECT that the hub refuses, as HUB-CONN-015 lets it.
async fn refused(bench: &mut Bench, login: &Login) -> Checked<(Connection, Option<ConnAck>)> {
    let (connection, answer) = try_connect(bench, "refused", login).await?;
    if answer.is_some_and(|answer| answer.code.number() == 0) {
        return Err(Stop::Broken {
            requirement: "HUB-CONN-015",
            allowed: "a CONNECT that is refused".to_owned(),
            seen: text(answer),
        });
    }
    Ok((connection, answer))
}

fn wrong_signature(bench: &Bench, device: &Registered) -> Login {
    signed(bench, device, WRONG_KEY, bench.in_an_hour())
}

/// A well-formed login of a device that was never registered.
fn unknown_device(bench: &Bench) -> Login {
    let identity = Identity::device(bench.target.new_name());
    bench.login(&Registered { identity, key: WRONG_KEY.to_owned() })
}

fn signed(bench: &Bench, device: &Registered, key: &str, expiry: Time) -> Login {
    let mut login = bench.login(device);
    let resource = format!("{}/{}", bench.host(), device.identity.resource_path());
    let token = auth::sign(key, &resource, expiry, None).unwrap_or_default();
    login.connect.password = Some(Bytes::from(token));
    login
}
