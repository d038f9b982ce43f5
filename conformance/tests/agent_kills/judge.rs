//! What must hold of what really ran and of what was reported, whenever the agent was killed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::deployment::{Deployment, Force};

/// How a life of an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was killed alone: what it had started went on.
    Alone,
    /// It was killed with everything it had started, as when the power fails.
    Together,
    /// It ended by itself, or lives.
    Own,
}

/// A line that a payload wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) workflow: String,
    pub(crate) step: usize,
    pub(crate) life: usize,
    pub(crate) phase: String,
    pub(crate) word: String,
    pub(crate) code: i64,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut next = || words.next();
        Some(Self {
            workflow: next()?.to_owned(),
            step: next()?.parse().ok()?,
            life: next()?.parse().ok()?,
            phase: next()?.to_owned(),
            word: next()?.to_owned(),
            code: next().map_or(Some(0), |code| code.parse().ok())?,
        })
    }

    fn begins(&self) -> bool {
        self.word == "begin"
    }

    fn is_same_run(&self, other: &Self) -> bool {
        (&self.workflow, self.step, self.life, &self.phase)
            == (&other.workflow, other.step, other.life, &other.phase)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { workflow, step, life, phase, word, code } = self;
        write!(formatter, "{workflow} step {step} life {life}: {phase} {word} {code}")
    }
}

/// The lines of `log`; a line that cannot be read is a flaw.
pub(crate) fn parse(log: &str) -> Result<Vec<Line>, String> {
    let line = |text| Line::parse(text).ok_or_else(|| format!("an unreadable line: {text:?}"));
    log.lines().map(line).collect()
}

/// A report, and how many lines payloads had written when the hub saw it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) agent: Value,
    pub(crate) lines: usize,
}

impl Report {
    pub(crate) fn is_about(&self, workflow: &str) -> bool {
        self.agent["workflow"]["id"] == workflow
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.agent["state"] == 0 || self.agent["state"] == 255
    }
}

/// What is wrong with a device: `lives` tells how each life of its agent ended.
pub(crate) fn flaws(
    deployments: &[Deployment],
    lines: &[Line],
    reports: &[Report],
    lives: &[Fate],
) -> Vec<String> {
    let mut flaws = serial(lines, lives);
    for deployment in deployments {
        let own: Vec<(usize, &Line)> =
            lines.iter().enumerate().filter(|(_, l)| l.workflow == deployment.workflow).collect();
        let told = reports.iter().filter(|report| report.is_about(&deployment.workflow));
        let told: Vec<&Report> = told.collect();
        flaws.extend(reported(deployment, &own, &told));
        flaws.extend(ran(deployment, &own));
    }
    flaws
}

/// Two phases never run at once, and every one that began ended, unless it was killed.
fn serial(lines: &[Line], lives: &[Fate]) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut open: Option<&Line> = None;
    for line in lines {
        match line.word.as_str() {
            "begin" => {
                let killed = |line: &Line| lives.get(line.life) == Some(&Fate::Together);
                if let Some(before) = open.filter(|before| !killed(before)) {
                    flaws.push(format!("{line}, while there runs {before}"));
                }
                open = Some(line);
            }
            "end" => match open.take() {
                Some(begun) if begun.is_same_run(line) => {}
                other => flaws.push(format!("{line}, but there ran {other:?}")),
            },
            _ => flaws.push(format!("{line}: a file is not what the manifest says")),
        }
    }
    flaws
}

/// What was reported is true, final and as documented.
fn reported(deployment: &Deployment, own: &[(usize, &Line)], told: &[&Report]) -> Vec<String> {
    let Some(first) = told.iter().position(|report| report.is_terminal()) else {
        return vec![format!("{deployment}: no end was reported")];
    };
    let (before, after) = told.split_at(first);
    let end = after[0];
    let mut flaws = deployment.flaws_of_end(&end.agent);
    for report in before.iter().filter(|report| report.agent["state"] != 6) {
        flaws.push(format!("{deployment}: reported before the end was {}", report.agent));
    }
    // What the hub took may be sent again when the agent did not live to see the answer.
    for report in after.iter().filter(|report| report.agent != end.agent) {
        flaws.push(format!("{deployment}: after {} came {}", end.agent, report.agent));
    }
    for (_, line) in own.iter().filter(|(at, line)| *at >= end.lines && line.begins()) {
        flaws.push(format!("{deployment}: after its end there began {line}"));
    }
    let claims = told.iter().filter(|report| {
        let text = report.agent["installedUpdateId"].as_str().unwrap_or_default();
        serde_json::from_str::<Value>(text).is_ok_and(|update| update == deployment.update)
    });
    for claim in claims {
        for (step, force) in deployment.steps.iter().enumerate() {
            let by_then = own.iter().filter(|(at, _)| *at < claim.lines);
            if !by_then.into_iter().any(|(_, line)| is_in_force(line, step, *force)) {
                flaws.push(format!("{deployment}: success reported, step {step} not installed"));
            }
        }
    }
    flaws
}

fn is_in_force(line: &Line, step: usize, force: Force) -> bool {
    line.step == step && line.phase == force.phase() && line.word == "end" && line.code > 0
}

/// What ran, ran in order, once in each life, and never again once it was in force.
fn ran(deployment: &Deployment, own: &[(usize, &Line)]) -> Vec<String> {
    let mut flaws = Vec::new();
    let mut in_force: BTreeMap<usize, usize> = BTreeMap::new();
    let mut begun = BTreeSet::new();
    for (_, line) in own {
        let step = line.step;
        let Some(force) = deployment.steps.get(step).copied() else {
            flaws.push(format!("{line}: there is no such step"));
            continue;
        };
        if line.begins() && line.phase != "is-installed" {
            if !begun.insert((step, line.life, &line.phase)) {
                flaws.push(format!("{line}: twice in one life"));
            }
            let goes_on = line.phase == "apply" && force == Force::Install;
            if in_force.get(&step).is_some_and(|life| !(goes_on && *life == line.life)) {
                flaws.push(format!("{line}: it was installed already"));
            }
        }
        if line.begins() && line.phase == "install" {
            if step >= deployment.steps_installed_max() {
                flaws.push(format!("{line}: nothing of this step may be installed"));
            }
            if (0..step).any(|earlier| !in_force.contains_key(&earlier)) {
                flaws.push(format!("{line}: an earlier step is not installed"));
            }
            if !begun.contains(&(step, line.life, &"download".to_owned())) {
                flaws.push(format!("{line}: it was not downloaded in this life"));
            }
        }
        if line.begins() && line.phase == "apply" {
            let installed = own.iter().any(|(_, other)| {
                is_in_force(other, step, Force::Install) && other.life == line.life
            });
            if !installed {
                flaws.push(format!("{line}: it was not installed in this life"));
            }
        }
        if is_in_force(line, step, force) {
            in_force.insert(step, line.life);
        }
    }
    if deployment.kind == crate::deployment::Kind::Forged && !own.is_empty() {
        flaws.push(format!("{deployment}: something of it ran"));
    }
    flaws
}
