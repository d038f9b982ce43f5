//! Automatic device configurations: calls, rollout, and the laws of both.

use proptest::collection::vec;
use proptest::sample::select;

use super::*;

impl Bench {
    /// Lets the hub do everything that is due by itself.
    fn settle(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..10_000 {
            let Some(due) = self.hub.rollout.due() else { return outputs };
            self.now = self.now.max(due);
            outputs.extend(self.hub.handle(self.now, Input::Tick));
        }
        panic!("the rollout never ends");
    }

    fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, &Value::Null);
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    fn put_configuration(&mut self, id: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::PUT, &format!("/configurations/{id}"), body)
    }

    fn configure(&mut self, id: &str, priority: u32, condition: &str, content: &Value) {
        let body = json!({
            "id": id,
            "priority": priority,
            "targetCondition": condition,
            "content": { "deviceContent": content },
        });
        let (status, body) = self.put_configuration(id, &body);
        assert_eq!(status, StatusCode::CREATED, "{body}");
    }

    fn tag(&mut self, device: &str, tags: &Value) {
        let path = format!("/twins/{device}");
        let (status, body) = self.call(Method::PATCH, &path, &json!({ "tags": tags }));
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    /// Desired properties without what begins with `$`.
    fn desired(&mut self, device: &str) -> Value {
        let mut desired = self.get(&format!("/twins/{device}"))["properties"]["desired"].take();
        desired.as_object_mut().unwrap().retain(|name, _| !name.starts_with('$'));
        desired
    }

    fn statuses(&mut self, device: &str) -> Value {
        self.get(&format!("/twins/{device}"))["configurations"].take()
    }
}

fn setting(path: &str, value: &Value) -> Value {
    json!({ format!("properties.desired{path}"): value })
}

#[test]
fn a_twin_takes_the_content_when_it_enters_and_loses_it_when_it_leaves() {
    let mut bench = Bench::new();
    let key = bench.device("d");
    bench.connect(1, "d", &key);
    bench.subscribe(1, "$iothub/twin/PATCH/properties/desired/#", Qos::AtMostOnce);
    bench.configure("c", 1, "tags.on = true", &setting(".fan.rpm", &json!(5)));
    assert!(bench.settle().is_empty());
    let sent = |outputs: &[Output]| match outputs {
        [Output::Send(_, Packet::Publish(publish))] => {
            serde_json::from_slice::<Value>(&publish.payload).unwrap()
        }
        other => panic!("{other:?}"),
    };
    bench.tag("d", &json!({ "on": true }));
    assert_eq!(sent(&bench.settle()), json!({ "fan": { "rpm": 5 }, "$version": 2 }));
    assert_eq!(bench.statuses("d"), json!({ "c": { "status": "Applied" } }));
    assert_eq!(bench.desired("d"), json!({ "fan": { "rpm": 5 } }));
    bench.tag("d", &json!({ "on": false }));
    assert_eq!(sent(&bench.settle()), json!({ "fan": null, "$version": 3 }));
    assert_eq!((bench.desired("d"), bench.statuses("d")), (json!({}), json!(null)));
    bench.tag("d", &json!({ "on": true }));
    bench.settle();
    let (status, _) = bench.call(Method::DELETE, "/configurations/c", &Value::Null);
    assert_eq!(status, StatusCode::NO_CONTENT);
    bench.settle();
    assert_eq!(bench.desired("d"), json!({}));
}

#[test]
fn listeners_are_told_of_twins_that_configurations_change() {
    let mut bench = Bench::new();
    bench.hub = Hub::new(HubConfig { events: true, ..HubConfig::new(HOST, [7; 32]) });
    bench.device("d");
    bench.configure("c", 1, "*", &setting(".a", &json!(1)));
    let outputs = bench.settle();
    let [Output::Event(event)] = outputs.as_slice() else { panic!("{outputs:?}") };
    let event = event.to_json();
    assert_eq!(event["properties"]["opType"], "updateTwin");
    assert_eq!(event["body"]["json"]["properties"]["desired"]["a"], 1);
}

#[test]
fn calls_answer_with_the_documented_codes() {
    let mut bench = Bench::new();
    let body = json!({ "content": { "deviceContent": setting(".a", &json!(1)) } });
    let (status, made) = bench.put_configuration("c", &body);
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(bench.get("/configurations/c"), made);
    assert_eq!(bench.get("/configurations"), json!([made]));
    assert_eq!(made["content"], body["content"]);
    assert_eq!((&made["targetCondition"], &made["priority"]), (&json!(""), &json!(0)));
    let mut refused = |method: Method, path: &str, body: &Value, name: &str| {
        let (_, answer) = bench.call(method, path, body);
        let message = answer["Message"].as_str().unwrap_or_default();
        assert!(message.starts_with(&format!("ErrorCode:{name};")), "{path}: {answer}");
    };
    refused(Method::PUT, "/configurations/c", &body, "ConfigurationAlreadyExists");
    refused(Method::PUT, "/configurations/C", &body, "ArgumentInvalid");
    refused(Method::GET, "/configurations/d", &Value::Null, "ConfigurationNotFound");
    refused(Method::DELETE, "/configurations/d", &Value::Null, "ConfigurationNotFound");
    refused(Method::POST, "/configurations/c", &Value::Null, "GenericMethodNotAllowed");
    refused(Method::GET, "/configurations/c/d", &Value::Null, "GenericNotFound");
    let content = json!({ "modulesContent": { "m": setting("", &json!({ "a": 1 })) } });
    let apply = "/devices/d/applyConfigurationContent";
    refused(Method::POST, apply, &content, "DeviceNotFound");
    bench.device("d");
    let (status, _) = bench.call(Method::POST, apply, &content);
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let edge = json!({ "capabilities": { "iotEdge": true } });
    bench.call(Method::PUT, "/devices/e", &edge);
    let apply = "/devices/e/applyConfigurationContent";
    assert_eq!(bench.call(Method::POST, apply, &content).0, StatusCode::NO_CONTENT);
    assert_eq!(bench.desired("e/modules/m"), json!({ "a": 1 }));
}

#[test]
fn one_more_than_allowed_is_refused() {
    let mut bench = Bench::new();
    for number in 0..100 {
        bench.configure(&format!("c{number}"), 1, "", &setting(".a", &json!(1)));
    }
    let body = json!({ "content": { "deviceContent": setting(".a", &json!(1)) } });
    let (status, answer) = bench.put_configuration("one-more", &body);
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer["Message"].as_str().unwrap().contains("ConfigurationCountLimitExceeded"));
}

#[test]
fn metrics_count_targets_and_rows() {
    let mut bench = Bench::new();
    for (device, group) in [("d1", 1), ("d2", 1), ("d3", 2)] {
        bench.device(device);
        bench.tag(device, &json!({ "bay": group }));
    }
    bench.configure("high", 9, "tags.bay = 2", &setting(".a", &json!(9)));
    let query = "SELECT deviceId FROM devices WHERE configurations.[[low]].status = 'Applied'";
    let body = json!({
        "priority": 1,
        "targetCondition": "*",
        "content": { "deviceContent": setting(".a", &json!(1)) },
        "metrics": { "queries": { "mine": query } },
    });
    bench.put_configuration("low", &body);
    bench.settle();
    let low = bench.get("/configurations/low");
    let results = json!({ "targetedCount": 3, "appliedCount": 2 });
    assert_eq!(low["systemMetrics"]["results"], results);
    assert_eq!(low["metrics"], json!({ "results": { "mine": 2 }, "queries": { "mine": query } }));
    assert_eq!(bench.statuses("d3")["low"]["status"], "Targeted");
    for (name, count) in [("targetedCount", 3), ("appliedCount", 2)] {
        let query = low["systemMetrics"]["queries"][name].as_str().unwrap();
        let body = json!({ "query": query });
        let (_, rows) = bench.call(Method::POST, "/devices/query", &body);
        assert_eq!(rows.as_array().unwrap().len(), count, "{query}");
    }
}

#[test]
fn modules_are_configured_by_conditions_of_their_own() {
    let mut bench = Bench::new();
    bench.device("d");
    bench.call(Method::PUT, "/devices/d/modules/m", &json!({}));
    let body = json!({
        "targetCondition": "from devices.modules where moduleId = 'm'",
        "content": { "moduleContent": setting(".a", &json!(1)) },
    });
    assert_eq!(bench.put_configuration("c", &body).0, StatusCode::CREATED);
    bench.settle();
    assert_eq!(bench.desired("d/modules/m"), json!({ "a": 1 }));
    assert_eq!(bench.desired("d"), json!({}));
}

#[test]
fn a_twin_that_cannot_take_the_content_is_targeted_only() {
    let mut bench = Bench::new();
    bench.device("d");
    let own: serde_json::Map<String, Value> =
        (0..9).map(|n| (format!("k{n}"), json!("x".repeat(3500)))).collect();
    let body = json!({ "properties": { "desired": own } });
    assert_eq!(bench.call(Method::PATCH, "/twins/d", &body).0, StatusCode::OK);
    bench.configure("c", 1, "*", &setting(".more", &json!("x".repeat(3500))));
    bench.settle();
    assert_eq!(bench.statuses("d"), json!({ "c": { "status": "Targeted" } }));
    let body = json!({ "properties": { "desired": { "k0": null } } });
    bench.call(Method::PATCH, "/twins/d", &body);
    bench.settle();
    assert_eq!(bench.statuses("d"), json!({ "c": { "status": "Applied" } }));
}

#[test]
fn many_twins_are_looked_at_in_slices_and_a_change_of_one_looks_at_one() {
    let mut bench = Bench::new();
    for hundred in 0..25 {
        let items: Vec<Value> =
            (0..100).map(|n| json!({ "id": format!("d{:04}", hundred * 100 + n) })).collect();
        bench.call(Method::POST, "/devices", &json!(items));
    }
    bench.configure("c", 1, "*", &setting(".a", &json!(1)));
    let ticks = |bench: &mut Bench| {
        let mut ticks = 0;
        while let Some(due) = bench.hub.next_deadline() {
            bench.now = bench.now.max(due);
            bench.hub.handle(bench.now, Input::Tick);
            ticks += 1;
        }
        ticks
    };
    assert_eq!(ticks(&mut bench), 3);
    assert_eq!(bench.desired("d2499"), json!({ "a": 1 }));
    bench.tag("d0000", &json!({ "x": 1 }));
    assert_eq!(ticks(&mut bench), 1);
    assert_eq!(bench.get("/configurations/c")["systemMetrics"]["results"]["appliedCount"], 2500);
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Create(usize, u32, &'static str, Value),
    Update(usize, u32, &'static str),
    Delete(usize),
    Tag(usize, u32),
    /// A back end replaces all desired properties with its own.
    Replace(usize),
    Settle,
}

const DEVICES: [&str; 3] = ["d0", "d1", "d2"];

const CONDITIONS: [&str; 4] = ["*", "", "tags.g = 1", "tags.g > 0"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let values =
        vec![json!(1), json!(2), json!(null), json!({ "c": 3 }), json!({ "c": null, "d": {} })];
    let paths = vec!["a", "b", "b.c", "b.d"];
    let content = vec((select(paths), select(values)), 1..3).prop_map(|settings| {
        let setting = |(path, value)| (format!("properties.desired.{path}"), value);
        settings.into_iter().map(setting).collect::<Value>()
    });
    let condition = || select(CONDITIONS.to_vec());
    let step = prop_oneof![
        4 => (0..4_usize, 0..3_u32, condition(), content).prop_map(|(id, priority, when, what)| {
            Step::Create(id, priority, when, what)
        }),
        2 => (0..4_usize, 0..3_u32, condition()).prop_map(|(id, priority, when)| {
            Step::Update(id, priority, when)
        }),
        2 => (0..4_usize).prop_map(Step::Delete),
        4 => (0..3_usize, 0..3_u32).prop_map(|(device, group)| Step::Tag(device, group)),
        1 => (0..3_usize).prop_map(Step::Replace),
        4 => Just(Step::Settle),
    ];
    vec(step, 1..40)
}

/// The second evaluator: everything from scratch, in the plainest way.
#[derive(Default)]
struct Plain {
    /// Id, priority, condition, content; the oldest first.
    configurations: Vec<(usize, u32, &'static str, Value)>,
    groups: [Option<u32>; 3],
}

impl Plain {
    fn holds(&self, condition: &str, device: usize) -> bool {
        match condition {
            "*" => true,
            "tags.g = 1" => self.groups[device] == Some(1),
            "tags.g > 0" => self.groups[device].is_some_and(|group| group > 0),
            _ => false,
        }
    }

    /// What the configurations leave in the twin of `device`.
    fn desired(&self, device: usize) -> Value {
        let mut targets: Vec<_> =
            self.configurations.iter().filter(|c| self.holds(c.2, device)).collect();
        targets.sort_by_key(|configuration| configuration.1);
        let mut desired = json!({});
        for (.., content) in targets {
            let mut settings: Vec<_> = content.as_object().unwrap().iter().collect();
            settings.sort_by_key(|(path, _)| path.len());
            for (path, value) in settings {
                let names: Vec<&str> = path.split('.').skip(2).collect();
                let (last, above) = names.split_last().unwrap();
                let mut place = &mut desired;
                for name in above {
                    if !place[*name].is_object() {
                        place[*name] = json!({});
                    }
                    place = &mut place[*name];
                }
                place[*last] = value.clone();
            }
        }
        without_nulls(&desired)
    }
}

fn without_nulls(value: &Value) -> Value {
    let Some(members) = value.as_object() else { return value.clone() };
    let kept = members.iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
}

fn take(bench: &mut Bench, plain: &mut Plain, step: Step) {
    let number = |plain: &Plain, id| plain.configurations.iter().position(|c| c.0 == id);
    match step {
        Step::Create(id, priority, condition, content) => {
            if number(plain, id).is_none() {
                bench.configure(&format!("c{id}"), priority, condition, &content);
                plain.configurations.push((id, priority, condition, content));
            }
        }
        Step::Update(id, priority, condition) => {
            if let Some(number) = number(plain, id) {
                let body = json!({ "priority": priority, "targetCondition": condition });
                let answer = bench.update_configuration(&format!("c{id}"), &body);
                assert_eq!(answer, StatusCode::OK);
                plain.configurations[number].1 = priority;
                plain.configurations[number].2 = condition;
            }
        }
        Step::Delete(id) => {
            if let Some(number) = number(plain, id) {
                bench.call(Method::DELETE, &format!("/configurations/c{id}"), &Value::Null);
                plain.configurations.remove(number);
            }
        }
        Step::Tag(device, group) => {
            bench.tag(DEVICES[device], &json!({ "g": group }));
            plain.groups[device] = Some(group);
        }
        Step::Replace(device) => {
            let body = json!({ "properties": { "desired": { "own": 1 } } });
            bench.call(Method::PUT, &format!("/twins/{}", DEVICES[device]), &body);
        }
        Step::Settle => drop(bench.settle()),
    }
}

impl Bench {
    fn update_configuration(&mut self, id: &str, body: &Value) -> StatusCode {
        let policy = self.hub.policies().first().unwrap();
        let expiry = self.now.after(Duration::from_secs(60));
        let token = auth::sign(&policy.primary_key, HOST, expiry, Some(&policy.name)).unwrap();
        let request = http::Request::builder()
            .method(Method::PUT)
            .uri(format!("/configurations/{id}?api-version=2021-04-12"))
            .header(http::header::AUTHORIZATION, token)
            .header(http::header::IF_MATCH, "\"*\"")
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let outputs = self.hub.handle(self.now, Input::Request(ExchangeId(0), request));
        match outputs.as_slice() {
            [Output::Respond(_, response)] => response.status(),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However twins and configurations changed, each twin ends with the settings that a plain
    /// evaluation from scratch gives it, its own properties, and nothing else.
    #[test]
    fn every_history_ends_with_the_settings_of_the_winners(steps in steps()) {
        let mut bench = Bench::new();
        let mut plain = Plain::default();
        for device in DEVICES {
            bench.device(device);
            let body = json!({ "properties": { "desired": { "own": 1 } } });
            bench.call(Method::PATCH, &format!("/twins/{device}"), &body);
        }
        for step in steps {
            take(&mut bench, &mut plain, step);
        }
        bench.settle();
        for (number, device) in DEVICES.into_iter().enumerate() {
            let mut expected = plain.desired(number);
            expected["own"] = json!(1);
            prop_assert_eq!(bench.desired(device), expected);
            let targets = plain.configurations.iter().filter(|c| plain.holds(c.2, number));
            let ids: std::collections::BTreeSet<String> =
                targets.map(|configuration| format!("c{}", configuration.0)).collect();
            let statuses = bench.statuses(device);
            let seen = statuses.as_object().into_iter().flatten().map(|(id, _)| id.clone());
            prop_assert_eq!(seen.collect::<std::collections::BTreeSet<_>>(), ids);
        }
    }

    /// Once settled, a hub is at rest: nothing is due, and a tick changes nothing.
    #[test]
    fn a_settled_hub_is_at_rest(steps in steps()) {
        let mut bench = Bench::new();
        let mut plain = Plain::default();
        DEVICES.into_iter().for_each(|device| drop(bench.device(device)));
        for step in steps {
            take(&mut bench, &mut plain, step);
        }
        bench.settle();
        prop_assert_eq!(bench.hub.next_deadline(), None);
        let before = DEVICES.map(|device| bench.get(&format!("/twins/{device}")));
        // Every twin is looked at once more.
        let (now, all) = (bench.now, |_: &Entity| true);
        bench.hub.touch_all(now, all);
        prop_assert!(bench.settle().is_empty());
        let after = DEVICES.map(|device| bench.get(&format!("/twins/{device}")));
        prop_assert_eq!(before, after);
    }
}
