//! One connection for each identity (HUB-CONN-019, -020).

use super::login::demand_accepted;
use super::transport::demand_websocket;
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-take-over",
        title: "A new connection of a device ends the existing one and works",
        requirements: &["HUB-CONN-019"],
        needs: &[],
        run: body!(take_over),
    },
    Case {
        id: "connection-take-over-module",
        title: "A new connection of a module ends the existing one and works",
        requirements: &["HUB-CONN-019"],
        needs: &[],
        run: body!(take_over_module),
    },
    Case {
        id: "connection-take-over-chain",
        title: "Of three connections made in turns the last one stays",
        requirements: &["HUB-CONN-019"],
        needs: &[],
        run: body!(take_over_chain),
    },
    Case {
        id: "connection-take-over-websocket",
        title: "A connection over WebSocket ends the existing one over TCP and works",
        requirements: &["HUB-CONN-019"],
        needs: &[],
        run: body!(take_over_websocket),
    },
    Case {
        id: "connection-device-and-module",
        title: "A device and its module are connected at the same time",
        requirements: &["HUB-CONN-020"],
        needs: &[],
        run: body!(device_and_module),
    },
    Case {
        id: "connection-two-modules",
        title: "Two modules of a device are connected at the same time",
        requirements: &["HUB-CONN-020"],
        needs: &[],
        run: body!(two_modules),
    },
];

async fn take_over(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_take_overs(bench, &device, 1).await
}

async fn take_over_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_take_overs(bench, &module, 1).await
}

async fn take_over_chain(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_take_overs(bench, &device, 2).await
}

/// Demands that each of so many further connections of `who` ends the one before and works.
async fn demand_take_overs(bench: &mut Bench, who: &Registered, count: usize) -> Checked {
    let mut connection = bench.connect(who).await?;
    for _ in 0..count {
        let login = bench.login(who);
        let newer = demand_accepted(bench, "HUB-CONN-019", &login).await?;
        let Some(newer) = newer else { return Ok(()) };
        connection.closed("HUB-CONN-019").await?;
        connection = newer;
    }
    demand_open(bench, "HUB-CONN-019", &mut connection).await
}

async fn take_over_websocket(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut older = bench.connect(&device).await?;
    let newer = demand_websocket(bench, "HUB-CONN-019", &device).await?;
    let Some(mut newer) = newer else { return Ok(()) };
    older.closed("HUB-CONN-019").await?;
    demand_open(bench, "HUB-CONN-019", &mut newer).await
}

async fn device_and_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    demand_both(bench, &device, &module).await?;
    demand_both(bench, &module, &device).await
}

async fn two_modules(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let vision = bench.module(&device, "vision").await?;
    let hearing = bench.module(&device, "hearing").await?;
    demand_both(bench, &vision, &hearing).await
}

/// Demands that `second` connects beside `first` and both stay.
async fn demand_both(bench: &mut Bench, first: &Registered, second: &Registered) -> Checked {
    let mut earlier = bench.connect(first).await?;
    let login = bench.login(second);
    let later = demand_accepted(bench, "HUB-CONN-020", &login).await?;
    let Some(mut later) = later else { return Ok(()) };
    demand_open(bench, "HUB-CONN-020", &mut earlier).await?;
    demand_open(bench, "HUB-CONN-020", &mut later).await?;
    earlier.disconnect().await?;
    later.disconnect().await
}

async fn demand_open(
    bench: &mut Bench,
    requirement: &'static str,
    connection: &mut Connection,
) -> Checked {
    let open = connection.is_open().await?;
    bench.demand(requirement, open, "a connection that answers pings", "a closed connection");
    Ok(())
}
