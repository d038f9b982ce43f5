//! Defects of refusals: what is refused is stored in part all the same (HUB-MERGE-023).

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::Packet;
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::writes::{is_twin_write, on_exchange};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-refused-patch-stores-good-members",
        title: "A PATCH refused for one key stores its other members",
        requirements: &["HUB-MERGE-023"],
        overlay: || stores_good_members(Method::PATCH),
    },
    Mutant {
        id: "twin-refused-put-stores-good-members",
        title: "A PUT refused for one key stores its other members",
        requirements: &["HUB-MERGE-023"],
        overlay: || stores_good_members(Method::PUT),
    },
    Mutant {
        id: "twin-refused-patch-stores-tags",
        title: "A PATCH refused for its desired section stores its tags",
        requirements: &["HUB-MERGE-023"],
        overlay: || stores_other_section("properties", "tags"),
    },
    Mutant {
        id: "twin-refused-patch-stores-desired",
        title: "A PATCH refused for its tags stores its desired section",
        requirements: &["HUB-MERGE-023"],
        overlay: || stores_other_section("tags", "properties"),
    },
    Mutant {
        id: "twin-refused-patch-raises-version",
        title: "A refused PATCH of desired properties still counts as a write",
        requirements: &["HUB-MERGE-023"],
        overlay: || refuses_after(counts_only),
    },
    Mutant {
        id: "twin-refused-report-stores-good-members",
        title: "A reported PATCH refused for one key stores its other members",
        requirements: &["HUB-MERGE-023"],
        overlay: || Box::new(PartialReport(BTreeSet::new())),
    },
];

fn is_bad(key: &str) -> bool {
    key.contains(' ')
}

/// Removes the members that make a write be refused, and tells whether there were any.
fn remove_bad(value: &mut Value) -> bool {
    let Value::Object(members) = value else {
        return false;
    };
    let count = members.len();
    members.retain(|key, _| !is_bad(key));
    let removed = members.len() < count;
    members.values_mut().fold(removed, |removed, inner| remove_bad(inner) || removed)
}

/// Turns a write that would be refused for its desired section into one that stores nothing.
fn counts_only(body: &mut Value) -> bool {
    let bad = body.pointer_mut("/properties/desired").is_some_and(remove_bad);
    if bad {
        *body = json!({ "properties": { "desired": {} } });
    }
    bad
}

fn stores_good_members(method: Method) -> Box<dyn Overlay> {
    refuses_writes_after(method, remove_bad)
}

/// Lets a PATCH that is refused for the root member `bad` store its root member `good`.
fn stores_other_section(bad: &'static str, good: &'static str) -> Box<dyn Overlay> {
    refuses_after(move |body| {
        let refused = body.get(good).is_some() && body.get_mut(bad).is_some_and(remove_bad);
        if let (true, Some(members)) = (refused, body.as_object_mut()) {
            members.remove(bad);
        }
        refused
    })
}

fn refuses_after(repair: impl Fn(&mut Value) -> bool + Send + 'static) -> Box<dyn Overlay> {
    refuses_writes_after(Method::PATCH, repair)
}

/// An overlay that answers 400 to the writes that `repair` had to make acceptable.
fn refuses_writes_after(
    method: Method,
    repair: impl Fn(&mut Value) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    let request = move |(): &mut (), request: &mut http::Request<bytes::Bytes>| {
        let mut repaired = false;
        if is_twin_write(request) && request.method() == method {
            edit_json(request.body_mut(), |body| repaired = repair(body));
        }
        repaired.then_some(())
    };
    on_exchange((), request, |(), (), response| {
        set_status(response, 400);
        *response.body_mut() =
            br#"{"Message":"ErrorCode:ArgumentInvalid;bad key"}"#.as_slice().into();
    })
}

/// Stores the good members of a report and answers 400; holds the ids of such requests.
struct PartialReport(BTreeSet<String>);

impl Overlay for PartialReport {
    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Packet(_, Packet::Publish(publish)) = &mut input
            && let Some(DeviceTopic::TwinPatch { rid: Some(rid), .. }) =
                DeviceTopic::parse(&publish.topic)
        {
            edit_json(&mut publish.payload, |patch| {
                if remove_bad(patch) {
                    self.0.insert(rid);
                }
            });
        }
        vec![input]
    }

    fn output(&mut self, mut output: Output) -> Vec<Output> {
        if let Output::Send(_, Packet::Publish(publish)) = &mut output
            && let Some(HubTopic::TwinResponse { rid, .. }) = HubTopic::parse(&publish.topic)
            && self.0.remove(&rid)
        {
            publish.topic = HubTopic::TwinResponse { status: 400, rid, version: None }.to_topic();
        }
        vec![output]
    }
}
