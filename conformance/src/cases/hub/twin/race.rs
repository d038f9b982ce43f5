//! Several back ends that write one twin at the same time (HUB-CONC-007, -008).

use http::Method;
use serde_json::{Map, Value, json};
use twinspec_model::identity::Identity;

use super::concurrency::etag;
use super::merging::{Part, body_of};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-two-writers-in-turn",
        title: "Of two writers with the same etag, the second is answered 412",
        requirements: &["HUB-CONC-007"],
        needs: &[],
        run: body!(in_turn),
    },
    Case {
        id: "twin-two-writers-at-once",
        title: "Of two writers with the same etag at the same time, exactly one succeeds",
        requirements: &["HUB-CONC-007"],
        needs: &[],
        run: body!(at_once),
    },
    Case {
        id: "twin-parallel-patches-desired",
        title: "Twenty parallel PATCHes of different desired keys are all kept and counted",
        requirements: &["HUB-CONC-008"],
        needs: &[],
        run: body!(parallel_desired),
    },
    Case {
        id: "twin-parallel-patches-tags",
        title: "Twenty parallel PATCHes of different tags are all kept",
        requirements: &["HUB-CONC-008"],
        needs: &[],
        run: body!(parallel_tags),
    },
];

/// Writers at the same time.
const WRITERS: usize = 20;

async fn in_turn(bench: &mut Bench) -> Checked {
    const REQUIREMENT: &str = "HUB-CONC-007";
    let device = bench.device().await?.identity;
    let etag = etag(&bench.read_twin(&device).await?);
    for (writer, status) in [("one", 200), ("two", 412)] {
        let body = json!({ "tags": { writer: "was here" } });
        let answer = bench.write_twin(Method::PATCH, &device, IfMatch::Etag(&etag), &body).await?;
        let what = format!("status for writer {writer}:");
        bench.equal(REQUIREMENT, &what, status, answer.status.as_u16());
    }
    let kept = json!({ "one": "was here" });
    let twin = bench.watch_twin(&device, |twin| Part::Tags.content(twin) == kept).await?;
    bench.equal_json(REQUIREMENT, "tags", &kept, &Part::Tags.content(&twin));
    Ok(())
}

async fn at_once(bench: &mut Bench) -> Checked {
    const REQUIREMENT: &str = "HUB-CONC-007";
    let device = bench.device().await?.identity;
    let etag = etag(&bench.read_twin(&device).await?);
    let tags = ["one", "two"].map(|writer| json!({ writer: "was here" }));
    let bodies = tags.clone().map(|tags| body_of(Part::Tags, &tags));
    let answers = bench.patch_twin_at_once(&device, IfMatch::Etag(&etag), &bodies).await?;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    let one_succeeds = matches!(statuses.as_slice(), [200, 412] | [412, 200]);
    bench.demand(REQUIREMENT, one_succeeds, "200 and 412", format!("{statuses:?}"));
    let winners = tags.iter().zip(&statuses).filter(|(_, status)| **status == 200);
    let kept: Map<String, Value> =
        winners.filter_map(|(tags, _)| tags.as_object().cloned()).flatten().collect();
    let kept = Value::Object(kept);
    let twin = bench.watch_twin(&device, |twin| Part::Tags.content(twin) == kept).await?;
    bench.equal_json(REQUIREMENT, "tags", &kept, &Part::Tags.content(&twin));
    Ok(())
}

async fn parallel_desired(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let version =
        |twin: &Value| twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
    let before = version(&bench.read_twin(&device).await?);
    all_kept(bench, &device, Part::Desired).await?;
    let after = version(&bench.read_twin(&device).await?);
    let expected = before.map(|before| before + WRITERS as u64);
    bench.equal("HUB-CONC-008", "desired.$version", expected, after);
    Ok(())
}

async fn parallel_tags(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    all_kept(bench, &device, Part::Tags).await
}

/// Demands that parallel PATCHes of different keys of `part` are all there in the end.
async fn all_kept(bench: &mut Bench, device: &Identity, part: Part) -> Checked {
    let key = |number: usize| format!("writer{number}");
    let patch = |number| body_of(part, &json!({ key(number): "was here" }));
    let bodies: Vec<Value> = (0..WRITERS).map(patch).collect();
    let answers = bench.patch_twin_at_once(device, IfMatch::Absent, &bodies).await?;
    if let Some(refused) = answers.iter().find(|answer| answer.status.as_u16() == 429) {
        return Err(Stop::Inconclusive(format!("the hub throttles the race: {refused}")));
    }
    let accepted = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
    bench.equal("HUB-CONC-008", "PATCHes answered 200:", WRITERS, accepted);
    let all = (0..WRITERS).map(|number| (key(number), json!("was here"))).collect();
    let all = Value::Object(all);
    let twin = bench.watch_twin(device, |twin| part.content(twin) == all).await?;
    bench.equal_json("HUB-CONC-008", "section", &all, &part.content(&twin));
    Ok(())
}
