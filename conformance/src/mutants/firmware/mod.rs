//! Defects of devices of the older firmware-update patterns, laid over the reference devices: what
//! they hear and say is changed, they themselves are not.

mod direct_method;
mod direct_method_2018;
mod lay;
mod twin_job;

use std::io;
use std::sync::Arc;

use twinspec_model::firmware as model;

use crate::agent_profile::AgentProfile;
use crate::bench::Leftovers;
use crate::bench::agent::MakeDevice;
use crate::bench::agent::firmware::Pattern;
use crate::case::{self, Case, Group};
use crate::run::{self, Selected};
use crate::target::Target;
use crate::verdict::Verdict;

/// A device as the model has it.
pub type Device = Box<dyn model::Device>;

/// A named defect of a device.
#[derive(Clone, Copy)]
pub struct DeviceMutant {
    /// Minted once, never renamed or reused.
    pub id: &'static str,
    /// What the device does wrong, as a sentence.
    pub title: &'static str,
    /// The requirements it breaks.
    pub requirements: &'static [&'static str],
    /// The pattern of the device.
    pub kind: Kind,
    /// Lays the defect over a device.
    pub lay: fn(Device) -> Device,
}

/// A pattern, with the variant where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The pattern.
    pub pattern: Pattern,
    /// The variant of pattern (c).
    pub spelling: Option<&'static str>,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        TWIN_JOB,
        method("tutorial-2016"),
        method("dm-patterns"),
        method("samples-2018"),
        method("c-port"),
        DIRECT_METHOD_2018,
    ];

    /// What it is called: the pattern, or the variant where there are several.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spelling.unwrap_or(self.pattern.name())
    }

    /// The device of the model.
    #[must_use]
    pub fn device(self) -> Device {
        device(self.pattern, self.spelling)
    }

    /// The reference device inside this process, with `lay` over it.
    ///
    /// # Errors
    /// When the machine does not provide ports, keys or a folder for scratch files.
    pub async fn target(self, lay: fn(Device) -> Device) -> io::Result<Target> {
        let profile = AgentProfile::inner_device(self.pattern, self.spelling);
        let profile = profile.map_err(io::Error::other)?;
        let make: MakeDevice = Arc::new(move || lay(self.device()));
        Target::inner_device(profile, make).await
    }

    /// Whether `case` judges such a device.
    #[must_use]
    pub fn is_judged_by(self, group: &Group, case: &Case) -> bool {
        let profile = AgentProfile::inner_device(self.pattern, self.spelling);
        profile.is_ok_and(|profile| profile.concerns(group, case))
    }
}

/// The device of the model for a pattern; for one without its spelling that of the tutorial.
#[must_use]
pub fn device(pattern: Pattern, spelling: Option<&str>) -> Device {
    let first = &model::direct_method::SPELLINGS[0];
    let words = spelling.and_then(model::direct_method::Spelling::find).unwrap_or(first);
    let pattern = match pattern {
        Pattern::TwinJob => model::Pattern::TwinJob,
        Pattern::DirectMethod => model::Pattern::DirectMethod(words),
        Pattern::DirectMethod2018 => model::Pattern::DirectMethod2018,
    };
    pattern.device()
}

const TWIN_JOB: Kind = Kind { pattern: Pattern::TwinJob, spelling: None };
const DIRECT_METHOD_2018: Kind = Kind { pattern: Pattern::DirectMethod2018, spelling: None };

const fn method(spelling: &'static str) -> Kind {
    Kind { pattern: Pattern::DirectMethod, spelling: Some(spelling) }
}

/// All mutants in a fixed order.
pub fn all() -> impl Iterator<Item = &'static DeviceMutant> {
    [twin_job::MUTANTS, direct_method::MUTANTS, direct_method_2018::MUTANTS].into_iter().flatten()
}

/// Runs all cases of the patterns of `mutants` against devices without a defect, as fast as they run
/// against mutants with this `patience`, and returns those that find something: there must be none.
///
/// # Errors
/// When the hub cannot be started.
pub async fn canary(mutants: &[&DeviceMutant], patience: f64) -> io::Result<Vec<&'static str>> {
    let mut alarms = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| mutants.iter().any(|m| m.kind == *kind)) {
        let mut target = kind.target(|device| device).await?;
        target.patience = super::AGENT_PATIENCE * patience;
        let cases: Vec<Selected> =
            case::all().filter(|(group, case)| kind.is_judged_by(group, case)).collect();
        let leftovers = Leftovers::default();
        let outcomes =
            run::run(&Arc::new(target), &cases, super::AGENT_JOBS, &leftovers, |_, _| {}).await;
        let is_fine = |verdict| matches!(verdict, Verdict::Pass | Verdict::Unsupported);
        let finds = outcomes.into_iter().filter(|(_, outcome)| !is_fine(outcome.verdict));
        alarms.extend(finds.map(|((_, case), _)| case.id));
    }
    Ok(alarms)
}
