//! CONNECTs of any kind, and what a hub does to them.

use tokio::time::Instant;
use twinspec_harness::device::Seen;
use twinspec_model::wire::mqtt::{ConnAck, ConnectCode, Packet};

use crate::bench::{ANSWER, Bench, Connection, Login, Registered};
use crate::verdict::{Checked, Stop};

/// The CONNECT of `who` with another user name: host and client id, and then `rest`.
pub(super) fn with_rest(bench: &Bench, who: &Registered, rest: &str) -> Login {
    let mut login = bench.login(who);
    let host = bench.host();
    login.connect.user_name = Some(format!("{host}/{}{rest}", who.identity));
    login
}

/// Sends a CONNECT on a new transport: the CONNACK, or `None` when the hub closes without one.
pub(super) async fn try_connect(
    bench: &mut Bench,
    name: &str,
    login: &Login,
) -> Checked<(Connection, Option<ConnAck>)> {
    let mut connection = bench.open(name).await?;
    connection.send(&Packet::Connect(Box::new(login.connect.clone()))).await?;
    let deadline = Instant::now() + bench.budget(ANSWER);
    match connection.raw().next(deadline).await {
        Some(Seen::Packet(Packet::ConnAck(answer))) => Ok((connection, Some(answer))),
        Some(Seen::Closed) => Ok((connection, None)),
        Some(other) => Err(Stop::Inconclusive(format!("{other} in place of a CONNACK"))),
        None => Err(Stop::Inconclusive("neither a CONNACK nor a closed connection".to_owned())),
    }
}

/// Demands that a CONNECT is accepted; the connection, if so.
pub(super) async fn demand_accepted(
    bench: &mut Bench,
    requirement: &'static str,
    login: &Login,
) -> Checked<Option<Connection>> {
    let (connection, answer) = try_connect(bench, "accepted", login).await?;
    let accepted = answer.is_some_and(|answer| answer.code == ConnectCode::Accepted);
    let seen = format!("{} for {}", text(answer), described(login));
    bench.demand(requirement, accepted, "CONNACK 0", seen);
    Ok(accepted.then_some(connection))
}

/// Demands that a CONNECT is refused, by a CONNACK or by closing.
pub(super) async fn demand_refused(
    bench: &mut Bench,
    requirement: &'static str,
    login: &Login,
) -> Checked {
    let (_, answer) = try_connect(bench, "refused", login).await?;
    let refused = answer.is_none_or(|answer| answer.code != ConnectCode::Accepted);
    let seen = format!("{} for {}", text(answer), described(login));
    bench.demand(requirement, refused, "a CONNACK that refuses, or a closed connection", seen);
    Ok(())
}

/// What the hub did to a CONNECT, as a report says it.
pub(super) fn text(answer: Option<ConnAck>) -> String {
    match answer {
        None => "a connection closed without a CONNACK".to_owned(),
        Some(answer) => format!("CONNACK {}", answer.code.number()),
    }
}

fn described(login: &Login) -> String {
    let user_name = login.connect.user_name.as_deref().unwrap_or_default();
    format!("client id {:?} and user name {user_name:?}", login.connect.client_id)
}
