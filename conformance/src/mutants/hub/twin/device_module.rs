//! Defects of the separation of a module's twin from its device's (HUB-TWIN-013).

use std::collections::BTreeMap;

use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::Packet;
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

use crate::mutants::Mutant;
use crate::mutants::overlay::{ClientIds, on_both};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-module-reads-device",
        title: "A module's GET is answered with its device's twin",
        requirements: &["HUB-TWIN-013"],
        overlay: || misdirecting(is_get, is_module_of),
    },
    Mutant {
        id: "twin-module-reports-to-device",
        title: "A module's report goes to its device's twin",
        requirements: &["HUB-TWIN-013"],
        overlay: || misdirecting(is_report, is_module_of),
    },
    Mutant {
        id: "twin-device-reports-to-module",
        title: "A device's report goes to its module's twin",
        requirements: &["HUB-TWIN-013"],
        overlay: || misdirecting(is_report, |from, to| is_module_of(to, from)),
    },
];

fn is_get(topic: &DeviceTopic) -> Option<String> {
    match topic {
        DeviceTopic::TwinGet { rid } => Some(rid.clone()),
        _ => None,
    }
}

fn is_report(topic: &DeviceTopic) -> Option<String> {
    match topic {
        DeviceTopic::TwinPatch { rid, .. } => rid.clone(),
        _ => None,
    }
}

/// Whether client id `module` is `{device}/{module}` of the client id `device`.
pub(super) fn is_module_of(module: &str, device: &str) -> bool {
    !device.is_empty() && module.strip_prefix(device).is_some_and(|rest| rest.starts_with('/'))
}

#[derive(Default)]
struct Detours {
    client_ids: ClientIds,
    /// Who waits for the answer to a request id.
    askers: BTreeMap<String, ConnectionId>,
}

/// Requests that `takes` names are processed as if another connection had sent them: the one with
/// a client id for which `leads` holds, where there is one.
fn misdirecting(
    takes: fn(&DeviceTopic) -> Option<String>,
    leads: fn(&str, &str) -> bool,
) -> Box<dyn Overlay> {
    on_both(
        Detours::default(),
        move |detours, input| {
            detours.client_ids.learn(&input);
            vec![detours.misdirect(input, takes, leads)]
        },
        |detours, output| vec![detours.redirect(output)],
    )
}

impl Detours {
    fn misdirect(
        &mut self,
        input: Input,
        takes: fn(&DeviceTopic) -> Option<String>,
        leads: fn(&str, &str) -> bool,
    ) -> Input {
        let Input::Packet(id, Packet::Publish(publish)) = input else {
            return input;
        };
        let rid = DeviceTopic::parse(&publish.topic).and_then(|topic| takes(&topic));
        let from = self.client_ids.of(id);
        let other = self.client_ids.iter().find(|(_, to)| leads(from, to)).map(|(id, _)| id);
        match (rid, other) {
            (Some(rid), Some(other)) => {
                self.askers.insert(rid, id);
                Input::Packet(other, Packet::Publish(publish))
            }
            _ => Input::Packet(id, Packet::Publish(publish)),
        }
    }

    fn redirect(&mut self, output: Output) -> Output {
        let Output::Send(id, Packet::Publish(publish)) = output else {
            return output;
        };
        let asker = match HubTopic::parse(&publish.topic) {
            Some(HubTopic::TwinResponse { rid, .. }) => self.askers.remove(&rid),
            _ => None,
        };
        Output::Send(asker.unwrap_or(id), Packet::Publish(publish))
    }
}
