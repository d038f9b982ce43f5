//! Waiting for an agent: every wait is bounded, and ends early when the agent is gone.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use twinspec_model::wire::mqtt::{Connect, Packet};

use super::report::Report;
use super::stage::{Seen, What};
use super::{AgentBench, BACK, Deployed, Phase, QUIET, STEP, Script};
use crate::verdict::{Checked, Stop};

/// How often the things that cannot ring a bell are looked at.
const LOOK: Duration = Duration::from_millis(10);

impl AgentBench<'_> {
    /// Waits for the next thing that `pick` takes, after what was found before.
    ///
    /// # Errors
    /// Blames `requirement` when it does not come.
    pub async fn see<T>(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        budget: Duration,
        mut pick: impl FnMut(&Seen) -> Option<T>,
    ) -> Checked<T> {
        let deadline = self.deadline(budget);
        loop {
            let looked = self.watch.count();
            for (index, seen) in self.watch.seen(self.cursor).iter().enumerate() {
                if let Some(found) = pick(seen) {
                    self.cursor += index + 1;
                    return Ok(found);
                }
            }
            self.demand_no_flood()?;
            if self.is_over() {
                if self.watch.count() > looked {
                    // What it sent before it ended has only now been seen.
                    continue;
                }
                let why = self.last_words().await;
                return Err(self.absent(requirement, allowed, why));
            }
            if Instant::now() >= deadline {
                let why = format!("nothing like it within {:?}", self.budget(budget));
                return Err(self.absent(requirement, allowed, why));
            }
            self.until_changed(looked, deadline).await;
        }
    }

    /// Returns when more than `looked` was seen, soon, or at `deadline`.
    async fn until_changed(&self, looked: usize, deadline: Instant) {
        let changed = self.watch.changed();
        if self.watch.count() == looked {
            // A process that ends rings no bell: it is looked at again soon.
            let soon = Instant::now() + LOOK * 5;
            let _either_way = timeout_at(deadline.min(soon), changed).await;
        }
    }

    /// How the process ended, when all it wrote was read.
    async fn last_words(&mut self) -> String {
        if let Some(process) = self.process.as_mut() {
            process.drain(LOOK * 50).await;
        }
        self.gone().unwrap_or_default()
    }

    /// Whether the agent's process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.gone().is_some()
    }

    /// Whether nothing more can come: the process has ended, and what it sent was seen.
    fn is_over(&mut self) -> bool {
        self.gone().is_some() && self.watch.connection().is_none()
    }

    /// How the process ended, when it has.
    fn gone(&mut self) -> Option<String> {
        if self.task.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            return Some("the device has ended".to_owned());
        }
        let process = self.process.as_mut()?;
        let status = process.exited()?;
        let last = process.output().last(3).join(" | ");
        let words =
            if last.is_empty() { String::new() } else { format!("; its last words: {last:?}") };
        Some(format!("the agent ended with {status}{words}"))
    }

    /// The end of a case in which something did not come.
    fn absent(&self, requirement: &'static str, allowed: &str, why: String) -> Stop {
        if !self.was_in {
            // Nobody was there to be judged.
            return Stop::Inconclusive(format!("the agent never connected: {why}"));
        }
        let about = self.reports(0).last().map(|report| format!("; its last report: {report}"));
        let seen = format!("{why}{}", about.unwrap_or_default());
        Stop::Broken { requirement, allowed: allowed.to_owned(), seen }
    }

    fn demand_no_flood(&mut self) -> Checked {
        if !self.watch.is_flooded() {
            return Ok(());
        }
        let count = self.watch.count();
        let seen = format!("{count} packets in one case");
        self.demand("DEV-NET-020", false, "a few packets for each change", seen);
        Err(Stop::Inconclusive("the agent floods the hub".to_owned()))
    }

    /// Waits until the hub has let the agent in.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when it never connects.
    pub async fn connected(&mut self) -> Checked {
        let seconds = match (&self.subject.profile.start, &self.subject.profile.meet) {
            (Some(start), _) => start.connect_s,
            (None, Some(meet)) => meet.connect_s,
            (None, None) => STEP.as_secs(),
        };
        let budget = Duration::from_secs(seconds);
        let came = self.connect_packet("DEV-NET-001", budget).await;
        if !self.was_in {
            self.subject.note_presence(came.is_ok());
        }
        came?;
        self.was_in = true;
        Ok(())
    }

    /// Waits for the next CONNECT.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn connect_packet(
        &mut self,
        requirement: &'static str,
        budget: Duration,
    ) -> Checked<Connect> {
        let connect = |seen: &Seen| match &seen.what {
            What::Connect(connect) => Some(connect.as_ref().clone()),
            _ => None,
        };
        self.see(requirement, "a CONNECT", budget, connect).await
    }

    /// Waits for the agent to be back after its connection was lost.
    ///
    /// # Errors
    /// Blames DEV-NET-001 when it does not come back.
    pub async fn comes_back(&mut self) -> Checked<Connect> {
        self.connect_packet("DEV-NET-001", BACK).await
    }

    /// Waits until the agent has asked for its twin.
    ///
    /// # Errors
    /// Blames `requirement` when it does not.
    pub async fn reads_twin(&mut self, requirement: &'static str) -> Checked {
        let reads = |seen: &Seen| seen.what.twin_request().map(drop);
        self.see(requirement, "a request for the twin", BACK, reads).await
    }

    /// Waits for the next report that `wanted` takes.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn report(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        wanted: impl Fn(&Report) -> bool,
    ) -> Checked<Report> {
        self.report_within(requirement, allowed, STEP, wanted).await
    }

    /// The same within another budget.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn report_within(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        budget: Duration,
        wanted: impl Fn(&Report) -> bool,
    ) -> Checked<Report> {
        let pick = |seen: &Seen| Report::of(0, seen).filter(|report| wanted(report));
        let report = self.see(requirement, allowed, budget, pick).await?;
        Ok(Report { number: self.cursor - 1, ..report })
    }

    /// Goes back: the search for the next thing begins at the number `from`.
    pub fn look_from(&mut self, from: usize) {
        self.cursor = from;
    }

    /// Waits for the report with which `deployed` ends: terminal, after the deployment was sent,
    /// and about no other deployment.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn end(&mut self, requirement: &'static str, deployed: &Deployed) -> Checked<Report> {
        self.end_within(requirement, STEP, deployed).await
    }

    /// The same within another budget.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn end_within(
        &mut self,
        requirement: &'static str,
        budget: Duration,
        deployed: &Deployed,
    ) -> Checked<Report> {
        self.look_from(deployed.from);
        let allowed = format!("a report of state 0 or 255 for {}", deployed.workflow);
        let ends =
            |report: &Report| report.is_terminal() && !report.is_about_another(&deployed.workflow);
        self.report_within(requirement, &allowed, budget, ends).await
    }

    /// Waits for the acknowledgement of the desired version of `deployed`.
    ///
    /// # Errors
    /// Blames `requirement` when none comes.
    pub async fn acknowledged(
        &mut self,
        requirement: &'static str,
        deployed: &Deployed,
    ) -> Checked<Report> {
        self.look_from(deployed.from);
        let version = deployed.version;
        let allowed = format!("an acknowledgement with av {version}");
        let is_it = |report: &Report| {
            report.acknowledgement().is_some_and(|ack| ack.av == &Value::from(version))
        };
        self.report(requirement, &allowed, is_it).await
    }

    /// Sends a deployment and demands its success: `requirement` is blamed when it is not reported,
    /// ADU-AGENT-042 when a payload has not run.
    ///
    /// # Errors
    /// When it does not end at all.
    pub async fn succeed(
        &mut self,
        requirement: &'static str,
        scripts: &[&Script],
    ) -> Checked<Report> {
        let plan = self.plan(scripts)?;
        let deployed = self.deploy(&plan).await?;
        let report = self.end(requirement, &deployed).await?;
        self.demand_success(requirement, &deployed, &report);
        self.demand_ran("ADU-AGENT-042", scripts);
        Ok(report)
    }

    /// Demands that a good deployment works now, whatever happened before.
    ///
    /// # Errors
    /// When it does not end at all.
    pub async fn still_works(&mut self, requirement: &'static str) -> Checked {
        let script = Script::good(&format!("control-{}", self.next_number()));
        let plan = self.plan(&[&script])?;
        let deployed = self.deploy(&plan).await?;
        let report = self.end_within(requirement, BACK, &deployed).await?;
        self.demand_success(requirement, &deployed, &report);
        self.demand_ran(requirement, &[&script]);
        Ok(())
    }

    /// Demands that `report` tells the success of `deployed` (device-update-agent.md § 4.3).
    pub fn demand_success(
        &mut self,
        requirement: &'static str,
        deployed: &Deployed,
        report: &Report,
    ) -> bool {
        let holds = report.state() == Some(0)
            && report.result_code() == Some(700)
            && report.installed().as_ref() == Some(&deployed.update);
        let allowed = format!("state 0, resultCode 700 and installedUpdateId {}", deployed.update);
        self.demand(requirement, holds, allowed, report.to_string())
    }

    /// Demands that `report` is one that the service reads as a failure (§ 4.3).
    pub fn demand_failure(
        &mut self,
        requirement: &'static str,
        deployed: &Deployed,
        report: &Report,
    ) -> bool {
        let claims = report.installed().as_ref() == Some(&deployed.update);
        let holds = report.state() == Some(255) || (report.state() == Some(0) && !claims);
        let allowed = "state 255, or 0 without the update in installedUpdateId";
        self.demand(requirement, holds, allowed, report.to_string())
    }

    /// Demands that the payloads ran to the end of their last phase.
    pub fn demand_ran(&mut self, requirement: &'static str, scripts: &[&Script]) -> bool {
        let missing = scripts.iter().find(|script| !self.has_run(script, Phase::Apply));
        let seen =
            missing.map(|script| format!("no apply of {}; ran: {}", script.name, self.told()));
        let holds = seen.is_none();
        let names: Vec<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
        let allowed = format!("the payloads {} run", names.join(", "));
        self.demand(requirement, holds, allowed, seen.unwrap_or_default())
    }

    /// Demands that nothing of `script` that changes the device ran, nor any question was asked it.
    pub fn demand_untouched(&mut self, requirement: &'static str, script: &Script) -> bool {
        let touched = self.ran().iter().any(|ran| ran.payload == script.name);
        let seen = format!("ran: {}", self.told());
        let allowed = format!("nothing of the payload {} runs", script.name);
        self.demand(requirement, !touched, allowed, seen)
    }

    /// What ran, for people.
    #[must_use]
    pub fn told(&self) -> String {
        let ran = self.ran();
        let begun = ran.iter().filter(|ran| !ran.ended);
        let words: Vec<String> = begun
            .map(|ran| format!("{} {} {}", ran.payload, ran.phase.name(), ran.component))
            .map(|text| text.trim_end().to_owned())
            .collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }

    /// Waits until `phase` of `script` has begun.
    ///
    /// # Errors
    /// Blames `requirement` when it does not.
    pub async fn begins(
        &mut self,
        requirement: &'static str,
        script: &Script,
        phase: Phase,
    ) -> Checked {
        self.begins_again(requirement, script, phase, 1).await
    }

    /// Waits until `phase` of `script` has begun for the `count`th time.
    ///
    /// # Errors
    /// Blames `requirement` when it does not.
    pub async fn begins_again(
        &mut self,
        requirement: &'static str,
        script: &Script,
        phase: Phase,
        count: usize,
    ) -> Checked {
        let what = format!("{} of the payload {} begins", phase.name(), script.name);
        self.until(requirement, &what, STEP, |agent| agent.times(script, phase) >= count).await
    }

    /// Waits until `holds`: for what rings no bell, such as files.
    ///
    /// # Errors
    /// Blames `requirement` when it does not come true.
    pub async fn until(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        budget: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Checked {
        let deadline = self.deadline(budget);
        while !holds(self) {
            if self.is_over() {
                let why = self.last_words().await;
                if holds(self) {
                    return Ok(());
                }
                return Err(self.absent(requirement, allowed, why));
            }
            if Instant::now() >= deadline {
                let late = format!("not within {:?}; ran: {}", self.budget(budget), self.told());
                return Err(self.absent(requirement, allowed, late));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until `holds`, or the agent has ended, or the budget is used up.
    pub async fn until_or_ended(&mut self, budget: Duration, holds: impl Fn(&Self) -> bool) {
        let deadline = self.deadline(budget);
        while !holds(self) && !self.has_ended() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    /// Waits until the agent's process ends by itself; its exit status.
    ///
    /// # Errors
    /// Blames `requirement` when it does not.
    pub async fn exits(&mut self, requirement: &'static str) -> Checked<String> {
        let budget = self.budget(STEP);
        let Some(process) = self.process.as_mut() else {
            return Err(Stop::Harness("the case waits for an agent that is not there".to_owned()));
        };
        match process.wait(budget).await {
            Some(status) => Ok(status.to_string()),
            None => {
                let why = format!("the agent still runs after {budget:?}");
                Err(self.absent(requirement, "the agent ends", why))
            }
        }
    }

    /// Waits until the agent's process has ended, or as long as something may still come.
    pub async fn ends_or_waits(&mut self) {
        let wait = self.budget(QUIET);
        if let Some(process) = self.process.as_mut() {
            let _either_way = process.wait(wait).await;
        }
    }

    /// Waits until `count` notifications are kept back.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the hub does not send them.
    pub async fn held(&mut self, count: usize) -> Checked {
        let deadline = self.deadline(STEP);
        while self.watch.held_count() < count {
            if Instant::now() >= deadline {
                return Err(Stop::Inconclusive("the hub sent no notification".to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The notification that is kept back next; further ones pass again.
    ///
    /// # Errors
    /// [`Stop::Harness`] when the hub does not send one.
    pub async fn held_one(&mut self) -> Checked<Packet> {
        self.held(1).await?;
        let none = || Stop::Harness("no notification was kept back".to_owned());
        self.take_held().into_iter().next().ok_or_else(none)
    }

    /// A window in which nothing is to come; a good deployment afterwards closes it.
    pub async fn quiet(&self) {
        sleep(self.budget(QUIET)).await;
    }
}
