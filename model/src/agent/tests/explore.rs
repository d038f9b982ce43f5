//! Every reachable state over all orders of events up to a depth: the laws hold in each of them.
//!
//! The world checks what holds at every moment: success is reported only of what is installed, a
//! payload is installed once in a try, state 6 comes before the work, one thing runs at a time.
//! Here every state is also brought to its end, with and without a kill: it must be the documented
//! one.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::{Debug, Write};
use std::hash::{DefaultHasher, Hasher};

use serde_json::Value;

use super::world::{Ending, Job, World, deploy, no_deployment, retry, simple};
use crate::agent::{Generation, Phase, RestartKind, conclude};
use crate::update::UpdateId;
use crate::update::result_code::Conclusion;

/// What happens at once, so that the rest can be followed further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtOnce {
    Nothing,
    /// Questions, downloads of files, root key packages, backup and restore.
    Trifles,
}

/// How often the service changes its mind, and how often something breaks.
const ORDERS: u32 = 3;
const TROUBLES: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    DeployA,
    DeployB,
    RetryA,
    Cancel,
    Disconnect,
    Connect,
    Kill { effect: bool },
    End(u64, Ending),
}

#[derive(Clone)]
struct State {
    world: World,
    orders: u32,
    troubles: u32,
    at_once: AtOnce,
}

impl State {
    /// What tells states apart, as a hash.
    fn key(&self) -> u64 {
        struct Digest(DefaultHasher);
        impl Write for Digest {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        let world = &self.world;
        let parts: [&dyn Debug; 8] = [
            &world.agent,
            &world.connected,
            &world.desired,
            &world.reported,
            &world.jobs,
            &world.installed,
            &self.orders,
            &self.troubles,
        ];
        let mut digest = Digest(DefaultHasher::new());
        write!(digest, "{parts:?}").unwrap();
        digest.0.finish()
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.orders < ORDERS {
            events.extend([Event::DeployA, Event::DeployB, Event::RetryA, Event::Cancel]);
        }
        if self.troubles < TROUBLES {
            events.push(Event::Kill { effect: false });
            let applies = |job: &Job| matches!(job, Job::Run(c) if c.phase == Phase::Apply);
            if self.world.jobs.values().any(applies) {
                events.push(Event::Kill { effect: true });
            }
            if self.world.connected {
                events.push(Event::Disconnect);
            }
        }
        if !self.world.connected {
            events.push(Event::Connect);
        }
        for (id, job) in &self.world.jobs {
            events.push(Event::End(*id, Ending::Well));
            let phase = match job {
                Job::Run(call) => Some(call.phase),
                Job::RootKeys | Job::Validate(_) | Job::Fetch => None,
            };
            if !matches!(phase, Some(Phase::IsInstalled | Phase::Restore)) {
                events.push(Event::End(*id, Ending::Badly));
            }
            if matches!(phase, Some(Phase::Install | Phase::Apply)) {
                events.push(Event::End(*id, Ending::Asking(RestartKind::Agent)));
            }
        }
        events
    }

    fn after(&self, event: Event) -> Self {
        let mut next = self.clone();
        let world = &mut next.world;
        match event {
            Event::DeployA => world.desire(deploy("a", &simple("a"))),
            Event::DeployB => world.desire(deploy("b", &simple("b"))),
            Event::RetryA => {
                let stamp = format!("2031-01-0{}T00:00:00Z", self.orders + 1);
                world.desire(retry("a", &simple("a"), &stamp));
            }
            Event::Cancel => world.desire(no_deployment()),
            Event::Disconnect => world.disconnect(),
            Event::Connect => world.connect(),
            Event::Kill { effect } => {
                world.kill(effect);
                world.connect();
            }
            Event::End(job, ending) => {
                world.end(job, ending);
                if world.restarts.pop().is_some() {
                    world.kill(false);
                    world.connect();
                }
            }
        }
        match event {
            Event::DeployA | Event::DeployB | Event::RetryA | Event::Cancel => next.orders += 1,
            Event::Disconnect | Event::Kill { .. } => next.troubles += 1,
            Event::Connect | Event::End(..) => {}
        }
        while let Some(job) = next.trifle() {
            next.world.end(job, Ending::Well);
        }
        next
    }

    fn trifle(&self) -> Option<u64> {
        if self.at_once == AtOnce::Nothing {
            return None;
        }
        let is_trifle = |job: &Job| match job {
            Job::RootKeys | Job::Fetch => true,
            Job::Run(call) => {
                matches!(call.phase, Phase::IsInstalled | Phase::Backup | Phase::Restore)
            }
            Job::Validate(_) => false,
        };
        self.world.jobs.iter().find(|(_, job)| is_trifle(job)).map(|(id, _)| *id)
    }
}

/// What must hold once nothing is going on any more.
fn check_end(mut world: World, path: &[Event]) {
    world.settle();
    assert!(world.agent.is_idle(), "{path:?} never ends");
    assert!(world.agent.persisted().outbox.is_empty(), "{path:?}: reports are left");
    let Some(service) = &world.desired else {
        return;
    };
    assert_eq!(world.reported["service"]["av"], world.version, "{path:?}: not acknowledged");
    let agent = &world.reported["agent"];
    let id = service["workflow"]["id"].as_str().unwrap();
    if service["workflow"]["action"] == 255 {
        assert_ne!(agent["state"], 6, "{path:?}: cancelled, and still in progress");
        return;
    }
    let update = format!(r#"{{"provider":"Fabrikam","name":"{id}","version":"1.0"}}"#);
    let conclusion = conclude(agent, id, &UpdateId::parse(&update).unwrap());
    let installed = world.installed.contains(id);
    match conclusion {
        Some(Conclusion::Succeeded) => assert!(installed, "{path:?}: a false success"),
        Some(Conclusion::Failed) => {}
        Some(Conclusion::InProgress) | None => {
            assert!(agent == &Value::Null, "{path:?}: {agent} says nothing of {id}");
        }
    }
}

/// Goes through all states that `depth` events lead to; how many there are.
fn explore(generation: Generation, at_once: AtOnce, depth: usize) -> usize {
    let mut world = World::connected(generation);
    world.records = false;
    let start = State { world, orders: 0, troubles: 0, at_once };
    let mut seen = BTreeSet::from([start.key()]);
    let mut ends = BTreeSet::new();
    let mut queue = VecDeque::from([(start, Vec::new())]);
    while let Some((state, path)) = queue.pop_front() {
        let mut killed = state.clone();
        killed.world.kill(false);
        // Many states look alike after a kill.
        if ends.insert(killed.key()) {
            check_end(killed.world, &path);
        }
        check_end(state.world.clone(), &path);
        if path.len() == depth {
            continue;
        }
        for event in state.events() {
            let next = state.after(event);
            if seen.insert(next.key()) {
                let path = [path.as_slice(), &[event]].concat();
                queue.push_back((next, path));
            }
        }
    }
    seen.len()
}

// The numbers are what these depths lead to; a smaller one means that events lead nowhere.

#[test]
fn every_order_of_6_events_leads_to_a_documented_end() {
    let count = explore(Generation::Three, AtOnce::Nothing, 6);
    assert!(count > 2_500, "{count}");
}

#[test]
fn every_order_of_7_events_that_matter_leads_to_a_documented_end() {
    let count = explore(Generation::Two, AtOnce::Trifles, 7);
    assert!(count > 5_000, "{count}");
}
