//! When tokens end (HUB-AUTH-006, -007, -015, -016).

use std::time::Duration;

use http::Method;
use serde_json::json;
use twinspec_harness::connection_string::Holder;
use twinspec_model::auth;
use twinspec_model::time::Time;

use super::token::{
    accepted, demand_post, demand_read, demand_status, good_and_late, login, refused,
    registry_path, telemetry_path, token,
};
use crate::bench::{Bench, Connection, Login, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-expired",
        title: "A CONNECT of a device with a token that ended an hour ago is refused",
        requirements: &["HUB-AUTH-006"],
        needs: &[],
        run: body!(expired),
    },
    Case {
        id: "auth-expired-module",
        title: "A CONNECT of a module with a token that ended an hour ago is refused",
        requirements: &["HUB-AUTH-006"],
        needs: &[],
        run: body!(expired_module),
    },
    Case {
        id: "auth-expired-service",
        title: "A back end's request with a token that ended an hour ago is answered 401",
        requirements: &["HUB-AUTH-006"],
        needs: &[],
        run: body!(expired_service),
    },
    Case {
        id: "auth-expired-https",
        title: "A device's HTTPS request with a token that ended an hour ago is answered 401",
        requirements: &["HUB-AUTH-006"],
        needs: &[],
        run: body!(expired_https),
    },
    Case {
        id: "auth-clock-difference",
        title: "A token that ended a minute ago is accepted, as clocks may differ",
        requirements: &["HUB-AUTH-007"],
        needs: &[],
        run: body!(clock_difference),
    },
    Case {
        id: "auth-ends-connection",
        title: "A device's connection ends after its token, and not before",
        requirements: &["HUB-AUTH-015"],
        needs: &[Need::Clock],
        run: body!(ends_connection),
    },
    Case {
        id: "auth-ends-connection-module",
        title: "A module's connection ends after its token, and not before",
        requirements: &["HUB-AUTH-015"],
        needs: &[Need::Clock],
        run: body!(ends_connection_module),
    },
    Case {
        id: "auth-token-ends-busy-connection",
        title: "The connection of a device that sends all the time ends with its token, too",
        requirements: &["HUB-AUTH-015"],
        needs: &[Need::Clock],
        run: body!(ends_busy_connection),
    },
    Case {
        id: "auth-grace",
        title: "A connection is closed no later than ten minutes after its token ended",
        requirements: &["HUB-AUTH-016"],
        needs: &[Need::Clock],
        run: body!(grace),
    },
];

const HOUR: Duration = Duration::from_secs(3600);

/// How long the tokens of connections live that are to end.
const LIFE: Duration = Duration::from_secs(60);

/// What a hub may let pass between the end of a token and that of the connection.
const GRACE: Duration = Duration::from_secs(600);

/// What clocks may differ by, and a little more.
const DIFFERENCE: Duration = Duration::from_secs(330);

/// Keeps a connection open through everything that the cases let pass.
const KEEP_ALIVE_SECONDS: u16 = 1177;

async fn expired(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_expired(bench, &device).await
}

async fn expired_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_expired(bench, &module).await
}

async fn demand_expired(bench: &mut Bench, who: &Registered) -> Checked {
    let [good, late] = good_and_late(bench, HOUR.as_secs()).await?;
    let good = login_until(bench, who, good);
    accepted(bench, "HUB-AUTH-001", "a token that ends in an hour", &good).await?;
    let late = login_until(bench, who, late);
    refused(bench, "HUB-AUTH-006", "a token that ended an hour ago", &late).await
}

/// A login with a token that ends at `end`, quiet for a long time if need be.
fn login_until(bench: &Bench, who: &Registered, end: Time) -> Login {
    let mut login = login(bench, &who.identity, token(bench, &who.identity, &who.key, end));
    login.connect.keep_alive = KEEP_ALIVE_SECONDS;
    login
}

async fn expired_service(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let path = registry_path(&device.identity);
    let Holder::Policy(policy) = &bench.target.credentials.holder else {
        return Err(Stop::Unsupported("the run has no policy".to_owned()));
    };
    let key = &bench.target.credentials.key;
    let ends = good_and_late(bench, HOUR.as_secs()).await?;
    let [good, late] =
        ends.map(|end| auth::sign(key, bench.host(), end, Some(policy)).unwrap_or_default());
    demand_read(bench, &good, &path).await?;
    let call = (Method::GET, path.as_str(), None);
    demand_status(bench, "HUB-AUTH-006", Some(&late), call, 401).await
}

async fn expired_https(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let (path, body) = (telemetry_path(&device.identity), json!({ "fan": 1 }));
    let ends = good_and_late(bench, HOUR.as_secs()).await?;
    let [good, late] = ends.map(|end| token(bench, &device.identity, &device.key, end));
    demand_post(bench, &good, &path, &body).await?;
    let call = (Method::POST, path.as_str(), Some(&body));
    demand_status(bench, "HUB-AUTH-006", Some(&late), call, 401).await
}

async fn clock_difference(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let [_, late] = good_and_late(bench, 60).await?;
    let login = login_until(bench, &device, late);
    let what = "a token that ended a minute ago";
    accepted(bench, "HUB-AUTH-007", what, &login).await.map(drop)
}

async fn ends_connection(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_end(bench, &device).await
}

async fn ends_connection_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_end(bench, &module).await
}

/// Demands the end of a connection some time after its token, all allowances added up.
async fn demand_end(bench: &mut Bench, who: &Registered) -> Checked {
    let (mut short, mut long) = short_and_long(bench, who).await?;
    bench.advance(LIFE / 2).await?;
    let is_open = short.is_open().await?;
    bench.demand(
        "HUB-AUTH-015",
        is_open,
        "an open connection before the token ends",
        "a closed one",
    );
    bench.advance(LIFE / 2 + GRACE).await?;
    bench.advance(DIFFERENCE).await?;
    demand_closed(bench, "HUB-AUTH-015", &mut short).await?;
    demand_lasting(bench, &mut long).await
}

/// A device that is never silent for long does not outlive its token either.
async fn ends_busy_connection(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let (mut short, mut long) = short_and_long(bench, &device).await?;
    let end = LIFE + GRACE + DIFFERENCE;
    let mut passed = Duration::ZERO;
    while passed <= end && short.is_open().await? {
        bench.advance(end / 4).await?;
        passed += end / 4;
    }
    let is_open = short.is_open().await?;
    let allowed = "a closed connection after the end of its token";
    bench.demand("HUB-AUTH-015", !is_open, allowed, "an open one");
    demand_lasting(bench, &mut long).await
}

async fn grace(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let (mut short, mut long) = short_and_long(bench, &device).await?;
    bench.advance(LIFE + GRACE + Duration::from_secs(30)).await?;
    demand_closed(bench, "HUB-AUTH-016", &mut short).await?;
    demand_lasting(bench, &mut long).await
}

async fn demand_closed(
    bench: &mut Bench,
    requirement: &'static str,
    connection: &mut Connection,
) -> Checked {
    connection.closed(requirement).await?;
    bench.demand(requirement, true, "the connection closed", "it closed");
    Ok(())
}

/// Demands an open connection: it was not the silence that ended the other one.
async fn demand_lasting(bench: &mut Bench, connection: &mut Connection) -> Checked {
    let is_open = connection.is_open().await?;
    let allowed = "an open connection while its own token lasts";
    bench.demand("HUB-AUTH-015", is_open, allowed, "a closed one");
    Ok(())
}

/// A connection of `who` with a short-lived token, and one of a new device with a long-lived one.
async fn short_and_long(bench: &mut Bench, who: &Registered) -> Checked<(Connection, Connection)> {
    let other = bench.device().await?;
    let now = bench.now().await?;
    let short = login_until(bench, who, now.after(LIFE));
    let long = login_until(bench, &other, now.after(2 * HOUR));
    let short = accepted(bench, "HUB-AUTH-001", "a token that ends in a minute", &short).await?;
    let long = accepted(bench, "HUB-AUTH-001", "a token that ends in two hours", &long).await?;
    Ok((short, long))
}
