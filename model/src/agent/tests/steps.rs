//! Updates of several steps, children for components, scripts and files
//! (device-update-agent.md §§ 6.11, 6.12).

use serde_json::{Value, json};

use super::world::{EMPTY, complete, file, manifest, now, plan, settings};
use crate::agent::{
    Agent, Call, Component, FetchOrder, Fetched, Generation, Input, Outcome, Output, Persisted,
    Phase, RestartKind, Settings, Validation,
};

/// An agent that was given a deployment, and what it asked for, in order, as text.
struct Bench {
    agent: Agent,
    /// Answers: the first whose words are all in the text of a call, else success.
    outcomes: Vec<(&'static str, Outcome)>,
    fetches: Vec<(&'static str, Fetched)>,
    asked: Vec<String>,
    end: Option<Value>,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let agent = Agent::new(settings, Persisted::default());
        let (outcomes, fetches, asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { agent, outcomes, fetches, asked, end: None };
        bench.drive(Input::Connected, "");
        bench
    }

    fn with_components(names: &[&str]) -> Self {
        let component = |name: &&str| Component {
            id: (*name).to_owned(),
            name: (*name).to_owned(),
            group: "motors".to_owned(),
            manufacturer: "Fabrikam".to_owned(),
            model: "M1".to_owned(),
            properties: [("side".to_owned(), "left".to_owned())].into(),
        };
        let components = Some(names.iter().map(component).collect());
        Self::new(Settings { components, ..settings(Generation::Two) })
    }

    fn deploy(&mut self, manifest: &str) {
        let service = json!({
            "workflow": { "action": 3, "id": "w" },
            "updateManifest": manifest,
            "updateManifestSignature": "a.b.c",
            "fileUrls": { "f1": "http://c/f1", "f2": "http://c/f2", "child": "http://c/child" },
        });
        let patch = json!({ "deviceUpdate": { "service": service }, "$version": 2 });
        self.drive(Input::Patch(patch), manifest);
    }

    fn drive(&mut self, input: Input, manifest: &str) {
        let mut inputs = vec![input];
        for _ in 0..200 {
            let Some(input) = inputs.pop() else { return };
            for output in self.agent.handle(input, now()) {
                inputs.extend(self.obey(output, manifest));
            }
        }
        assert!(inputs.is_empty(), "it does not come to an end");
    }

    fn obey(&mut self, output: Output, manifest: &str) -> Option<Input> {
        match output {
            Output::Send { report, patch } => {
                let agent = &patch["deviceUpdate"]["agent"];
                if agent["state"] == 0 || agent["state"] == 255 {
                    self.end = Some(agent.clone());
                }
                Some(Input::Answered { report, status: 204 })
            }
            Output::Validate { job, .. } => {
                let plan = Ok(plan(manifest));
                let validation = Box::new(Validation { store: None, notes: Vec::new(), plan });
                Some(Input::Validated { job, validation })
            }
            Output::Fetch { job, order } => {
                let outcome = self.fetch(&order);
                Some(Input::Fetched { job, outcome })
            }
            Output::Run { job, call } => {
                let outcome = self.run(&call);
                Some(Input::Ran { job, outcome })
            }
            Output::Restart(kind) => {
                self.asked.push(format!("restart {kind:?}"));
                None
            }
            _ => None,
        }
    }

    fn fetch(&mut self, order: &FetchOrder) -> Fetched {
        let text = format!("fetch {}/{}", order.folder, order.name);
        self.asked.push(text.clone());
        let known = self.fetches.iter().find(|(words, _)| text.contains(words));
        known.map_or_else(complete, |(_, outcome)| outcome.clone())
    }

    fn run(&mut self, call: &Call) -> Outcome {
        let component = call.component.as_ref().map(|c| format!(" {}", c.name));
        let component = component.unwrap_or_default();
        let text = format!("{} {}{component}", call.phase.name(), call.folder);
        self.asked.push(text.clone());
        let known = self.outcomes.iter().find(|(words, _)| text.contains(words));
        known.map(|(_, outcome)| outcome.clone()).unwrap_or_else(|| usual(call.phase))
    }

    fn step(&self, step: usize) -> Value {
        let end = self.end.as_ref().unwrap();
        end["lastInstallResult"]["stepResults"][format!("step_{step}")]["resultCode"].clone()
    }

    fn code(&self) -> (Value, Value) {
        let end = self.end.as_ref().unwrap();
        (end["state"].clone(), end["lastInstallResult"]["extendedResultCode"].clone())
    }
}

fn usual(phase: Phase) -> Outcome {
    Outcome::of(match phase {
        Phase::IsInstalled => 901,
        Phase::Download => 500,
        Phase::Backup => 1000,
        Phase::Install => 600,
        Phase::Apply => 700,
        Phase::Restore => 1100,
        Phase::Cancel => 800,
    })
}

/// A signed number as it stands in reports of generation 2.
fn signed(code: u32) -> Value {
    json!(code.cast_signed())
}

fn two_steps() -> String {
    let steps = json!([
        { "handler": "test/resident:1", "files": ["f1"] },
        { "handler": "test/resident:1", "files": ["f2"] },
    ]);
    manifest("two", &steps, &json!({ "f1": file("one"), "f2": file("two") }))
}

fn one_script(properties: Value) -> String {
    let steps = json!([{
        "handler": "microsoft/script:1",
        "handlerProperties": properties,
        "files": ["f2", "f1"],
    }]);
    manifest("script", &steps, &json!({ "f1": file("run.sh"), "f2": file("data") }))
}

#[test]
fn steps_run_in_order_downloads_before_installs() {
    let mut bench = Bench::new(settings(Generation::Two));
    bench.deploy(&two_steps());
    let expected = [
        "is-installed 0",
        "is-installed 1",
        "fetch 0/one",
        "download 0",
        "fetch 1/two",
        "download 1",
        "fetch 0/one",
        "is-installed 0",
        "backup 0",
        "install 0",
        "apply 0",
        "fetch 1/two",
        "is-installed 1",
        "backup 1",
        "install 1",
        "apply 1",
    ];
    assert_eq!(bench.asked, expected);
    assert_eq!((bench.step(0), bench.step(1)), (json!(700), json!(700)));
}

#[test]
fn a_step_that_fails_stops_the_rest() {
    let mut bench = Bench::new(settings(Generation::Two));
    bench.outcomes = vec![("install 0", Outcome::failure(0x3050_0001, "no"))];
    bench.outcomes.insert(0, ("is-installed", Outcome::of(901)));
    bench.deploy(&two_steps());
    assert!(bench.asked.ends_with(&["install 0".to_owned(), "restore 0".to_owned()]));
    assert_eq!(bench.code(), (json!(255), signed(0x3050_0001)));
    // The second step was downloaded, and that is how far it came.
    assert_eq!((bench.step(0), bench.step(1)), (json!(0), json!(500)));
}

#[test]
fn a_step_that_is_installed_is_passed_over() {
    let mut bench = Bench::new(settings(Generation::Two));
    bench.outcomes = vec![("is-installed 0", Outcome::of(900))];
    bench.deploy(&two_steps());
    assert!(!bench.asked.contains(&"install 0".to_owned()));
    assert!(bench.asked.contains(&"apply 1".to_owned()));
    assert_eq!((bench.step(0), bench.step(1)), (json!(603), json!(700)));
}

#[test]
fn an_install_that_was_there_already_is_not_applied() {
    let mut bench = Bench::new(settings(Generation::Two));
    bench.outcomes = vec![("is-installed", Outcome::of(901)), ("install 0", Outcome::of(603))];
    bench.deploy(&two_steps());
    assert!(!bench.asked.contains(&"apply 0".to_owned()));
    assert_eq!((bench.step(0), bench.step(1)), (json!(603), json!(700)));
}

#[test]
fn a_restart_halfway_stops_there() {
    for (code, kind) in [(605, RestartKind::Reboot), (608, RestartKind::Agent)] {
        let mut bench = Bench::new(settings(Generation::Two));
        bench.outcomes = vec![("is-installed", usual(Phase::IsInstalled))];
        bench.outcomes.push(("install 0", Outcome::of(code)));
        bench.deploy(&two_steps());
        let last = bench.asked.last().unwrap();
        assert_eq!(*last, format!("restart {kind:?}"));
        assert!(bench.end.is_none());
    }
}

#[test]
fn a_script_is_fetched_before_it_is_asked_and_its_data_after() {
    let mut bench = Bench::new(settings(Generation::Two));
    bench.deploy(&one_script(json!({ "scriptFileName": "run.sh" })));
    let first = ["fetch 0/run.sh", "is-installed 0", "fetch 0/data", "fetch 0/run.sh"];
    assert_eq!(bench.asked[..4], first);
    let mut bench = Bench::new(settings(Generation::Two));
    bench.outcomes = vec![("is-installed", Outcome::of(900))];
    bench.deploy(&one_script(json!({ "scriptFileName": "run.sh" })));
    assert_eq!(bench.asked, ["fetch 0/run.sh", "is-installed 0"]);
}

#[test]
fn files_that_are_not_what_the_manifest_says_are_given_to_no_handler() {
    let wrong = Fetched::Complete { size: 0, hash: vec![0; 32], text: None };
    let Fetched::Complete { hash, .. } = complete() else { return };
    let long = Fetched::Complete { size: 1, hash, text: None };
    for (outcome, code) in [
        (wrong, 0x0010_0003),
        (long, 0x4000_000C),
        (Fetched::Status(404), 0x4020_0194),
        (Fetched::Failed("stalled".to_owned()), 0x4020_0000),
    ] {
        let mut bench = Bench::new(settings(Generation::Two));
        bench.fetches = vec![("fetch 1/two", outcome)];
        bench.deploy(&two_steps());
        assert_eq!(bench.code(), (json!(255), signed(code)));
        assert_eq!(bench.asked.last().unwrap(), "fetch 1/two");
        assert_eq!((bench.step(0), bench.step(1)), (json!(500), json!(0)));
    }
}

#[test]
fn a_file_without_url_or_with_a_weak_hash_fails() {
    let steps = json!([{ "handler": "test/resident:1", "files": ["f9"] }]);
    let files = json!({ "f9": file("nine") });
    let mut bench = Bench::new(settings(Generation::Two));
    bench.deploy(&manifest("x", &steps, &files));
    assert_eq!(bench.code(), (json!(255), signed(0x4000_0007)));
    let files = json!({ "f9": {
        "fileName": "nine", "sizeInBytes": 0, "hashes": { "sha1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=" },
    } });
    let mut bench = Bench::new(settings(Generation::Two));
    bench.deploy(&manifest("x", &steps, &files));
    assert_eq!(bench.code(), (json!(255), signed(0x4000_0008)));
}

#[test]
fn an_unknown_handler_fails_before_anything_is_fetched() {
    let steps = json!([
        { "handler": "test/resident:1", "files": ["f1"] },
        { "handler": "nobody/knows:1", "files": ["f1"] },
    ]);
    let mut bench = Bench::new(settings(Generation::Two));
    bench.deploy(&manifest("x", &steps, &json!({ "f1": file("one") })));
    assert_eq!(bench.code(), (json!(255), signed(0x3000_0003)));
    assert_eq!(bench.asked, ["is-installed 0"]);
}

/// A parent whose one step is a child with `steps`, and the file of that child.
fn with_child(steps: &Value) -> (String, Fetched) {
    let child = manifest("child", steps, &json!({ "f1": file("one") }));
    let text = json!({ "updateManifest": child, "updateManifestSignature": "junk" }).to_string();
    let parent = json!([{ "type": "reference", "detachedManifestFileId": "child" }]);
    let parent = manifest("parent", &parent, &json!({ "child": file("child.json") }));
    let Fetched::Complete { size, hash, .. } = complete() else {
        return (parent, Fetched::Status(0));
    };
    (parent, Fetched::Complete { size, hash, text: Some(text) })
}

fn inline() -> Value {
    json!([{ "handler": "test/resident:1", "files": ["f1"] }])
}

#[test]
fn a_child_runs_once_for_each_component_it_selects() {
    let (parent, file) = with_child(&inline());
    let mut bench = Bench::with_components(&["left", "right", "rear"]);
    bench.fetches = vec![("child.json", file)];
    bench.deploy(&parent);
    assert_eq!(bench.asked[0], "fetch 0/child.json");
    let installs: Vec<&String> =
        bench.asked.iter().filter(|text| text.starts_with("install ")).collect();
    assert_eq!(installs, ["install 0-0 left", "install 0-0 right", "install 0-0 rear"]);
    assert_eq!((bench.step(0), bench.step(1)), (json!(700), json!(null)));
}

#[test]
fn a_child_that_selects_no_component_is_passed_over() {
    let (parent, file) = with_child(&inline());
    let mut bench = Bench::with_components(&[]);
    bench.fetches = vec![("child.json", file)];
    bench.deploy(&parent);
    assert_eq!(bench.asked, ["fetch 0/child.json"]);
    assert_eq!(bench.end.as_ref().unwrap()["state"], 0);
    assert!(bench.end.as_ref().unwrap()["installedUpdateId"].is_string());
    assert_eq!(bench.step(0), 604);
}

#[test]
fn without_an_enumerator_a_child_runs_once_on_the_host() {
    let (parent, file) = with_child(&inline());
    let mut bench = Bench::new(settings(Generation::Two));
    bench.fetches = vec![("child.json", file)];
    bench.deploy(&parent);
    let installs = bench.asked.iter().filter(|text| text.starts_with("install ")).count();
    assert_eq!(installs, 1);
}

#[test]
fn a_child_inside_a_child_fails() {
    let (parent, file) =
        with_child(&json!([{ "type": "reference", "detachedManifestFileId": "f1" }]));
    let mut bench = Bench::new(settings(Generation::Two));
    bench.fetches = vec![("child.json", file)];
    bench.deploy(&parent);
    assert_eq!(bench.code(), (json!(255), signed(0x3040_0009)));
}

#[test]
fn a_child_with_another_hash_fails_and_shows_no_steps() {
    let (parent, _) = with_child(&inline());
    let mut bench = Bench::new(settings(Generation::Two));
    let text = Some("{}".to_owned());
    bench.fetches = vec![("child.json", Fetched::Complete { size: 0, hash: vec![1], text })];
    bench.deploy(&parent);
    assert_eq!(bench.code(), (json!(255), signed(0x0010_0003)));
    assert_eq!(bench.end.unwrap()["lastInstallResult"]["stepResults"], json!(null));
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn the_strongest_hash_is_asked_for() {
    let sha512 = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+\
                  SfaPg==";
    let files = json!({ "f1": {
        "fileName": "one", "sizeInBytes": 0, "hashes": { "sha256": EMPTY, "sha512": sha512 },
    } });
    let plan = plan(&manifest("x", &inline(), &files));
    let crate::agent::Step::Inline(work) = &plan.steps[0] else { return };
    let (algorithm, hash) = work.files[0].hash().unwrap();
    assert_eq!((algorithm.name(), hash.len()), ("sha512", 64));
}

#[test]
fn a_file_name_that_leaves_its_folder_is_refused() {
    for name in ["../x", "a/b", "..", "a\\b"] {
        let text = manifest("x", &inline(), &json!({ "f1": file(name) }));
        let manifest = crate::update::manifest::Manifest::parse(&text).unwrap();
        let refused = crate::agent::Plan::of(&manifest, [].into(), Generation::Two).unwrap_err();
        assert_eq!(refused.extended, 0x8030_0009, "{name}");
    }
}
