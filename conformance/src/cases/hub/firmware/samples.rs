//! The published samples, played as they are: the hub carries what they send, and a back end can tell
//! their known deviations by name.

use serde_json::{Value, json};

use super::traces::{self, Step, Trace};
use crate::bench::agent::firmware::deviation::{Moment, recognise, spelling};
use crate::bench::{Bench, Connection, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};
use twinspec_model::wire::mqtt::Qos;
use twinspec_model::wire::topic::Filter;

/// The cases.
pub(super) const CASES: &[Case] = &[Case {
    id: "firmware-samples",
    title: "What the published samples send passes unchanged, and their known deviations are named",
    requirements: &["FW-B05", "FW-C01"],
    needs: &[],
    run: body!(samples),
}];

async fn samples(bench: &mut Bench) -> Checked {
    for trace in traces::all() {
        let device = bench.device().await?;
        let mut connection = bench.connect_and_listen(&device).await?;
        connection.subscribe(&Filter::Methods { name: None }, Qos::AtMostOnce).await?;
        let mut moments = vec![Moment::Connected];
        let mut version = None;
        for step in &trace.steps {
            play(bench, (&device, &mut connection), step, &mut moments, &mut version).await?;
        }
        connection.disconnect().await?;
        recognised(&trace, &moments)?;
    }
    Ok(())
}

/// Plays a step through the hub; what a back end sees of it is added to `moments`.
async fn play(
    bench: &mut Bench,
    (device, connection): (&Registered, &mut Connection),
    step: &Step,
    moments: &mut Vec<Moment>,
    version: &mut Option<u64>,
) -> Checked {
    match step {
        Step::Want(firmware) => {
            let body = json!({ "properties": { "desired": { "firmware": firmware } } });
            bench.patch_twin(&device.identity, &body).await?;
            moments.push(Moment::Wanted(firmware.clone()));
        }
        Step::Call(payload, status, said) => {
            let body = json!({ "methodName": "firmwareUpdate", "payload": payload });
            let call = bench.invoke(&device.identity, &body).await;
            let request = connection.method_request("FW-C01").await?;
            let seen = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            bench.equal_json("FW-C01", "the payload", payload, &seen);
            connection.respond(&request, *status, &said.to_string()).await?;
            let answer = bench.outcome("FW-C01", call).await?.json();
            let seen = answer.get("status").and_then(Value::as_i64).unwrap_or_default();
            bench.equal("FW-C01", "the status of the answer", *status, seen);
            moments.extend([Moment::Called(payload.clone()), Moment::Answered(seen)]);
        }
        Step::Report(patch) => {
            let next = connection.reported(patch).await?;
            if let Some(version) = version {
                bench.equal("FW-B05", "the reported version", *version + 1, next);
            }
            *version = Some(next);
            let shown = |twin: &Value| {
                twin.pointer("/properties/reported/$version").and_then(Value::as_u64) >= Some(next)
            };
            let twin = bench.watch_twin(&device.identity, shown).await?;
            let mut reported = twin.pointer("/properties/reported").cloned().unwrap_or_default();
            if let Some(members) = reported.as_object_mut() {
                members.retain(|name, _| !name.starts_with('$'));
            }
            moments.push(Moment::Shown(reported));
        }
        Step::Go => moments.push(Moment::Gone),
    }
    Ok(())
}

/// Compares what is recognised with what the trace is known for: to see it is for the suite.
fn recognised(trace: &Trace, moments: &[Moment]) -> Checked {
    let seen: Vec<&str> = recognise(moments).iter().map(|deviation| deviation.name).collect();
    let told = spelling(moments).map(|words| words.name);
    let is_told = trace.spelling.is_none() || told == trace.spelling;
    if seen == trace.deviations && is_told {
        return Ok(());
    }
    let (title, expected) = (trace.title, (trace.deviations, trace.spelling));
    Err(Stop::Harness(format!("{title}: recognised is {:?}, not {expected:?}", (seen, told))))
}
