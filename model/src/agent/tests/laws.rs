//! The laws of the agent on long random histories; the world checks them at every moment.

use proptest::prelude::*;

use super::world::{Ending, World, deploy, no_deployment, retry, simple};
use crate::agent::{Generation, RestartKind};

/// One event; numbers choose among what is possible at that moment.
#[derive(Clone, Debug)]
enum Event {
    Deploy(u8),
    Retry(u8, u8),
    Cancel,
    Connect,
    Disconnect,
    Kill(bool),
    End(u8, u8),
    Again,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..3u8).prop_map(Event::Deploy),
        1 => (0..3u8, 0..4u8).prop_map(|(name, stamp)| Event::Retry(name, stamp)),
        1 => Just(Event::Cancel),
        1 => Just(Event::Connect),
        1 => Just(Event::Disconnect),
        1 => any::<bool>().prop_map(Event::Kill),
        1 => Just(Event::Again),
        9 => (any::<u8>(), 0..8u8).prop_map(|(job, ending)| Event::End(job, ending)),
    ]
}

fn name(number: u8) -> &'static str {
    ["a", "b", "c"].get(usize::from(number)).copied().unwrap_or("d")
}

fn apply(world: &mut World, event: &Event) {
    match event {
        Event::Deploy(number) => world.desire(deploy(name(*number), &simple(name(*number)))),
        Event::Retry(number, stamp) => {
            let name = name(*number);
            world.desire(retry(name, &simple(name), &format!("2031-01-0{stamp}T00:00:00Z")));
        }
        Event::Cancel => world.desire(no_deployment()),
        Event::Connect if !world.connected => world.connect(),
        Event::Disconnect if world.connected => world.disconnect(),
        Event::Connect | Event::Disconnect => {}
        Event::Kill(effect) => world.kill(*effect),
        Event::Again => {
            if let Some(service) = world.desired.clone()
                && world.connected
            {
                world.patch(&service, world.version);
            }
        }
        Event::End(job, ending) => {
            let count = world.jobs.len().max(1);
            let chosen = world.jobs.keys().nth(usize::from(*job) % count).copied();
            let ending = match ending {
                0 => Ending::Badly,
                1 => Ending::Asking(RestartKind::Agent),
                2 => Ending::Asking(RestartKind::Reboot),
                _ => Ending::Well,
            };
            if let Some(job) = chosen {
                world.end(job, ending);
            }
            if world.restarts.pop().is_some() {
                world.kill(false);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_acknowledged_reported_and_true(
        generation in prop_oneof![Just(Generation::Two), Just(Generation::Three)],
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::connected(generation);
        for event in &events {
            apply(&mut world, event);
        }
        world.settle();
        prop_assert!(world.agent.is_idle());
        prop_assert!(world.agent.persisted().outbox.is_empty());
        if world.desired.is_some() {
            prop_assert_eq!(&world.reported["service"]["av"], &world.version);
            prop_assert_ne!(&world.reported["agent"]["state"], 6);
        }
        // Whatever comes next is carried out.
        world.desire(deploy("z", &simple("z")));
        world.settle();
        prop_assert_eq!(&world.reported["agent"]["workflow"]["id"], "z");
        prop_assert!(world.installed.contains("z"));
        prop_assert_eq!(&world.reported["agent"]["state"], 0);
    }

    /// Whatever stands in the twin, the agent neither panics nor runs anything of it.
    #[test]
    fn nothing_in_the_twin_is_too_strange(service in json(), component in json()) {
        let mut world = World::connected(Generation::Three);
        world.patch(&service, 2);
        world.handle(crate::agent::Input::Twin(component.clone()));
        world.handle(crate::agent::Input::Patch(component));
        prop_assert!(world.phases.is_empty());
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let words = prop_oneof![
        Just("workflow"),
        Just("action"),
        Just("id"),
        Just("retryTimestamp"),
        Just("fileUrls"),
        Just("updateManifest"),
        Just("rootKeyPackageUrl"),
        Just("desired"),
        Just("$version"),
        Just("deviceUpdate"),
        Just("service"),
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(3)),
        Just(json!(255)),
        Just(json!(2.5)),
        Just(json!(true)),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(words.clone(), inner, 0..6).prop_map(|members| {
                members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Value>()
            }),
        ]
    })
}
