//! Defects of modules' methods (HUB-METH-008).

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Output;
use twinspec_model::wire::mqtt::Packet;
use twinspec_model::wire::topic::HubTopic;

use super::tools::is_call;
use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, on_both, on_request};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-module-call-for-device",
        title: "Calls for a module are delivered to its device",
        requirements: &["HUB-METH-008"],
        overlay: || {
            on_request(|request| {
                let uri = request.uri().to_string();
                let module = uri.split_once("/modules/").filter(|_| is_call(request));
                if let Some((device, _)) = module {
                    let uri = format!("{device}/methods?api-version=2021-04-12");
                    if let Ok(uri) = uri.parse() {
                        *request.uri_mut() = uri;
                    }
                }
            })
        },
    },
    Mutant {
        id: "method-module-call-for-device-too",
        title: "Calls for a module are delivered to its device too",
        requirements: &["HUB-METH-008"],
        overlay: || leaking(|to, other| device_of(to) == Some(other)),
    },
    Mutant {
        id: "method-module-call-for-sibling-too",
        title: "Calls for a module are delivered to the other modules of its device too",
        requirements: &["HUB-METH-008"],
        overlay: || {
            leaking(|to, other| {
                to != other && device_of(to).is_some() && device_of(to) == device_of(other)
            })
        },
    },
];

/// The device of a module's client id.
fn device_of(client_id: &str) -> Option<&str> {
    client_id.split_once('/').map(|(device, _)| device)
}

/// Sends method requests also to connections with a client id for which `leaks` holds.
fn leaking(leaks: fn(&str, &str) -> bool) -> Box<dyn Overlay> {
    on_both(
        ClientIds::default(),
        |client_ids, input| {
            client_ids.learn(&input);
            vec![input]
        },
        move |client_ids, output| {
            let Output::Send(id, Packet::Publish(publish)) = &output else {
                return vec![output];
            };
            let Some(HubTopic::MethodRequest { .. }) = HubTopic::parse(&publish.topic) else {
                return vec![output];
            };
            let to = client_ids.of(*id);
            let others = client_ids.iter().filter(|(_, other)| leaks(to, other));
            let copy = |(id, _)| Output::Send(id, Packet::Publish(publish.clone()));
            let mut outputs: Vec<Output> = others.map(copy).collect();
            outputs.push(output);
            outputs
        },
    )
}
