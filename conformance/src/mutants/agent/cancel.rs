//! Defects of cancels (device-update-agent.md § 6.7).

use serde_json::{Map, Value, json};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::{Input, Output};

use super::Defect;
use super::orders::{Moment, Orders};
use super::payload::with_plan;
use super::rewrite::{AgentReports, Reports, With, code_of, remove, set, state_report};

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-cancel-passed-over",
        "Cancels are passed over.",
        ["ADU-AGENT-089"],
        Orders::new(|_, moment| moment.action != Some(255))
    ),
    defect!(
        "agent-cancel-as-success",
        "A cancelled deployment is reported as a success.",
        ["ADU-AGENT-089"],
        With {
            state: Value::Null,
            input: |update, input| {
                with_plan(input, |plan| *update = json!(plan.update.to_string()))
            },
            output: |update, mut output| {
                if let Some(agent) = state_report(&mut output)
                    && code_of(agent) == Some(-1)
                    && let Some(result) = agent.get_mut("lastInstallResult")
                {
                    set(result, "resultCode", json!(700));
                    set(agent, "installedUpdateId", update.clone());
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-cancel-code-0",
        "A cancelled deployment is reported with the result code 0.",
        ["ADU-AGENT-089"],
        AgentReports(|agent| {
            if code_of(agent) == Some(-1)
                && let Some(result) = agent.get_mut("lastInstallResult")
            {
                set(result, "resultCode", json!(0));
            }
        })
    ),
    defect!(
        "agent-cancel-silent",
        "The end of a cancelled deployment is not reported.",
        ["ADU-AGENT-089"],
        Reports(|patch| {
            if patch.pointer("/deviceUpdate/agent").and_then(code_of) == Some(-1) {
                *patch = Value::Null;
            }
        })
    ),
    defect!(
        "agent-cancel-afterwards",
        "A cancel is remembered while everything runs to its end, and reported then.",
        ["ADU-AGENT-089"],
        With {
            state: false,
            input: |is_cancelled, input| {
                let action = match &input {
                    Input::Patch(patch) => patch.pointer("/deviceUpdate/service/workflow/action"),
                    _ => None,
                };
                *is_cancelled = *is_cancelled || action == Some(&json!(255));
                if action == Some(&json!(255)) { Vec::new() } else { vec![input] }
            },
            output: |is_cancelled, mut output| {
                if let Some(agent) = state_report(&mut output)
                    && code_of(agent) == Some(700)
                    && std::mem::take(is_cancelled)
                    && let Some(result) = agent.get_mut("lastInstallResult")
                {
                    set(result, "resultCode", json!(-1));
                    remove(agent, "installedUpdateId");
                }
                vec![Effect::Do(output)]
            },
        }
    ),
    defect!(
        "agent-cancel-by-own-id",
        "A cancel with the id nodeployment is passed over, as by newer agents in C.",
        ["ADU-AGENT-092"],
        Orders::new(|_, moment| !cancels(moment) || moment.is_held)
    ),
    defect!(
        "agent-cancel-by-no-deployment",
        "A cancel with the id of the running deployment is passed over.",
        ["ADU-AGENT-092"],
        Orders::new(|_, moment| !cancels(moment) || !moment.is_held)
    ),
    defect!(
        "agent-cancel-needs-manifest",
        "A cancel without a manifest is passed over.",
        ["ADU-AGENT-093"],
        Orders::new(|service, moment| !cancels(moment) || has(service, "updateManifest"))
    ),
    defect!(
        "agent-cancel-needs-signature",
        "A cancel that carries a manifest without its signature is passed over.",
        ["ADU-AGENT-097"],
        Orders::new(|service, moment| {
            let is_unsigned =
                has(service, "updateManifest") && !has(service, "updateManifestSignature");
            !(cancels(moment) && is_unsigned)
        })
    ),
    defect!(
        "agent-cancel-idle-fails",
        "A cancel while nothing runs is reported as a failure.",
        ["ADU-AGENT-096"],
        Orders::new(|service, moment| {
            if moment.action == Some(255)
                && !moment.is_running()
                && let Some(workflow) = service.get_mut("workflow")
            {
                set(workflow, "action", json!(3));
            }
            true
        })
    ),
    defect!(
        "agent-cancel-fetches-package",
        "The root key package is fetched for cancels too.",
        ["ADU-SIG-026"],
        With {
            state: None,
            input: |url: &mut Option<String>, input| {
                if let Input::Patch(patch) = &input
                    && let Some(service) = patch.pointer("/deviceUpdate/service")
                    && service.pointer("/workflow/action") == Some(&json!(255))
                {
                    let named = service.get("rootKeyPackageUrl").and_then(Value::as_str);
                    *url = named.map(str::to_owned);
                }
                vec![input]
            },
            output: |url, output| {
                let fetch = url.take().map(|url| Output::FetchRootKeys { job: u64::MAX, url });
                fetch.into_iter().chain([output]).map(Effect::Do).collect()
            },
        }
    ),
];

/// Whether it is a cancel while a deployment runs.
fn cancels(moment: &Moment<'_>) -> bool {
    moment.action == Some(255) && moment.is_running()
}

fn has(service: &Map<String, Value>, name: &str) -> bool {
    service.get(name).is_some_and(|value| !value.is_null())
}
