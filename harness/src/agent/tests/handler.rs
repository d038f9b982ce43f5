use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use twinspec_model::agent::{Call, Component, Outcome, Phase, Work};
use twinspec_model::update::manifest::Manifest;

use super::Folder;
use crate::agent::handler::{Handlers, Stop};
use crate::agent::{HandlerSpec, Log};

struct Bench {
    folder: Folder,
    handlers: Handlers,
}

impl Bench {
    fn new(spec: HandlerSpec) -> Self {
        let folder = Folder::new();
        let file = |name: &str| folder.path().join(name);
        let handlers = Handlers {
            specs: Arc::new(BTreeMap::from([("test/handler:1".to_owned(), spec)])),
            lock: file("handler.lock"),
            output: file("handler.log"),
            memory: file("simulator.json"),
            phase: Duration::from_secs(20),
            grace: Duration::from_secs(20),
            log: Log::new(|_| {}),
        };
        Self { folder, handlers }
    }

    /// A script that ends as `body` says; `$result` is its result file, `$phase` its phase.
    fn script(body: &str) -> Self {
        let bench = Self::new(HandlerSpec::Script);
        let head = "#!/bin/sh\necho \"$@\" >> calls\nphase=$1\n\
            while [ $# -gt 0 ]; do case \"$1\" in --result-file) result=$2;; esac; shift; done\n";
        fs::create_dir_all(bench.work()).unwrap();
        fs::write(bench.work().join("run.sh"), format!("{head}{body}\n")).unwrap();
        bench
    }

    fn work(&self) -> std::path::PathBuf {
        self.folder.path().join("work")
    }

    async fn run(&self, call: &Call) -> Outcome {
        let (_sender, stop) = Stop::new();
        self.run_until(call, stop).await
    }

    async fn run_until(&self, call: &Call, stop: Stop) -> Outcome {
        let aside = self.folder.path().join("results");
        self.handlers.run(call, self.work(), aside, stop).await
    }
}

fn call(phase: Phase, properties: Value) -> Call {
    let manifest = json!({
        "manifestVersion": "4",
        "updateId": { "provider": "F", "name": "N", "version": "1.0" },
        "compatibility": [{ "a": "b" }],
        "instructions": { "steps": [{
            "handler": "test/handler:1", "files": ["f"], "handlerProperties": properties,
        }] },
        "files": { "f": { "fileName": "run.sh", "sizeInBytes": 1, "hashes": {
            "sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        } } },
    });
    let manifest = Manifest::parse(&manifest.to_string()).unwrap();
    let generation = twinspec_model::agent::Generation::Two;
    let plan = twinspec_model::agent::Plan::of(&manifest, BTreeMap::new(), generation).unwrap();
    let work: Vec<Work> = plan
        .steps
        .into_iter()
        .filter_map(|step| match step {
            twinspec_model::agent::Step::Inline(work) => Some(work),
            twinspec_model::agent::Step::Reference(_) => None,
        })
        .collect();
    let work = work.into_iter().next().unwrap();
    let (workflow, folder) = ("w".to_owned(), "0".to_owned());
    Call { workflow, step: 0, folder, component: None, phase, work }
}

fn scripted(phase: Phase) -> Call {
    call(phase, json!({ "scriptFileName": "run.sh" }))
}

fn writes(text: &str) -> String {
    format!("echo '{text}' > \"$result\"")
}

#[tokio::test]
async fn a_result_file_says_how_a_phase_ended() {
    for (text, code, extended, details) in [
        (r#"{"resultCode":600,"extendedResultCode":0,"resultDetails":"x"}"#, 600, 0, "x"),
        (r#"{"resultCode":600}"#, 600, 0, ""),
        (r#"{"resultCode":0,"extendedResultCode":811597825}"#, 0, 0x3060_0001, ""),
        (r#"{"resultCode":0,"extendedResultCode":-1}"#, 0, 0xFFFF_FFFF, ""),
        (r#"{"resultCode":0}"#, 0, 0x3050_0206, ""),
        (r#"{"resultCode":-1,"resultDetails":null}"#, -1, 0, ""),
    ] {
        let bench = Bench::script(&writes(text));
        let outcome = bench.run(&scripted(Phase::Install)).await;
        let expected = (code, if extended == 0x3060_0001 { 811_597_825 } else { extended });
        assert_eq!((outcome.code, outcome.extended), expected, "{text}");
        assert_eq!(outcome.details, details);
    }
}

#[tokio::test]
async fn a_script_that_fails_otherwise_is_a_failure() {
    for (body, extended) in [
        ("exit 7", 0x3050_1007),
        ("exit 0", 0x3050_0206),
        ("echo '{' > \"$result\"", 0x3050_0206),
        ("kill -TERM $$", 0x3050_108F),
    ] {
        let bench = Bench::script(body);
        let outcome = bench.run(&scripted(Phase::Install)).await;
        assert_eq!((outcome.code, outcome.extended), (0, extended), "{body}");
    }
}

#[tokio::test]
async fn a_result_of_another_run_does_not_count() {
    let bench = Bench::script(&writes(r#"{"resultCode":600}"#));
    assert_eq!(bench.run(&scripted(Phase::Install)).await.code, 600);
    let script = bench.work().join("run.sh");
    fs::write(script, "#!/bin/sh\nexit 0\n").unwrap();
    assert_eq!(bench.run(&scripted(Phase::Install)).await.code, 0);
}

#[tokio::test]
async fn a_script_is_called_as_its_api_version_says() {
    let result = writes(r#"{"resultCode":600}"#);
    for (properties, first) in [
        (json!({ "scriptFileName": "run.sh" }), "--action-install --work-folder"),
        (
            json!({ "scriptFileName": "run.sh", "apiVersion": "1.1", "arguments": "-a  b" }),
            "--action install -a b --work-folder",
        ),
    ] {
        let bench = Bench::script(&result);
        let mut call = call(Phase::Install, properties);
        call.component = Some(Component {
            id: "0".to_owned(),
            name: "left".to_owned(),
            group: String::new(),
            manufacturer: "F".to_owned(),
            model: "M".to_owned(),
            properties: BTreeMap::from([("path".to_owned(), "/dev/m0".to_owned())]),
        });
        bench.run(&call).await;
        let calls = fs::read_to_string(bench.work().join("calls")).unwrap();
        assert!(calls.starts_with(first), "{calls}");
        for words in [
            "--installed-criteria n/a",
            "--component-name-val left",
            "--component-group-val n/a",
            "--component-path-val /dev/m0",
        ] {
            assert!(calls.contains(words), "{words} in {calls}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_script_is_told_and_may_end_by_itself() {
    let body = "case $phase in --action-cancel) touch stop;; \
                *) while [ ! -e stop ]; do sleep 0.02; done; \
                echo '{\"resultCode\":-1}' > \"$result\";; esac";
    let bench = Bench::script(body);
    let (sender, stop) = Stop::new();
    sender.send_replace(true);
    // It was told to stop before it began: it never begins.
    assert_eq!(bench.run_until(&scripted(Phase::Install), stop).await.code, -1);
    let (sender, stop) = Stop::new();
    let call = scripted(Phase::Install);
    let run = bench.run_until(&call, stop);
    let tell = async {
        while !bench.work().join("calls").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sender.send_replace(true);
    };
    let (outcome, ()) = tokio::join!(run, tell);
    assert_eq!((outcome.code, outcome.extended), (-1, 0));
    let calls = fs::read_to_string(bench.work().join("calls")).unwrap();
    assert_eq!(calls.matches("--action-cancel").count(), 1);
}

#[tokio::test]
async fn a_cancelled_script_that_goes_on_is_killed_with_all_it_started() {
    let body = "case $phase in --action-cancel) ;; *) sleep 60 & echo $! > child; wait;; esac";
    let mut bench = Bench::script(body);
    bench.handlers.grace = Duration::from_millis(300);
    let (sender, stop) = Stop::new();
    let call = scripted(Phase::Install);
    let began = Instant::now();
    let run = bench.run_until(&call, stop);
    let child = bench.work().join("child");
    let tell = async {
        while fs::read_to_string(&child).unwrap_or_default().trim().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sender.send_replace(true);
    };
    let (outcome, ()) = tokio::join!(run, tell);
    assert_eq!(outcome.code, -1);
    assert!(began.elapsed() < Duration::from_secs(15));
    let child = fs::read_to_string(child).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    let is_gone = || {
        let state = fs::read_to_string(&stat).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    };
    // Dying takes the machine a moment.
    while !is_gone() {
        assert!(began.elapsed() < Duration::from_secs(15), "it lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_a_failure() {
    let mut bench = Bench::script("sleep 60");
    bench.handlers.phase = Duration::from_millis(200);
    let outcome = bench.run(&scripted(Phase::Install)).await;
    assert_eq!((outcome.code, outcome.extended), (0, 0x3050_1089));
    assert_eq!(outcome.details, "it took too long");
}

#[tokio::test]
async fn a_script_whose_file_is_still_held_is_started_when_it_is_free() {
    let bench = Bench::script(&writes(r#"{"resultCode":600}"#));
    let held = fs::File::options().append(true).open(bench.work().join("run.sh")).unwrap();
    let let_go = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(held);
    };
    let call = scripted(Phase::Install);
    let (outcome, ()) = tokio::join!(bench.run(&call), let_go);
    assert_eq!((outcome.code, outcome.details.as_str()), (600, ""));
}

#[tokio::test]
async fn two_scripts_never_run_at_once() {
    let body =
        format!("mkdir busy || exit 9; sleep 0.2; rmdir busy; {}", writes(r#"{"resultCode":600}"#));
    let bench = Bench::script(&body);
    let call = scripted(Phase::Install);
    let (first, second) = tokio::join!(bench.run(&call), bench.run(&call));
    assert_eq!((first.code, second.code), (600, 600));
}

#[tokio::test]
async fn the_simulator_remembers_what_was_applied() {
    let bench = Bench::new(HandlerSpec::Simulator(None));
    let one = json!({ "installedCriteria": "one" });
    let run =
        async |phase, properties: &Value| bench.run(&call(phase, properties.clone())).await.code;
    assert_eq!(run(Phase::IsInstalled, &one).await, 901);
    for (phase, code) in [
        (Phase::Download, 500),
        (Phase::Backup, 1000),
        (Phase::Install, 600),
        (Phase::Apply, 700),
        (Phase::Restore, 1100),
        (Phase::Cancel, 800),
        (Phase::IsInstalled, 900),
    ] {
        assert_eq!(run(phase, &one).await, code);
    }
    assert_eq!(run(Phase::IsInstalled, &json!({ "installedCriteria": "two" })).await, 901);
}

#[tokio::test]
async fn what_the_simulator_remembers_is_never_half_written() {
    let bench = Bench::new(HandlerSpec::Simulator(None));
    let apply = async |criteria: &str| {
        bench.run(&call(Phase::Apply, json!({ "installedCriteria": criteria }))).await
    };
    apply("one").await;
    let before = fs::read(&bench.handlers.memory).unwrap();
    let same_file = bench.folder.path().join("same-file");
    fs::hard_link(&bench.handlers.memory, &same_file).unwrap();
    apply("two").await;
    // A new file took its place.
    assert_eq!(fs::read(&same_file).unwrap(), before);
    assert_ne!(fs::read(&bench.handlers.memory).unwrap(), before);
}

#[tokio::test]
async fn the_simulator_does_as_its_file_says() {
    let folder = Folder::new();
    let file = folder.path().join("plan.json");
    let bench = Bench::new(HandlerSpec::Simulator(Some(file.clone())));
    let plan = json!({ "phases": {
        "install": { "resultCode": 0, "extendedResultCode": 5, "resultDetails": "no" },
        "download": { "resultCode": 500, "delayMs": 60_000 },
    } });
    fs::write(&file, plan.to_string()).unwrap();
    let outcome = bench.run(&call(Phase::Install, json!({}))).await;
    assert_eq!(outcome, Outcome { code: 0, extended: 5, details: "no".to_owned() });
    let (sender, stop) = Stop::new();
    sender.send_replace(true);
    assert_eq!(bench.run_until(&call(Phase::Download, json!({})), stop).await.code, -1);
    fs::write(&file, r#"{"phases":{"instal":{"resultCode":1}}}"#).unwrap();
    let outcome = bench.run(&call(Phase::Install, json!({}))).await;
    assert!(outcome.details.contains("unknown variant"), "{}", outcome.details);
}
