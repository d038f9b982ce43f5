//! Defects of device operations (HUB-TWIN).

use twinspec_model::wire::topic::HubTopic;

use crate::mutants::Mutant;
use crate::mutants::overlay::on_hub_publish;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[Mutant {
    id: "twin-answer-other-rid",
    title: "Twin answers carry another request id",
    requirements: &["HUB-TWIN-001"],
    overlay: || {
        on_hub_publish(|topic, publish| {
            if let HubTopic::TwinResponse { .. } = topic {
                publish.topic = publish.topic.replace("$rid=", "$rid=x");
            }
            true
        })
    },
}];
