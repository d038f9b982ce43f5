//! Sessions that are resumed (HUB-SESS-010, -017).

use serde_json::json;
use twinspec_model::wire::mqtt::Packet;

use super::grant::set_desired;
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-present",
        title: "A device that resumes its session is told that there is one",
        requirements: &["HUB-SESS-010"],
        needs: &[],
        run: body!(present),
    },
    Case {
        id: "session-present-after-cut",
        title: "A device that resumes its session after a cut is told that there is one",
        requirements: &["HUB-SESS-010"],
        needs: &[],
        run: body!(present_after_cut),
    },
    Case {
        id: "session-present-module",
        title: "A module that resumes its session is told that there is one",
        requirements: &["HUB-SESS-010"],
        needs: &[],
        run: body!(present_module),
    },
    Case {
        id: "session-answers-resumed",
        title: "Twin requests are answered after a goodbye and a reconnect without a SUBSCRIBE",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(answers_resumed),
    },
    Case {
        id: "session-desired-resumed",
        title: "Changes are notified after a goodbye and a reconnect without a SUBSCRIBE",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(desired_resumed),
    },
    Case {
        id: "session-resumed-after-cut",
        title: "Twin subscriptions survive a cut connection",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(resumed_after_cut),
    },
    Case {
        id: "session-resumed-by-take-over",
        title: "Twin subscriptions survive a take-over by a new connection",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(resumed_by_take_over),
    },
    Case {
        id: "session-resumed-module",
        title: "Twin subscriptions of a module survive a goodbye and a reconnect",
        requirements: &["HUB-SESS-017"],
        needs: &[],
        run: body!(resumed_module),
    },
];

async fn present(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect_and_listen(&device).await?.disconnect().await?;
    demand_present(bench, &device).await
}

async fn present_after_cut(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect_and_listen(&device).await?.cut().await;
    demand_present(bench, &device).await
}

async fn present_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    bench.connect_and_listen(&module).await?.disconnect().await?;
    demand_present(bench, &module).await
}

async fn demand_present(bench: &mut Bench, who: &Registered) -> Checked {
    let login = bench.login(who);
    let (_, answer) = bench.connect_with("again", &login).await?;
    bench.equal("HUB-SESS-010", "CONNACK", 0, answer.code.number());
    bench.equal("HUB-SESS-010", "session present", true, answer.session_present);
    Ok(())
}

async fn answers_resumed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect_and_listen(&device).await?.disconnect().await?;
    let mut connection = bench.connect(&device).await?;
    demand_answered(bench, &mut connection).await
}

async fn desired_resumed(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect_and_listen(&device).await?.disconnect().await?;
    let mut connection = bench.connect(&device).await?;
    demand_notified(bench, &device, &mut connection).await
}

async fn resumed_after_cut(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect_and_listen(&device).await?.cut().await;
    let mut connection = bench.connect(&device).await?;
    demand_answered(bench, &mut connection).await?;
    demand_notified(bench, &device, &mut connection).await
}

async fn resumed_by_take_over(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut older = bench.connect_and_listen(&device).await?;
    older.twin().await?;
    let mut connection = bench.connect(&device).await?;
    demand_answered(bench, &mut connection).await?;
    demand_notified(bench, &device, &mut connection).await
}

async fn resumed_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    bench.connect_and_listen(&module).await?.disconnect().await?;
    let mut connection = bench.connect(&module).await?;
    demand_answered(bench, &mut connection).await?;
    demand_notified(bench, &module, &mut connection).await
}

async fn demand_answered(bench: &mut Bench, connection: &mut Connection) -> Checked {
    let topic = "$iothub/twin/GET/?$rid=again";
    let answer = connection.ask("HUB-SESS-017", topic, "again", " ").await?;
    bench.equal("HUB-SESS-017", "status", 200, answer.status);
    Ok(())
}

async fn demand_notified(
    bench: &mut Bench,
    who: &Registered,
    connection: &mut Connection,
) -> Checked {
    let version = set_desired(bench, who, json!({ "fan": 2 })).await?;
    let allowed = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
    let notified = connection.expect("HUB-SESS-017", &allowed, |packet| match packet {
        Packet::Publish(publish) => Some(publish.topic.clone()),
        _ => None,
    });
    let notified = notified.await?;
    bench.equal("HUB-SESS-017", "topic", allowed, notified);
    Ok(())
}
