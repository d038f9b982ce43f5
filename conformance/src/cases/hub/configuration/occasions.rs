//! On which occasions a hub looks at whom its configurations are for (HUB-CFG-006, -008).

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::calls::{create, desired, document, looked_at, setting};
use crate::bench::{Bench, Connection, IfMatch, ROLLOUT, Registered, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[Case {
    id: "configuration-each-change-counts",
    title: "A device enters and leaves by whatever changes its twin, while no configuration changes",
    requirements: &["HUB-CFG-006", "HUB-CFG-008"],
    needs: &[],
    run: body!(each_change_counts),
}];

/// What changes a twin.
#[derive(Clone, Copy, Debug)]
enum Occasion {
    Patch,
    Put,
    Bulk,
    Job,
    Report,
}

impl Occasion {
    const ALL: [Self; 5] = [Self::Patch, Self::Put, Self::Bulk, Self::Job, Self::Report];

    fn name(self) -> &'static str {
        match self {
            Self::Patch => "a PATCH of tags",
            Self::Put => "a PUT of tags",
            Self::Bulk => "a bulk update of tags",
            Self::Job => "a job that updates tags",
            Self::Report => "a report",
        }
    }
}

struct Subject {
    device: Registered,
    connection: Connection,
}

async fn each_change_counts(bench: &mut Bench) -> Checked {
    bench.configure_alone().await?;
    let device = bench.device().await?;
    let (id, other) = (bench.new_configuration(), bench.device().await?.identity);
    let condition = format!(
        "tags.mark = '{id}' OR properties.reported.mark = '{id}' OR deviceId = '{}'",
        other.device
    );
    let wanted = document(&id, &condition, 10, &setting("fan", json!(1)));
    create(bench, "HUB-CFG-001", &wanted).await?;
    // Whoever is in from the beginning shows that the hub has looked at all.
    looked_at(bench, &id).await?;
    let connection = bench.connect_and_listen(&device).await?;
    let identity = device.identity.clone();
    let mut subject = Subject { device, connection };
    for occasion in Occasion::ALL {
        subject.mark(bench, occasion, Some(&id)).await?;
        demand(bench, "HUB-CFG-006", &identity, occasion, &json!({ "fan": 1 })).await?;
        subject.mark(bench, occasion, None).await?;
        demand(bench, "HUB-CFG-008", &identity, occasion, &json!({})).await?;
    }
    Ok(())
}

impl Subject {
    /// Writes the mark that the condition asks for, or another one.
    async fn mark(&mut self, bench: &mut Bench, occasion: Occasion, mark: Option<&str>) -> Checked {
        let identity = self.device.identity.clone();
        let tags = json!({ "mark": mark });
        match occasion {
            Occasion::Patch => drop(bench.patch_twin(&identity, &json!({ "tags": tags })).await?),
            Occasion::Put => {
                let tags = json!({ "mark": mark.unwrap_or("none") });
                drop(bench.replace_twin(&identity, &json!({ "tags": tags })).await?);
            }
            Occasion::Bulk => {
                let item =
                    json!([{ "id": identity.device, "importMode": "updateTwin", "tags": tags }]);
                let answer =
                    bench.call(Method::POST, "/devices", IfMatch::Absent, Some(&item)).await?;
                if answer.status.as_u16() != 200 {
                    return Err(Stop::Broken {
                        requirement: "HUB-REG-031",
                        allowed: "200 for a bulk update of a twin".to_owned(),
                        seen: answer.to_string(),
                    });
                }
            }
            Occasion::Job => {
                let condition = format!("deviceId = '{}'", identity.device);
                let job = twin_job(&condition, &json!({ "etag": "*", "tags": tags }));
                bench.start_job(&job).await.map(drop)?;
            }
            Occasion::Report => drop(self.connection.reported(&tags).await?),
        }
        Ok(())
    }
}

/// Demands that the desired properties become `expected`; nothing else is tried if they do not.
async fn demand(
    bench: &mut Bench,
    requirement: &'static str,
    identity: &Identity,
    occasion: Occasion,
    expected: &Value,
) -> Checked {
    let shows = |twin: &Value| desired(twin) == *expected;
    let twin = bench.watch_twin_for(ROLLOUT, identity, shows).await?;
    let name = occasion.name();
    let allowed = format!("desired properties {expected} after {name}");
    if bench.demand(requirement, shows(&twin), allowed.clone(), desired(&twin).to_string()) {
        return Ok(());
    }
    Err(Stop::Broken { requirement, allowed, seen: desired(&twin).to_string() })
}
