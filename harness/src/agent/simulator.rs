//! The handler that does nothing: phases end as a file says, and what was applied is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;
use twinspec_model::agent::{Call, Outcome, Phase, code};

use super::handler::Stop;
use super::store::replace;

/// Facility 3 (step handler), component 3 (simulator).
const SIMULATOR: u32 = 0x3030_0000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    phases: BTreeMap<Phase, Ending>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ending {
    result_code: i32,
    #[serde(default)]
    extended_result_code: u32,
    #[serde(default)]
    result_details: String,
    #[serde(default)]
    delay_ms: u64,
}

pub(super) async fn run(
    call: &Call,
    file: Option<&Path>,
    memory: &Path,
    mut stop: Stop,
) -> Outcome {
    let plan = match file.map(read).transpose() {
        Ok(plan) => plan.unwrap_or_default(),
        Err(why) => return Outcome::failure(SIMULATOR, why),
    };
    let key = key(call);
    if let Some(ending) = plan.phases.get(&call.phase) {
        let outcome = Outcome {
            code: ending.result_code,
            extended: ending.extended_result_code,
            details: ending.result_details.clone(),
        };
        tokio::select! {
            () = sleep(Duration::from_millis(ending.delay_ms)) => {}
            () = stop.asked() => return Outcome::of(code::CANCELLED),
        }
        return remember(call.phase, outcome, memory, key);
    }
    let usual = match call.phase {
        Phase::IsInstalled if recall(memory).contains(&key) => code::INSTALLED,
        Phase::IsInstalled => code::NOT_INSTALLED,
        Phase::Download => code::DOWNLOADED,
        Phase::Backup => code::BACKUP_SUCCESS,
        Phase::Install => code::INSTALL_SUCCESS,
        Phase::Apply => code::APPLY_SUCCESS,
        Phase::Restore => code::RESTORE_SUCCESS,
        Phase::Cancel => code::CANCEL_SUCCESS,
    };
    remember(call.phase, Outcome::of(usual), memory, key)
}

/// Looks whether `file` says how phases end.
pub(super) fn check(file: &Path) -> Result<(), String> {
    read(file).map(drop)
}

fn read(file: &Path) -> Result<Plan, String> {
    let problem = |why: String| format!("simulator file {}: {why}", file.display());
    let text = fs::read(file).map_err(|error| problem(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))
}

/// What tells installed things apart: the criteria, for a component its own; without criteria the
/// deployment.
fn key(call: &Call) -> String {
    let what = call.work.installed_criteria().unwrap_or(&call.workflow);
    let component = call.component.as_ref().map(|component| component.id.as_str());
    format!("{}/{what}", component.unwrap_or_default())
}

fn recall(memory: &Path) -> BTreeSet<String> {
    let text = fs::read(memory).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn remember(phase: Phase, outcome: Outcome, memory: &Path, key: String) -> Outcome {
    if phase != Phase::Apply || !outcome.is_success() {
        return outcome;
    }
    let mut all = recall(memory);
    all.insert(key);
    let text = serde_json::to_vec(&all).unwrap_or_default();
    match replace(memory, &text) {
        Ok(()) => outcome,
        Err(error) => Outcome::failure(SIMULATOR, format!("{}: {error}", memory.display())),
    }
}
