//! Defects of what a method request looks like, and of calls at the same time (HUB-METH-001, -021).

use std::collections::VecDeque;

use twinspec_harness::hub::Overlay;
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use super::tools::on_delivery;
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_device_publish, edit_hub_publish, on_both};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-topic-without-question-mark",
        title: "The topic of a method request lacks the question mark",
        requirements: &["HUB-METH-001"],
        overlay: || {
            on_delivery(|publish| {
                publish.topic = publish.topic.replace("/?$rid=", "/$rid=");
                true
            })
        },
    },
    Mutant {
        id: "method-name-lowercased",
        title: "Method names are in small letters when they reach the device",
        requirements: &["HUB-METH-001"],
        overlay: || renaming(|name| name.to_lowercase()),
    },
    Mutant {
        id: "method-name-star-encoded",
        title: "A star in a method name is percent-encoded in the topic",
        requirements: &["HUB-METH-001"],
        overlay: || renaming(|name| name.replace('*', "%2A")),
    },
    Mutant {
        id: "method-one-rid",
        title: "Every method request carries the same request id",
        requirements: &["HUB-METH-021"],
        overlay: || {
            matching_in_order(|rid| {
                "1".clone_into(rid);
            })
        },
    },
    Mutant {
        id: "method-crowd-lost",
        title: "Every fortieth call is not delivered",
        requirements: &["HUB-METH-021"],
        overlay: || {
            let mut calls = 0_u32;
            on_delivery(move |_| {
                calls += 1;
                !calls.is_multiple_of(40)
            })
        },
    },
    Mutant {
        id: "method-answers-in-order",
        title: "Answers are given to callers in the order of their calls",
        requirements: &["HUB-METH-021"],
        overlay: || matching_in_order(|_| {}),
    },
];

/// Writes method names into topics as `rename` has them.
fn renaming(rename: fn(&str) -> String) -> Box<dyn Overlay> {
    on_delivery(move |publish| {
        if let Some(HubTopic::MethodRequest { name, rid }) = HubTopic::parse(&publish.topic) {
            publish.topic = HubTopic::MethodRequest { name: rename(&name), rid }.to_topic();
        }
        true
    })
}

/// Ignores the request ids of answers: each one completes the oldest call.
fn matching_in_order(edit_rid: fn(&mut String)) -> Box<dyn Overlay> {
    on_both(
        VecDeque::new(),
        |open: &mut VecDeque<String>, input| {
            edit_device_publish(input, |_, topic, publish| {
                if let DeviceTopic::MethodResponse { status, .. } = topic
                    && let Some(rid) = open.pop_front()
                {
                    publish.topic = DeviceTopic::MethodResponse { status: *status, rid }.to_topic();
                }
                true
            })
        },
        move |open, output| {
            edit_hub_publish(output, |_, topic, publish| {
                if let HubTopic::MethodRequest { name, rid } = topic {
                    open.push_back(rid.clone());
                    let (name, mut rid) = (name.clone(), rid.clone());
                    edit_rid(&mut rid);
                    publish.topic = HubTopic::MethodRequest { name, rid }.to_topic();
                }
                true
            })
        },
    )
}
