//! One deployment being carried out: where it is, and what comes next.
//!
//! Three walks over the units, in order (device-update-agent.md § 6.11): ask each whether it is
//! installed; fetch and download what is not; check, back up, install and apply it. A unit is an
//! inline step, or one child step for one component. The first failure ends the walk.

use std::collections::BTreeMap;

use super::io::{Call, FetchOrder, Fetched, Output, Phase, RestartKind};
use super::machine::Settings;
use super::outcome::{Outcome, code, extended};
use super::plan::{Child, Component, File, Plan, Step, Work};
use crate::update::UpdateId;
use crate::update::result_code::ExtendedResultCode;

/// Something that a handler does: an inline step, or a child step for one component.
#[derive(Clone, Debug)]
struct Unit {
    step: usize,
    folder: String,
    component: Option<Component>,
    work: Work,
    installed: bool,
}

/// Where a deployment is: what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The detached manifest of a reference step.
    Child(usize),
    /// The file with which a handler can be asked.
    Tool(usize),
    /// First walk: is it installed?
    Ask(usize),
    /// Second walk: one file.
    Fetch(usize, usize),
    /// Second walk: the handler prepares.
    Download(usize),
    /// Third walk: the files are still what they were (ADU-AGENT-054).
    Check(usize, usize),
    /// Third walk: did an earlier step install it?
    AskAgain(usize),
    /// Third walk.
    Backup(usize),
    /// Third walk.
    Install(usize),
    /// Third walk.
    Apply(usize),
    /// After a failure, which is what counts in the end.
    Restore(usize, Outcome),
}

/// A deployment being carried out.
#[derive(Clone, Debug)]
pub(super) struct Running {
    workflow: String,
    pub(super) update: UpdateId,
    steps: Vec<Step>,
    urls: BTreeMap<String, String>,
    units: Vec<Unit>,
    /// What each step came to; code 0 as long as it was not reached.
    pub(super) results: Vec<Outcome>,
    /// Informational codes for the final report.
    pub(super) notes: Vec<ExtendedResultCode>,
    stage: Stage,
    job: u64,
    stopping: bool,
    /// Taken up after a restart: installed steps show 900, not 603 (§ 6.9).
    resumed: bool,
}

/// What a deployment needs, or how it ended.
#[derive(Debug)]
pub(super) enum Moved {
    /// It waits for this.
    Waits(Box<Output>),
    /// Everything is installed.
    Installed,
    /// It failed. Without steps when none could be told apart.
    Failed { outcome: Outcome, with_steps: bool },
    /// It was stopped before it was through.
    Stopped,
    /// It goes on after a restart.
    Restarts(RestartKind),
    /// The result belongs to something that is over.
    Unrelated,
}

/// What trying to enter a stage comes to.
enum Entered {
    Waits(Output),
    Next(Stage),
    Ended(Moved),
}

impl Running {
    /// A deployment at its beginning, and what it needs first.
    pub(super) fn start(
        workflow: String,
        plan: Plan,
        notes: Vec<ExtendedResultCode>,
        resumed: bool,
        settings: &Settings,
        jobs: &mut u64,
    ) -> (Self, Moved) {
        let results = vec![Outcome::of(code::FAILURE); plan.steps.len()];
        let Plan { update, steps, urls } = plan;
        let mut running = Self {
            workflow,
            update,
            steps,
            urls,
            units: Vec::new(),
            results,
            notes,
            stage: Stage::Child(0),
            job: 0,
            stopping: false,
            resumed,
        };
        let moved = running.enter(Stage::Child(0), settings, jobs);
        (running, moved)
    }

    /// A download ended.
    pub(super) fn fetched(
        &mut self,
        job: u64,
        outcome: Fetched,
        settings: &Settings,
        jobs: &mut u64,
    ) -> Moved {
        if job != self.job {
            return Moved::Unrelated;
        }
        let next = match self.stage.clone() {
            Stage::Child(step) => match self.child(step, outcome, settings) {
                Ok(()) => Stage::Child(step + 1),
                Err(outcome) => return Moved::Failed { outcome, with_steps: false },
            },
            Stage::Tool(unit) => match self.received(unit, None, &outcome, settings) {
                Ok(()) => Stage::Ask(unit),
                Err(outcome) => return self.fail(unit, outcome),
            },
            Stage::Fetch(unit, file) => match self.received(unit, Some(file), &outcome, settings) {
                Ok(()) => Stage::Fetch(unit, file + 1),
                Err(outcome) => return self.fail(unit, outcome),
            },
            Stage::Check(unit, file) => match self.received(unit, Some(file), &outcome, settings) {
                Ok(()) => Stage::Check(unit, file + 1),
                Err(outcome) => return self.fail(unit, outcome),
            },
            _ => return Moved::Unrelated,
        };
        self.enter(next, settings, jobs)
    }

    /// A phase ended.
    pub(super) fn ran(
        &mut self,
        job: u64,
        outcome: Outcome,
        settings: &Settings,
        jobs: &mut u64,
    ) -> Moved {
        if job != self.job {
            return Moved::Unrelated;
        }
        let next = match self.stage.clone() {
            Stage::Ask(unit) => {
                self.set_installed(unit, &outcome);
                Stage::Tool(unit + 1)
            }
            Stage::Download(unit) if outcome.is_success() => {
                self.note(unit, outcome);
                Stage::Fetch(unit + 1, 0)
            }
            Stage::AskAgain(unit) => {
                self.set_installed(unit, &outcome);
                if outcome.code == code::INSTALLED {
                    Stage::Check(unit + 1, 0)
                } else {
                    Stage::Backup(unit)
                }
            }
            Stage::Backup(unit) if outcome.is_success() => Stage::Install(unit),
            Stage::Download(unit) | Stage::Backup(unit) if !self.stopping => {
                return self.fail(unit, outcome);
            }
            Stage::Install(unit) => match self.installed(unit, outcome) {
                Ok(next) => next,
                Err(moved) => return moved,
            },
            Stage::Apply(unit) => match self.applied(unit, outcome) {
                Ok(next) => next,
                Err(moved) => return moved,
            },
            Stage::Restore(unit, cause) if !self.stopping => return self.fail(unit, cause),
            Stage::Download(_) | Stage::Backup(_) | Stage::Restore(..) => return Moved::Stopped,
            Stage::Child(_) | Stage::Tool(_) | Stage::Fetch(..) | Stage::Check(..) => {
                return Moved::Unrelated;
            }
        };
        self.enter(next, settings, jobs)
    }

    /// Stops as soon as can be: at once while files come in, else when the phase has ended.
    pub(super) fn stop(&mut self) -> (Option<Output>, Option<Moved>) {
        self.stopping = true;
        let job = self.job;
        match self.stage {
            Stage::Child(_) | Stage::Tool(_) | Stage::Fetch(..) | Stage::Check(..) => {
                (Some(Output::Abort { job }), Some(Moved::Stopped))
            }
            // What is being put back in order is not interrupted.
            Stage::Restore(..) => (None, None),
            Stage::Ask(_)
            | Stage::Download(_)
            | Stage::AskAgain(_)
            | Stage::Backup(_)
            | Stage::Install(_)
            | Stage::Apply(_) => (Some(Output::Cancel { job }), None),
        }
    }

    /// What follows an install phase.
    fn installed(&mut self, unit: usize, outcome: Outcome) -> Result<Stage, Moved> {
        if let Some(kind) = RestartKind::asked_by(outcome.code) {
            return Err(Moved::Restarts(kind));
        }
        self.note(unit, outcome.clone());
        if !outcome.is_success() {
            return Ok(Stage::Restore(unit, outcome));
        }
        if matches!(outcome.code, code::SKIPPED_INSTALLED | code::SKIPPED_NO_COMPONENT) {
            return Ok(Stage::Check(unit + 1, 0));
        }
        if self.stopping {
            return Ok(Stage::Restore(unit, Outcome::of(code::CANCELLED)));
        }
        Ok(Stage::Apply(unit))
    }

    /// What follows an apply phase. A late cancel does not undo it: the truth is reported.
    fn applied(&mut self, unit: usize, outcome: Outcome) -> Result<Stage, Moved> {
        if let Some(kind) = RestartKind::asked_by(outcome.code) {
            return Err(Moved::Restarts(kind));
        }
        self.note(unit, outcome.clone());
        if outcome.is_success() {
            Ok(Stage::Check(unit + 1, 0))
        } else {
            Ok(Stage::Restore(unit, outcome))
        }
    }

    /// Enters `stage`, or the first one after it that has something to wait for.
    fn enter(&mut self, mut stage: Stage, settings: &Settings, jobs: &mut u64) -> Moved {
        loop {
            match self.attempt(stage.clone(), settings, jobs) {
                Entered::Waits(output) => {
                    self.stage = stage;
                    return Moved::Waits(Box::new(output));
                }
                Entered::Next(next) => stage = next,
                Entered::Ended(moved) => return moved,
            }
        }
    }

    fn attempt(&mut self, stage: Stage, settings: &Settings, jobs: &mut u64) -> Entered {
        if self.stopping && !matches!(stage, Stage::Check(..) | Stage::Restore(..)) {
            return Entered::Ended(Moved::Stopped);
        }
        match stage {
            Stage::Child(step) => self.attempt_child(step, jobs),
            Stage::Tool(unit) => self.attempt_tool(unit, settings, jobs),
            Stage::Fetch(unit, file) => match self.files_of(unit) {
                None => Entered::Next(Stage::Check(0, 0)),
                Some(None) => Entered::Next(Stage::Fetch(unit + 1, 0)),
                Some(Some(files)) => match files.get(file).cloned() {
                    None => Entered::Next(Stage::Download(unit)),
                    Some(file) => self.fetch(unit, &file, jobs),
                },
            },
            Stage::Check(unit, file) => match self.files_of(unit) {
                None => Entered::Ended(Moved::Installed),
                Some(None) => Entered::Next(Stage::Check(unit + 1, 0)),
                Some(Some(_)) if self.stopping => Entered::Ended(Moved::Stopped),
                Some(Some(files)) => match files.get(file).cloned() {
                    None => Entered::Next(Stage::AskAgain(unit)),
                    Some(file) => self.fetch(unit, &file, jobs),
                },
            },
            Stage::Ask(unit) | Stage::AskAgain(unit) => self.run(unit, Phase::IsInstalled, jobs),
            Stage::Download(unit) => self.run(unit, Phase::Download, jobs),
            Stage::Backup(unit) => self.run(unit, Phase::Backup, jobs),
            Stage::Install(unit) => self.run(unit, Phase::Install, jobs),
            Stage::Apply(unit) => self.run(unit, Phase::Apply, jobs),
            Stage::Restore(unit, _) => self.run(unit, Phase::Restore, jobs),
        }
    }

    /// The unit's files; none when it is installed, nothing at all when there is no such unit.
    #[expect(clippy::option_option, reason = "no unit and a unit without need are two things")]
    fn files_of(&self, unit: usize) -> Option<Option<&[File]>> {
        let unit = self.units.get(unit)?;
        Some((!unit.installed).then_some(unit.work.files.as_slice()))
    }

    fn attempt_child(&mut self, step: usize, jobs: &mut u64) -> Entered {
        match self.steps.get(step).cloned() {
            None => Entered::Next(Stage::Tool(0)),
            Some(Step::Inline(work)) => {
                let folder = step.to_string();
                let unit = Unit { step, folder, component: None, work, installed: false };
                self.units.push(unit);
                Entered::Next(Stage::Child(step + 1))
            }
            Some(Step::Reference(file)) => match self.order(&step.to_string(), &file, true) {
                Ok(order) => Entered::Waits(Output::Fetch { job: self.next(jobs), order }),
                Err(outcome) => Entered::Ended(Moved::Failed { outcome, with_steps: false }),
            },
        }
    }

    fn attempt_tool(&mut self, unit: usize, settings: &Settings, jobs: &mut u64) -> Entered {
        let Some(work) = self.units.get(unit).map(|unit| unit.work.clone()) else {
            let missing = self.units.iter().any(|unit| !unit.installed);
            return if missing {
                Entered::Next(Stage::Fetch(0, 0))
            } else {
                Entered::Ended(Moved::Installed)
            };
        };
        let Some(kind) = settings.handlers.get(&work.handler) else {
            let known: Vec<&str> = settings.handlers.keys().map(String::as_str).collect();
            let details = format!("no handler {:?}, known are {known:?}", work.handler);
            let outcome = Outcome::failure(extended::HANDLER_MISSING, details);
            return Entered::Ended(self.fail(unit, outcome));
        };
        match work.tool(*kind) {
            None => Entered::Next(Stage::Ask(unit)),
            Some(file) => self.fetch(unit, file, jobs),
        }
    }

    fn fetch(&mut self, unit: usize, file: &File, jobs: &mut u64) -> Entered {
        let folder = self.units.get(unit).map(|unit| unit.folder.clone()).unwrap_or_default();
        match self.order(&folder, file, false) {
            Ok(order) => Entered::Waits(Output::Fetch { job: self.next(jobs), order }),
            Err(outcome) => Entered::Ended(self.fail(unit, outcome)),
        }
    }

    fn order(&self, folder: &str, file: &File, wants_text: bool) -> Result<FetchOrder, Outcome> {
        let (algorithm, hash) = file.hash()?;
        let url = self.urls.get(&file.id).cloned().ok_or_else(|| {
            Outcome::failure(extended::BAD_URL, format!("fileUrls has no URL for {}", file.id))
        })?;
        Ok(FetchOrder {
            workflow: self.workflow.clone(),
            folder: folder.to_owned(),
            name: file.name.clone(),
            url,
            size: file.size,
            algorithm,
            hash: hash.to_vec(),
            wants_text,
        })
    }

    fn run(&mut self, unit: usize, phase: Phase, jobs: &mut u64) -> Entered {
        let Some(found) = self.units.get(unit).cloned() else {
            return Entered::Ended(Moved::Unrelated);
        };
        let call = Call {
            workflow: self.workflow.clone(),
            step: found.step,
            folder: found.folder,
            component: found.component,
            phase,
            work: found.work,
        };
        Entered::Waits(Output::Run { job: self.next(jobs), call: Box::new(call) })
    }

    fn next(&mut self, jobs: &mut u64) -> u64 {
        *jobs = jobs.saturating_add(1);
        self.job = *jobs;
        self.job
    }

    /// Whether what was fetched is what the manifest says.
    fn received(
        &self,
        unit: usize,
        file: Option<usize>,
        outcome: &Fetched,
        settings: &Settings,
    ) -> Result<(), Outcome> {
        let work = self.units.get(unit).map(|unit| &unit.work);
        let file = match file {
            Some(index) => work.and_then(|work| work.files.get(index)),
            None => work.and_then(|work| {
                settings.handlers.get(&work.handler).and_then(|kind| work.tool(*kind))
            }),
        };
        file.map_or(Ok(()), |file| check(file, outcome))
    }

    /// Takes the detached manifest of a reference step apart.
    fn child(&mut self, step: usize, outcome: Fetched, settings: &Settings) -> Result<(), Outcome> {
        let Some(Step::Reference(file)) = self.steps.get(step) else {
            return Ok(());
        };
        check(file, &outcome)?;
        let text = match outcome {
            Fetched::Complete { text, .. } => text.unwrap_or_default(),
            Fetched::Status(_) | Fetched::Failed(_) => String::new(),
        };
        let child = Child::parse(&text)?;
        let hosts: Vec<Option<Component>> = match &settings.components {
            None => vec![None],
            Some(all) => all.iter().filter(|c| child.selects(c)).cloned().map(Some).collect(),
        };
        if hosts.is_empty() {
            let outcome = Outcome {
                code: code::SKIPPED_NO_COMPONENT,
                extended: 0,
                details: "Optional step (no matching components)".to_owned(),
            };
            self.set_result(step, outcome);
        }
        for component in hosts {
            for (index, work) in child.steps.iter().enumerate() {
                let folder = format!("{step}-{index}");
                let (component, work) = (component.clone(), work.clone());
                self.units.push(Unit { step, folder, component, work, installed: false });
            }
        }
        Ok(())
    }

    fn set_installed(&mut self, unit: usize, outcome: &Outcome) {
        let shown = if self.resumed { code::INSTALLED } else { code::SKIPPED_INSTALLED };
        let Some(unit) = self.units.get_mut(unit) else {
            return;
        };
        unit.installed = outcome.code == code::INSTALLED;
        if unit.installed {
            let step = unit.step;
            self.set_result(step, Outcome { code: shown, ..outcome.clone() });
        }
    }

    fn note(&mut self, unit: usize, outcome: Outcome) {
        if let Some(step) = self.units.get(unit).map(|unit| unit.step) {
            self.set_result(step, outcome);
        }
    }

    fn set_result(&mut self, step: usize, outcome: Outcome) {
        if let Some(slot) = self.results.get_mut(step) {
            *slot = outcome;
        }
    }

    fn fail(&mut self, unit: usize, outcome: Outcome) -> Moved {
        self.note(unit, outcome.clone());
        Moved::Failed { outcome, with_steps: true }
    }
}

/// Compares size and hash with what the manifest says (ADU-AGENT-049, -050).
fn check(file: &File, outcome: &Fetched) -> Result<(), Outcome> {
    let id = &file.id;
    match outcome {
        Fetched::Complete { size, hash, .. } => {
            let (algorithm, wanted) = file.hash()?;
            if hash != wanted {
                let name = algorithm.name();
                let details = format!("{id}: its {name} is not the one of the manifest");
                return Err(Outcome::failure(extended::HASH_INVALID, details));
            }
            if *size != file.size {
                let details = format!("{id}: {size} bytes, the manifest says {}", file.size);
                return Err(Outcome::failure(extended::FILE_MISMATCH, details));
            }
            Ok(())
        }
        Fetched::Status(status) => {
            let extended = extended::HTTP | u32::from(*status);
            Err(Outcome::failure(extended, format!("{id}: the server answered {status}")))
        }
        Fetched::Failed(why) => Err(Outcome::failure(extended::HTTP, format!("{id}: {why}"))),
    }
}
