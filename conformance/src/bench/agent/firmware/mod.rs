//! What a case about an older firmware-update pattern works with: requests and calls of a back end,
//! and the history of what the device reports.

pub mod deviation;
mod history;
mod rules;
pub mod words;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use twinspec_model::wire::mqtt::Packet;

pub use history::{History, State, is_blank_separated, is_utc, root};
pub use rules::{Flaw, flaws};
pub use words::{Pattern, Words};

use deviation::{Moment, recognise};

use super::stage::{Seen, Treatment, What};
use super::{AgentBench, STEP};
use crate::agent_profile::Images;
use crate::bench::{IfMatch, twin_path};
use crate::verdict::{Checked, Stop};

/// How often a connection is refused while a device is to be away.
const AWAY: u32 = 3;

/// How a device answered a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Its status.
    pub status: i64,
    /// Its payload.
    pub payload: Value,
    /// How much was seen of the device before the call.
    pub from: usize,
}

impl Answered {
    /// Whether the device has accepted the call.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Both, for people.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{} with {}", self.status, self.payload)
    }
}

/// What `desired.firmware` asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// `fwVersion`.
    pub version: &'a str,
    /// `fwPackageURI`.
    pub uri: &'a str,
    /// `fwPackageCheckValue`.
    pub check: &'a str,
}

impl AgentBench<'_> {
    /// The images that the device knows.
    #[must_use]
    pub fn images(&self) -> Images {
        self.subject.profile.claims.images.clone()
    }

    /// The variant of pattern (c) that the device claims.
    ///
    /// # Errors
    /// [`Stop::Harness`] when it claims none; the profile is checked when it is read.
    pub fn words(&self) -> Checked<&'static Words> {
        let name = self.subject.profile.claims.spelling.as_deref();
        name.and_then(Words::find)
            .ok_or_else(|| Stop::Harness("the profile has no spelling".to_owned()))
    }

    fn spelling(&self) -> Option<&'static Words> {
        self.subject.profile.claims.spelling.as_deref().and_then(Words::find)
    }

    /// How long an attempt may take.
    #[must_use]
    pub fn attempt(&self) -> Duration {
        Duration::from_secs(self.subject.profile.claims.attempt_s)
    }

    /// What the device has reported so far.
    #[must_use]
    pub fn history(&self, pattern: Pattern) -> History {
        let seen = self.seen(0);
        let is_connect = |(number, seen): (usize, &Seen)| {
            matches!(seen.what, What::Connect(_)).then_some(number)
        };
        let connects: Vec<usize> = seen.iter().enumerate().filter_map(is_connect).collect();
        History::new(pattern, self.spelling(), &self.reports(0), &connects)
    }

    /// Starts the device and waits until the hub can reach it.
    ///
    /// # Errors
    /// When it does not connect, or subscribes to nothing (FW-S01: it could not even be asked).
    pub async fn start_device(&mut self, pattern: Pattern) -> Checked {
        let from = self.seen_count();
        self.launch().await?;
        self.is_ready(pattern, from).await
    }

    /// Waits until the hub can reach the device that connected after the number `from`.
    ///
    /// # Errors
    /// When it subscribes to nothing.
    pub async fn is_ready(&mut self, pattern: Pattern, from: usize) -> Checked {
        let (filter, what) = match pattern {
            Pattern::TwinJob => ("$iothub/twin/PATCH/", "a subscription to desired properties"),
            Pattern::DirectMethod | Pattern::DirectMethod2018 => {
                ("$iothub/methods/", "a subscription to direct methods")
            }
        };
        let is_it = move |what: &What| match what {
            What::Packet(Packet::Subscribe(subscribe)) => {
                subscribe.filters.iter().any(|(name, _)| name.starts_with(filter))
            }
            _ => false,
        };
        self.until("FW-S01", what, STEP, move |agent| {
            agent.seen(from).iter().any(|seen| is_it(&seen.what))
        })
        .await
    }

    /// Asks for a firmware as the tutorial's job does; returns how much was seen before.
    ///
    /// # Errors
    /// When the hub does not take it.
    pub async fn want(&mut self, wanted: Wanted<'_>) -> Checked<usize> {
        self.want_some(&json!({
            "fwVersion": wanted.version,
            "fwPackageURI": wanted.uri,
            "fwPackageCheckValue": wanted.check,
        }))
        .await
    }

    /// Asks for a firmware with some members only.
    ///
    /// # Errors
    /// When the hub does not take it.
    pub async fn want_some(&mut self, firmware: &Value) -> Checked<usize> {
        let from = self.seen_count();
        let desired = json!({ "patchId": "Firmware update", "firmware": firmware });
        let identity = self.identity().clone();
        let body = json!({ "properties": { "desired": desired } });
        self.patch_twin(&identity, &body).await?;
        self.asked.push((from, Moment::Wanted(firmware.clone())));
        Ok(from)
    }

    /// Calls `firmwareUpdate` with `uri` as its variant spells it.
    ///
    /// # Errors
    /// Blames `requirement` when there is no answer of the device.
    pub async fn call_update(&mut self, requirement: &'static str, uri: &str) -> Checked<Answered> {
        let is_bare = self.spelling().is_some_and(|words| words.is_bare);
        let payload = if is_bare { json!(uri) } else { json!({ "fwPackageUri": uri }) };
        self.call_method(requirement, "firmwareUpdate", &payload).await
    }

    /// Calls a method of the device.
    ///
    /// # Errors
    /// Blames `requirement` when there is no answer of the device.
    pub async fn call_method(
        &mut self,
        requirement: &'static str,
        name: &str,
        payload: &Value,
    ) -> Checked<Answered> {
        let from = self.seen_count();
        let path = format!("{}/methods", twin_path(self.identity()));
        let body = json!({ "methodName": name, "responseTimeoutInSeconds": 5, "payload": payload });
        let answer = self.call(Method::POST, &path, IfMatch::Absent, Some(&body)).await?;
        let members = answer.json();
        match members.get("status").and_then(Value::as_i64) {
            Some(status) if answer.status.as_u16() == 200 => {
                let said = members.get("payload").cloned().unwrap_or_default();
                if name == "firmwareUpdate" {
                    let (called, answered) =
                        (Moment::Called(payload.clone()), Moment::Answered(status));
                    self.asked.extend([(from, called), (from, answered)]);
                }
                Ok(Answered { status, payload: said, from })
            }
            _ => Err(Stop::Broken {
                requirement,
                allowed: format!("an answer of the device to {name}"),
                seen: answer.to_string(),
            }),
        }
    }

    /// Waits until the device has reported something that `shows` takes, from the number `from` on.
    ///
    /// # Errors
    /// Blames `requirement` when it does not within an attempt's time.
    pub async fn shows(
        &mut self,
        requirement: &'static str,
        allowed: &str,
        (pattern, from): (Pattern, usize),
        shows: impl Fn(&State) -> bool,
    ) -> Checked<State> {
        let budget = self.attempt();
        self.until(requirement, allowed, budget, |agent| {
            agent.history(pattern).since(from).any(&shows)
        })
        .await?;
        let history = self.history(pattern);
        let state = history.since(from).find(|state| shows(state)).cloned();
        self.demand(requirement, state.is_some(), allowed, "nothing like it");
        state.ok_or_else(|| Stop::Harness("a report has vanished".to_owned()))
    }

    /// Cuts the connection and keeps the device away for some attempts to connect; waits until it is
    /// back.
    ///
    /// # Errors
    /// When it does not come back (DEV-NET-001).
    pub async fn send_away(&mut self) -> Checked {
        let from = self.seen_count();
        let mut left = AWAY;
        self.steer(move |what| match what {
            What::Connect(_) if left > 0 => {
                left -= 1;
                Treatment::CutBefore
            }
            _ => Treatment::Pass,
        });
        self.cut();
        self.look_from(from);
        for _ in 0..=AWAY {
            self.comes_back().await?;
        }
        self.steer_no_more();
        // Whoever keeps its session does not subscribe again.
        Ok(())
    }

    /// Kills the device and starts it again, where the suite can do that.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn start_again(&mut self, pattern: Pattern) -> Checked {
        if self.subject.lacks(crate::case::Claim::Resumes).is_some() {
            return Ok(());
        }
        self.kill().await;
        self.look_from(self.seen_count());
        self.start_device(pattern).await
    }

    /// Demands the rules of all that the device reports, counting `requirements` as checked when
    /// there is anything to check.
    pub fn rules_hold(&mut self, pattern: Pattern, requirements: &[&'static str]) {
        let count = self.history(pattern).states.len();
        for requirement in requirements {
            self.demand(requirement, count > 0, "a report to look at", "none");
        }
    }

    /// Ends the case: the rules that hold for everything, and the device itself.
    ///
    /// # Errors
    /// What ended the case, unless it ended well.
    pub async fn finish_device(&mut self, pattern: Pattern, result: Checked) -> Checked {
        let mut told = std::collections::BTreeSet::new();
        for flaw in flaws(pattern, self.spelling(), &self.history(pattern)) {
            // What goes wrong in every report is told once.
            if told.insert((flaw.requirement, flaw.allowed)) {
                self.demand(flaw.requirement, false, flaw.allowed, flaw.seen);
            }
        }
        let is_gone = self.has_ended();
        self.kill().await;
        self.name_deviations(is_gone, result)
    }

    /// Says of what was found where it is known from the published samples.
    fn name_deviations(&mut self, is_gone: bool, mut result: Checked) -> Checked {
        let mut moments = self.asked.clone();
        let mut twin = json!({});
        for report in self.reports(0) {
            history::merge(&mut twin, &report.patch);
            moments.push((report.number, Moment::Shown(twin.clone())));
        }
        // What was asked comes before the reports that followed.
        moments.sort_by_key(|(number, _)| *number);
        let mut moments: Vec<Moment> = moments.into_iter().map(|(_, moment)| moment).collect();
        if is_gone {
            moments.push(Moment::Gone);
        }
        for deviation in recognise(&moments) {
            let text = format!(
                "; known of the published samples as {}: {}",
                deviation.name, deviation.text
            );
            for finding in &mut self.bench.findings {
                if finding.requirement.as_deref() == deviation.requirement {
                    finding.seen.push_str(&text);
                }
            }
            if let Err(Stop::Broken { requirement, seen, .. }) = &mut result
                && deviation.requirement == Some(requirement)
            {
                seen.push_str(&text);
            }
        }
        result
    }
}
