//! How twin requests are matched with answers, bounded and cut off (HUB-TWIN-007, -020 to -022).

use serde_json::json;
use twinspec_model::wire::mqtt::Packet;

use crate::bench::{Bench, Connection, TwinAnswer, words};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-rid-shapes",
        title: "Request ids of many shapes are echoed unchanged",
        requirements: &["HUB-TWIN-007"],
        needs: &[],
        run: body!(rid_shapes),
    },
    Case {
        id: "twin-rids-in-flight",
        title: "Ten twin GETs in flight are answered once each, with their own request ids",
        requirements: &["HUB-TWIN-007"],
        needs: &[],
        run: body!(rids_in_flight),
    },
    Case {
        id: "twin-rids-get-and-report",
        title: "GETs and reported PATCHes in flight together keep their own request ids",
        requirements: &["HUB-TWIN-007"],
        needs: &[],
        run: body!(rids_get_and_report),
    },
    Case {
        id: "twin-throttled-429",
        title: "Twin reads beyond the hub's rate are answered 429",
        requirements: &["HUB-TWIN-020"],
        needs: &[Need::Throttling],
        run: body!(throttled_reads),
    },
    Case {
        id: "twin-throttled-report-429",
        title: "Reported PATCHes beyond the hub's rate are answered 429",
        requirements: &["HUB-TWIN-020"],
        needs: &[Need::Throttling],
        run: body!(throttled_reports),
    },
    Case {
        id: "twin-get-without-rid",
        title: "A twin GET without a request id is not answered and does no lasting harm",
        requirements: &["HUB-TWIN-021"],
        needs: &[],
        run: body!(get_without_rid),
    },
    Case {
        id: "twin-extra-level-closes-get",
        title: "A twin GET with an extra topic level ends the connection",
        requirements: &["HUB-TWIN-022"],
        needs: &[],
        run: body!(extra_level_in_get),
    },
    Case {
        id: "twin-extra-level-closes-report",
        title: "A reported PATCH with an extra topic level ends the connection",
        requirements: &["HUB-TWIN-022"],
        needs: &[],
        run: body!(extra_level_in_report),
    },
];

/// Request ids as SDKs and people make them.
const RIDS: [&str; 11] = [
    "0",
    "7",
    "1234567890",
    "98765432109876543210987654321098765432109876543210",
    "0123456789abcdef",
    "DEADBEEF",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "3F2504E0-4F89-11D3-9A0C-0305E82C3302",
    "Read-Twin",
    "read.twin_2",
    // Legal in a property value, and no escape here: it is echoed, not read.
    "read%20twin",
];

/// More requests than any tested hub may answer at once; the private hub throttles at five.
const BURST: usize = 40;

async fn rid_shapes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    for rid in RIDS {
        connection.publish(&format!("$iothub/twin/GET/?$rid={rid}"), "").await?;
        let seen = next_answer("HUB-TWIN-007", &mut connection).await?;
        let allowed = format!("$iothub/twin/res/200/?$rid={rid}");
        bench.equal("HUB-TWIN-007", "topic", allowed, seen);
    }
    Ok(())
}

async fn rids_in_flight(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    for rid in RIDS {
        connection.publish(&format!("$iothub/twin/GET/?$rid={rid}"), "").await?;
    }
    let mut seen = Vec::new();
    for _ in RIDS {
        seen.push(next_answer("HUB-TWIN-007", &mut connection).await?);
    }
    seen.extend(answers_before("HUB-TWIN-007", &mut connection).await?);
    seen.sort();
    let mut allowed = RIDS.map(|rid| format!("$iothub/twin/res/200/?$rid={rid}")).to_vec();
    allowed.sort();
    bench.equal("HUB-TWIN-007", "topics", allowed, seen);
    Ok(())
}

async fn rids_get_and_report(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let report = "$iothub/twin/PATCH/properties/reported/?$rid=";
    connection.publish("$iothub/twin/GET/?$rid=get-1", "").await?;
    connection.publish(&format!("{report}report-1"), "{\"fan\":1}").await?;
    connection.publish("$iothub/twin/GET/?$rid=get-2", "").await?;
    connection.publish(&format!("{report}report-2"), "{\"fan\":2}").await?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let topic = next_answer("HUB-TWIN-007", &mut connection).await?;
        // Which report gets which version is not promised.
        seen.push(topic.split('&').next().unwrap_or_default().to_owned());
    }
    seen.sort();
    let allowed = [
        "$iothub/twin/res/200/?$rid=get-1",
        "$iothub/twin/res/200/?$rid=get-2",
        "$iothub/twin/res/204/?$rid=report-1",
        "$iothub/twin/res/204/?$rid=report-2",
    ];
    bench.equal("HUB-TWIN-007", "topics", allowed.map(str::to_owned).to_vec(), seen);
    Ok(())
}

async fn throttled_reads(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut refused = None;
    for _ in 0..BURST {
        let rid = connection.new_rid();
        let topic = format!("$iothub/twin/GET/?$rid={rid}");
        let answer = connection.ask("HUB-TWIN-020", &topic, &rid, "").await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    demand_throttled(bench, refused.as_ref());
    Ok(())
}

async fn throttled_reports(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut refused = None;
    for turn in 0..BURST {
        let rid = connection.new_rid();
        let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={rid}");
        let body = json!({ "turn": turn }).to_string();
        let answer = connection.ask("HUB-TWIN-020", &topic, &rid, &body).await?;
        if answer.status != 204 {
            refused = Some(answer);
            break;
        }
    }
    demand_throttled(bench, refused.as_ref());
    Ok(())
}

fn demand_throttled(bench: &mut Bench, refused: Option<&TwinAnswer>) {
    let seen = refused.map_or("success for every request".to_owned(), ToString::to_string);
    let throttled = refused.is_some_and(|answer| answer.status == 429);
    bench.demand("HUB-TWIN-020", throttled, "status 429 once the rate is exceeded", seen);
}

async fn get_without_rid(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    connection.publish("$iothub/twin/GET/", " ").await?;
    let strays = if connection.is_open().await? {
        answers_before("HUB-TWIN-021", &mut connection).await?
    } else {
        let before = connection.closed("HUB-TWIN-021").await?;
        before.iter().filter_map(answer_topic).collect()
    };
    let seen = words(&strays);
    bench.demand("HUB-TWIN-021", strays.is_empty(), "no answer", seen);
    let mut connection = bench.connect_and_listen(&device).await?;
    let answer = connection.twin_get().await?;
    bench.equal("HUB-TWIN-021", "status after a reconnect", 200, answer.status);
    Ok(())
}

async fn extra_level_in_get(bench: &mut Bench) -> Checked {
    demand_cut_off(bench, "$iothub/twin/GET/x/?$rid=extra", "").await
}

async fn extra_level_in_report(bench: &mut Bench) -> Checked {
    let topic = "$iothub/twin/PATCH/properties/reported/x/?$rid=extra";
    demand_cut_off(bench, topic, "{\"fan\":1}").await
}

/// A publish to `topic` ends a working connection and is not answered before.
async fn demand_cut_off(bench: &mut Bench, topic: &str, body: &str) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.twin().await?;
    connection.publish(topic, body).await?;
    let before = connection.closed("HUB-TWIN-022").await?;
    let answers: Vec<String> = before.iter().filter_map(answer_topic).collect();
    let allowed = "the connection closed without an answer";
    bench.demand("HUB-TWIN-022", answers.is_empty(), allowed, words(&answers));
    Ok(())
}

/// The topic of the next twin answer, whatever it says.
async fn next_answer(requirement: &'static str, connection: &mut Connection) -> Checked<String> {
    connection.expect(requirement, "an answer on $iothub/twin/res/…", answer_topic).await
}

/// Sends one more GET and returns the topics of the answers that come before its answer.
async fn answers_before(
    requirement: &'static str,
    connection: &mut Connection,
) -> Checked<Vec<String>> {
    let rid = connection.new_rid();
    connection.publish(&format!("$iothub/twin/GET/?$rid={rid}"), "").await?;
    let sentinel = format!("$iothub/twin/res/200/?$rid={rid}");
    let mut before = Vec::new();
    loop {
        let topic = next_answer(requirement, connection).await?;
        if topic == sentinel {
            return Ok(before);
        }
        before.push(topic);
    }
}

fn answer_topic(packet: &Packet) -> Option<String> {
    match packet {
        Packet::Publish(publish) if publish.topic.starts_with("$iothub/twin/res/") => {
            Some(publish.topic.clone())
        }
        _ => None,
    }
}
