//! The command line as a person and as a script meet it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

mod ports;

use ports::taken_port;

/// A policy's connection string with a key that no hub knows.
const STRANGER: &str = "HostName=localhost;SharedAccessKeyName=iothubowner;\
                        SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn twinspec(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinspec"));
    command.args(arguments).env_remove("TWINSPEC_CONNECTION_STRING");
    command.output().expect("twinspec can be started")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn read_json(path: &PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A server that serves one kind of trouble on a free port, for each connection.
fn troublesome(trouble: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || trouble(stream));
        }
    });
    port
}

fn silent(mut stream: std::net::TcpStream) {
    let mut drop_everything = [0; 1024];
    while stream.read(&mut drop_everything).is_ok_and(|length| length > 0) {}
}

fn garbage(mut stream: std::net::TcpStream) {
    let _may_fail = stream.write_all(b"\xff\xfe\xfdthis is neither MQTT nor HTTP\r\n\r\n");
    silent(stream);
}

fn throttling(mut stream: std::net::TcpStream) {
    let mut request = [0; 1024];
    let _may_fail = stream.read(&mut request);
    let _may_fail = stream.write_all(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\
          Connection: close\r\n\r\n",
    );
}

/// `twinspec test hub` against plain loopback ports: exit 3, soon, with `words` in the message.
#[track_caller]
fn unusable(mqtt: u16, http: u16, words: &str) {
    let began = Instant::now();
    let (mqtt, http) = (format!("mqtt://127.0.0.1:{mqtt}"), format!("http://127.0.0.1:{http}"));
    let arguments =
        ["test", "hub", "--mqtt", &mqtt, "--http", &http, "--connection-string", STRANGER];
    let output = twinspec(&arguments);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_hub_that_is_not_there_is_said_so() {
    let (_kept, mute) = taken_port();
    unusable(mute, mute, "no usable hub at http://127.0.0.1");
}

#[test]
fn a_port_that_accepts_and_stays_silent_is_said_so() {
    let port = troublesome(silent);
    unusable(port, port, "no answer within 5s");
}

#[test]
fn a_port_that_speaks_garbage_is_said_so() {
    let port = troublesome(garbage);
    unusable(port, port, "no usable hub at http://127.0.0.1");
}

#[test]
fn a_hub_that_throttles_from_the_start_is_said_so() {
    let port = troublesome(throttling);
    unusable(port, port, "throttles: it is asked again for up to 150 seconds\n");
    unusable(port, port, "throttles, still after 0 seconds: HTTP 429");
}

#[test]
fn a_policy_without_the_rights_is_told_before_the_run() {
    let hub = Served::start();
    let (mqtt, http) = (hub.endpoint("mqtt"), hub.endpoint("http"));
    for (policy, code, words) in [
        ("registryReadWrite", 0, "seems to lack the right ServiceConnect: the hub at http://"),
        ("service", 3, "refuses the connection string's policy or key"),
    ] {
        let key = hub.announcement["policies"][policy].as_str().unwrap();
        let string =
            format!("HostName=localhost;SharedAccessKeyName={policy};SharedAccessKey={key}");
        let output = twinspec(&[
            "test",
            "hub",
            "--mqtt",
            mqtt,
            "--http",
            http,
            "--connection-string",
            &string,
            "--filter",
            "twin-get-echoes-rid",
        ]);
        assert_eq!(output.status.code(), Some(code), "{}", stdout(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert_eq!(hub.stop(), Some(0));
}

/// A `twinspec serve` that is stopped by SIGTERM.
struct Served {
    process: std::process::Child,
    announcement: Value,
}

impl Served {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_twinspec"))
            .args(["serve", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--devices", "1"])
            .args(["--key", "a text", "--format", "json"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let mut documents = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
        let announcement = documents.next().unwrap().unwrap();
        Self { process, announcement }
    }

    fn endpoint(&self, name: &str) -> &str {
        self.announcement["endpoints"][name].as_str().unwrap()
    }

    fn stop(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(killed.success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Served {
    /// A hub that outlives a failed test would keep the test's output open.
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
    }
}

#[test]
fn a_separately_started_hub_is_judged_and_a_wrong_key_is_told() {
    let hub = Served::start();
    let right = hub.announcement["service_connection_string"].as_str().unwrap();
    let (mqtt, http) = (hub.endpoint("mqtt"), hub.endpoint("http"));
    let arguments =
        ["test", "hub", "--mqtt", mqtt, "--http", http, "--no-slow", "--connection-string"];
    let judged = twinspec(&[&arguments[..], &[right]].concat());
    assert_eq!(judged.status.code(), Some(0), "{}", stdout(&judged));
    assert!(stdout(&judged).contains("\nCONFORMANT"), "{}", stdout(&judged));
    assert!(stdout(&judged).contains("--no-slow leaves that out"), "{}", stdout(&judged));
    let listed = stdout(&twinspec(&[&arguments[..], &[right, "--list"]].concat()));
    assert!(listed.lines().filter(|line| line.ends_with(" (slow)")).count() > 10, "{listed}");
    assert!(!stdout(&twinspec(&["--list"])).contains("(slow)"));
    let wrong = twinspec(&[&arguments[..], &[STRANGER]].concat());
    assert_eq!(wrong.status.code(), Some(3));
    assert!(stderr(&wrong).contains("refuses the connection string's policy or key"));
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn the_same_key_text_gives_the_same_keys_and_the_ca_file_goes_with_the_hub() {
    let (first, second) = (Served::start(), Served::start());
    let strings = |hub: &Served| hub.announcement["devices"].clone();
    assert_eq!(strings(&first), strings(&second));
    let ca = PathBuf::from(first.announcement["ca_file"].as_str().unwrap());
    assert!(ca.exists());
    assert_eq!(first.stop(), Some(0));
    assert!(!ca.exists());
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn reports_are_valid_by_the_published_schemas() {
    let (json, junit) = (scratch("report.json"), scratch("report.xml"));
    let traces = scratch("traces");
    let report = |format: &str, path: &PathBuf| format!("{format}={}", path.display());
    let output = twinspec(&[
        "--filter",
        "HUB-TWIN",
        "--seed",
        "7",
        "--report",
        &report("json", &json),
        "--report",
        &report("junit", &junit),
        "--traces",
        &traces.display().to_string(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let report = read_json(&json);
    assert_eq!(report["seed"], 7);
    assert_eq!(report["summary"]["fail"], 0);
    let schema = |name| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    let schema_of = |name| jsonschema::validator_for(&read_json(&schema(name))).unwrap();
    schema_of("report.json").validate(&report).unwrap();
    let trace_schema = schema_of("trace.json");
    let mut lines = 0;
    for entry in std::fs::read_dir(&traces).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            trace_schema.validate(&serde_json::from_str(line).unwrap()).unwrap();
            assert!(!line.contains("sig=") || line.contains("sig=[redacted]"), "{line}");
            lines += 1;
        }
    }
    assert!(lines > 50, "{lines} trace lines");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("<testsuite name=\"hub.twin\""));
}

#[test]
fn a_repeated_run_says_so_in_its_report() {
    let json = scratch("repeated.json");
    let report = format!("json={}", json.display());
    let arguments = ["--filter", "twin-get-echoes-rid", "--seed", "1", "--report", &report];
    let run = |more: &[&str]| {
        let output = twinspec(&[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
        (stdout(&output), read_json(&json))
    };
    let (text, report) = run(&["--repeat", "2"]);
    assert!(text.ends_with("2 runs, 0 cases with differing verdicts\n"), "{text}");
    assert!(text.contains("\nCONFORMANT: 1 case against "), "{text}");
    assert_eq!(report["repeated"], serde_json::json!({ "runs": 2, "differing": [] }));
    let schema = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/report.json");
    jsonschema::validator_for(&read_json(&schema)).unwrap().validate(&report).unwrap();
    assert_eq!(run(&[]).1.get("repeated"), None);
}

#[test]
fn published_schemas_are_those_of_the_program() {
    for name in ["report", "trace"] {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.json"));
        let published = std::fs::read_to_string(file).unwrap();
        assert_eq!(published, stdout(&twinspec(&["schema", name])), "schema of {name}");
    }
}

#[test]
fn a_known_failure_that_passes_is_an_unexpected_pass() {
    let known = scratch("known.toml");
    let text = "[[known]]\ncase = \"twin-get-echoes-rid\"\nreason = \"not yet\"\n";
    std::fs::write(&known, text).unwrap();
    let known = known.display().to_string();
    let output =
        twinspec(&["--filter", "twin-get-echoes-rid", "--known-failures", &known, "--seed", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("1 unexpected-pass"), "{}", stdout(&output));
}

#[test]
fn a_profile_takes_cases_out_with_its_reason() {
    let profile = scratch("profile.toml");
    let text = "[[unsupported]]\nrequirement = \"HUB-TWIN-020\"\nreason = \"never throttles\"\n";
    std::fs::write(&profile, text).unwrap();
    let (profile, json) = (profile.display().to_string(), scratch("unsupported.json"));
    let report = format!("json={}", json.display());
    let judge = |filter: &str| {
        let filter = ["--filter", filter, "--report", &report];
        twinspec(&[&["test", "hub", "--profile", &profile], &filter[..]].concat())
    };
    let output = judge("HUB-TWIN-020");
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(stdout(&output).contains("NOTHING JUDGED: 2 cases"), "{}", stdout(&output));
    let finding = &read_json(&json)["cases"][0]["findings"][0]["seen"];
    assert_eq!(finding, "HUB-TWIN-020: never throttles");
    let output = judge("HUB-TWIN-020,twin-get-echoes-rid");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("\nCONFORMANT: 3 cases"), "{}", stdout(&output));
}

#[test]
fn wrong_usage_is_exit_2_and_names_what_is_allowed() {
    for (arguments, words) in [
        (&["--filter", "no-such-case"][..], "no case matches"),
        (&["--shard", "4/3"], "expected I/N"),
        (&["--filter", "twin-get-echoes-rid", "--shard", "1/2"], "in this shard; there are 1"),
        (&["--report", "pdf=x"], "expected json=PATH or junit=PATH"),
        (&["test", "hub", "--mqtt", "mqtt://hub.example"], "accepted on loopback only"),
        (&["test", "hub", "--mqtt", "mqtt://127.0.0.1:1"], "need --connection-string"),
        (&["test", "hub", "--connection-string", "HostName=h"], "SharedAccessKeyName is missing"),
        (&["test", "hub", "--control", "http://127.0.0.1:1"], "need --connection-string"),
        (&["--filter", "HUB-TWIN-001", "--report", "json=/none/x"], "--report /none/x: No such"),
        (&["--filter", "HUB-TWIN-001", "--report", "json=/"], "--report /: Is a directory"),
        (&["--filter", "HUB-TWIN-001", "--traces", "/dev/null/x"], "--traces /dev/null/x: Not a"),
        (
            &["--filter", "HUB-TWIN-001", "--report", "json=same", "--report", "junit=same"],
            "two reports are to be written to one file",
        ),
        (&["explain", "HUB-NONE-1"], "nothing is called"),
        (&["serve", "--hostname", "not a name"], "expected a DNS name"),
        (&["serve", "--hostname", "hub..example"], "expected a DNS name"),
        (
            &["--filter", "HUB-TWIN-001", "--report", "json=same", "--report", "junit=./same"],
            "two reports are to be written to one file",
        ),
        (&["explain", "twin-get-echoes"], "it is a part of twin-get-echoes-rid"),
        (&["explain", "hub-twin-00"], "it is a part of HUB-TWIN-001, HUB-TWIN-002"),
        (&["serve", "--devices", "neither"], "neither a number from 0 to 100000 nor a readable"),
        (&["serve", "--devices", "999999999"], "--devices 999999999: allowed are 0 to 100000"),
        (&["serve", "--devices", "-1"], "--devices -1: allowed are 0 to 100000"),
        (&["serve", "--http", "foo"], "for example 127.0.0.1:8080"),
        (&["serve", "--throttle", "twin-updates=0"], "whole numbers from 1 on"),
        (&["serve", "--throttle", "twin-updates=5/0"], "whole numbers from 1 on"),
        (
            &["serve", "--throttle", "registry=1/2", "--devices", "3"],
            "a burst of 2 is too few for the 3 devices",
        ),
        (&["serve", "--ca-file", "/nonex/x"], "--ca-file /nonex/x: No such file"),
        (&["serve", "--device-ca", "/dev/null"], "--device-ca /dev/null: there is no PEM"),
        (&["--seed", "-1"], "'--seed <N>': expected a whole number from 0 to 18446744073709551615"),
        (&["--repeat", "-1"], "'--repeat <N>': -1 is not in 1.."),
        (&["--patience", "-1"], "'--patience <X>': expected a number between 0.001 and 1000"),
        (&["test", "hub", "--http", "foo"], "https://hub.example:443, or http:// on loopback"),
        (
            &["test", "hub", "--mqtt", "http://x"],
            "mqtts://hub.example:8883, or mqtt:// on loopback",
        ),
        (&["test", "hub", "--mqtt", "mqtts://u:p@h"], "a user name or a password is of no use"),
        (
            &["test", "agent", "--pattern", "twin-job", "--spelling", "c-port"],
            "--spelling is for --pattern direct-method",
        ),
        (
            &["test", "agent", "--pattern", "direct-method"],
            "needs --spelling, one of tutorial-2016",
        ),
        (&["test", "agent", "--", "no-such-program"], "no folder of PATH has a program"),
        (&["test", "agent", "--", "./no-such-program"], "./no-such-program: No such file"),
        (&["test", "agent", "--", "/dev/null"], "program /dev/null: it is no file"),
        (&["--known-failures", "/dev/zero"], "/dev/zero: it holds more than the 1048576 bytes"),
        (&["test", "hub", "--profile", "/dev/zero"], "/dev/zero: it holds more than the 1048576"),
        (
            &["serve", "--throttle", "twins=1"],
            "expected twin-reads, twin-updates, registry, queries, jobs or job-operations",
        ),
        (&["test", "hub", "--profile", "none.toml"], "none.toml"),
    ] {
        let output = twinspec(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}

/// Writes `text` to a profile and tries to judge the hub of [`STRANGER`] by it.
fn judge_by(text: &str, more: &[&str]) -> Output {
    let profile = scratch("mistaken.toml");
    std::fs::write(&profile, text).unwrap();
    let profile = profile.display().to_string();
    twinspec(&[&["test", "hub", "--profile", &profile], more].concat())
}

#[test]
fn a_mistake_in_a_profile_is_told_before_the_run() {
    let pool = "devices = [\"HostName=h;DeviceId=d;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==\"]";
    let long = format!("name = {}", "x".repeat(200_000));
    for (text, more, words) in [
        (pool, &[][..], "nothing says how to reach it: --connection-string is missing"),
        (pool, &["--connection-string", STRANGER], "device d has HostName=h, and"),
        ("[policies]\nowner = \"AAECAwQFBgcICQoLDA0ODw==\"", &[], "allowed are iothubowner, "),
        ("[policies]\nservice = \"geheim\"", &[], "policies.service is no key, allowed is base64"),
        ("settle_ms = -1", &[], "-1, allowed are whole numbers from 0 on"),
        (&long, &[], "line 1, column"),
    ] {
        let output = judge_by(text, more);
        assert_eq!(output.status.code(), Some(2), "{text:.100}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{text:.100}: {}", stderr(&output));
        assert!(stderr(&output).len() < 2000 && !stderr(&output).contains("geheim"));
    }
}

#[test]
fn an_agent_that_cannot_be_started_is_told_before_the_run() {
    let folder = scratch("not-started");
    std::fs::create_dir_all(folder.join("folder")).unwrap();
    std::fs::write(folder.join("text"), "no program").unwrap();
    let profile = folder.join("agent.toml");
    for (command, words) in [
        ("./folder", "not-started/./folder: it is no file"),
        ("./text", "not-started/./text: it is not executable"),
        ("./missing", "not-started/./missing: No such file"),
        ("text", "no folder of PATH has a program \"text\""),
    ] {
        let text = format!("name = \"a\"\n[start]\ncommand = [\"{command}\"]\n");
        std::fs::write(&profile, text).unwrap();
        let output = twinspec(&["test", "agent", "--profile", &profile.display().to_string()]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn a_term_of_a_filter_that_selects_nothing_is_told() {
    let output = twinspec(&["--filter", "nosuch-typo,twin-get-echoes-rid,!no-such", "--list"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output).lines().count(), 1);
    assert!(stderr(&output).contains("no case matches \"nosuch-typo\""), "{}", stderr(&output));
    assert!(stderr(&output).contains("no case matches \"no-such\""), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 2);
}

#[test]
fn an_agent_is_told_which_option_makes_no_sense() {
    let simulator = scratch("senseless.json");
    std::fs::write(&simulator, "{\"phases\": {\"never\": 1}}").unwrap();
    let simulator = format!("a=simulator:{}", simulator.display());
    let keyless = scratch("keyless.json");
    std::fs::write(&keyless, "{}").unwrap();
    let keyless = keyless.display().to_string();
    let device = "HostName=h;DeviceId=d;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";
    let work = scratch("senseless-work").display().to_string();
    for (string, more, words) in [
        (STRANGER, &[][..], "it is that of the policy iothubowner"),
        ("HostName=h;geheim", &[], "--connection-string: part 2 has no ="),
        (device, &["--handler", "a=program:/nope"], "--handler a: program /nope: No such file"),
        (device, &["--handler", "a=program:/dev/null"], "it is no file"),
        (device, &["--root-keys", &keyless], "there is no key in the file"),
        (device, &["--property", "model=x"], "has an option of its own, --model"),
        (device, &["--handler", &simulator], "unknown variant `never`"),
        (
            device,
            &["--back-off-min-ms", "500", "--back-off-max-ms", "100"],
            "--back-off-min-ms 500 is longer than --back-off-max-ms 100",
        ),
    ] {
        let start = ["agent", "--work-dir", &work, "--connection-string", string];
        let output = twinspec(&[&start[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{more:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("geheim"), "a key is shown");
    }
}

#[test]
fn an_agent_with_a_damaged_state_is_told_a_way_out() {
    let work = scratch("damaged");
    std::fs::create_dir_all(&work).unwrap();
    std::fs::write(work.join("state.json"), "{\"format\":1,").unwrap();
    let device = "HostName=h;DeviceId=d;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";
    let work = work.display().to_string();
    let output = twinspec(&["agent", "--work-dir", &work, "--connection-string", device]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("state.json: EOF"), "{}", stderr(&output));
    assert!(stderr(&output).contains("move the file away to have the agent begin anew"));
}

/// A run against `hub` whose cases wait for minutes, as soon as it waits.
fn waiting_run(hub: &Served, more: &[&str]) -> std::process::Child {
    let string = hub.announcement["service_connection_string"].as_str().unwrap();
    let (mqtt, http) = (hub.endpoint("mqtt"), hub.endpoint("http"));
    let mut run = Command::new(env!("CARGO_BIN_EXE_twinspec"))
        .args(["test", "hub", "--mqtt", mqtt, "--http", http, "--connection-string", string])
        .args(["--filter", "twin-get-echoes-rid,method-timeout-longest"])
        .args(more)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = [0; 64];
    run.stderr.as_mut().unwrap().read_exact(&mut told).unwrap();
    assert!(told.starts_with(b"twinspec: 1 slow case waits"), "{}", told.escape_ascii());
    run
}

fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_run_that_is_broken_off_writes_its_reports() {
    let hub = Served::start();
    let (json, junit) = (scratch("broken-off.json"), scratch("broken-off.xml"));
    let reports = [format!("json={}", json.display()), format!("junit={}", junit.display())];
    for signal in ["-INT", "-TERM", "-HUP"] {
        let run = waiting_run(&hub, &["--report", &reports[0], "--report", &reports[1]]);
        // A terminal, or `timeout`, tells a program and then its process group.
        send(signal, run.id());
        send(signal, run.id());
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stdout(&output).contains("\nNO VERDICT: "), "{}", stdout(&output));
        assert!(stdout(&output).contains(" of 2 cases were not run to their end"));
        let report = read_json(&json);
        let not_run = usize::try_from(report["not_run"].as_u64().unwrap()).unwrap();
        assert!(not_run > 0);
        assert_eq!(report["cases"].as_array().unwrap().len() + not_run, 2);
        let text = std::fs::read_to_string(&junit).unwrap();
        assert!(text.contains(" not run to the end"), "{text}");
    }
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let hub = Served::start();
    let mut run = waiting_run(&hub, &[]);
    // Where the hub stands still, cleaning up takes its time.
    send("-STOP", hub.process.id());
    send("-INT", run.id());
    let mut told = [0; 512];
    let mut output = run.stderr.take().unwrap();
    let mut text = String::new();
    while !text.contains("once more ends it at once") {
        let length = output.read(&mut told).unwrap();
        assert!(length > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&told[..length]));
    }
    let began = Instant::now();
    let ended = loop {
        // What comes within a second is the same request.
        send("-INT", run.id());
        if let Some(ended) = run.try_wait().unwrap() {
            break ended;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };
    assert_eq!(ended.code(), Some(3));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn a_hub_that_cannot_start_leaves_no_file_behind() {
    let folder = scratch("serve-fails");
    std::fs::create_dir_all(&folder).unwrap();
    let ids = scratch("ids.txt");
    std::fs::write(&ids, "no good id\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_twinspec"))
        .args(["serve", "--mqtt", "127.0.0.1:0", "--devices", &ids.display().to_string()])
        .env("TMPDIR", &folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("line 1: \"no good id\": the id contains ' '"),
        "{}",
        stderr(&output)
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_hub_that_still_registers_devices_hears_a_signal() {
    let ca = scratch("registering.pem");
    let _not_there = std::fs::remove_file(&ca);
    assert!(Command::new("mkfifo").arg(&ca).status().unwrap().success());
    let mut hub = Command::new(env!("CARGO_BIN_EXE_twinspec"))
        .args(["serve", "--mqtt", "127.0.0.1:0", "--devices", "100000"])
        .args(["--ca-file", &ca.display().to_string()])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // It is written when signals are listened to and nothing is registered yet.
    assert!(std::fs::read_to_string(&ca).unwrap().contains("BEGIN CERTIFICATE"));
    let began = Instant::now();
    send("-TERM", hub.id());
    assert_eq!(hub.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn help_says_what_is_served_where_nothing_is_named() {
    let help = stdout(&twinspec(&["serve", "--help"]));
    assert!(help.contains("with any of them, only those that are named"), "{help}");
    let help = stdout(&twinspec(&["test", "--help"]));
    assert!(help.starts_with("Judge a hub or an agent\n"), "{help}");
}

#[test]
fn a_reader_that_goes_away_ends_nothing_and_a_full_disk_is_told() {
    let list = |stdout: std::process::Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinspec"));
        command.args(["list", "cases"]).stdout(stdout).output().unwrap()
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = list(writer.into());
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = list(full.into());
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).starts_with("twinspec: standard output: "), "{}", stderr(&output));
}

#[test]
fn shards_and_lists_are_parts_of_the_whole() {
    let count = |arguments: &[&str]| stdout(&twinspec(arguments)).lines().count();
    let whole = count(&["--list"]);
    let parts: usize = ["1/3", "2/3", "3/3"].iter().map(|s| count(&["--list", "--shard", s])).sum();
    assert_eq!(whole, parts);
    let listed = stdout(&twinspec(&["list", "requirements", "--format", "json"]));
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["id"], "HUB-CONN-001");
}

#[test]
fn an_older_firmware_update_ends_as_its_pattern_documents() {
    for (arguments, end) in [
        (&["twin-job"][..], "the update has succeeded (current), as it should"),
        (&["twin-job", "--fail-at", "verify"], "(rolledback: Rolled back to: 1.0.0), as it should"),
        (&["direct-method"], "the update has succeeded (applyComplete), as it should"),
        (
            &["direct-method", "--fail-at", "apply"],
            "(applyFailed: The image cannot be written), as",
        ),
        (&["direct-method-2018"], "the update has succeeded (completed), as it should"),
        (
            &["direct-method-2018", "--fail-at", "download"],
            "(standBy again: the pattern has no word",
        ),
    ] {
        let all = [&["firmware"], arguments, &["--speed", "10"]].concat();
        let output = twinspec(&all);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        let text = stdout(&output);
        assert!(text.trim_end().lines().last().unwrap().contains(end), "{text}");
        assert!(text.contains("begins: download"), "{text}");
    }
    let output = twinspec(&["firmware", "direct-method", "--fail-at", "reboot"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("has the phases download and apply"));
}

#[test]
fn a_firmware_update_of_2016_is_shown_and_may_fail_where_it_is_told_to() {
    let show = |more: &[&str]| {
        let arguments = [&["firmware", "device-job", "--speed", "100"], more].concat();
        twinspec(&arguments)
    };
    let succeeds = show(&[]);
    assert_eq!(succeeds.status.code(), Some(0), "{}", stderr(&succeeds));
    let text = stdout(&succeeds);
    let lines = ["/5/0/3 = 2", "/5/0/3 = 3", "execute /5/0/2", "/3/0/3 = 9.1.0", "has succeeded"];
    let places: Vec<usize> = lines.iter().map(|line| text.find(line).expect(line)).collect();
    assert!(places.is_sorted(), "{text}");
    let fails = show(&["--fail-at", "download"]);
    assert_eq!(fails.status.code(), Some(0), "{}", stderr(&fails));
    assert!(stdout(&fails).contains("the update has failed"), "{}", stdout(&fails));
    let refused = show(&["--fail-at", "verify"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("download and apply"), "{}", stderr(&refused));
}

/// `twinspec vectors run` with `arguments`: its exit code, and `words` in what it tells.
#[track_caller]
fn vectors_run(arguments: &[&str], code: i32, words: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors");
    let arguments: Vec<&str> =
        ["vectors", "run", "--dir", folder].iter().chain(arguments).copied().collect();
    let output = twinspec(&arguments);
    let told = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(words), "{told}");
}

#[test]
fn families_and_folders_of_vectors_that_do_not_exist_are_wrong_usage() {
    let words = r#"no family matches "nope"; there are agent-phase, "#;
    vectors_run(&["--family", "twin-patch,nope", "--", "true"], 2, words);
    for action in ["check", "regen"] {
        let output = twinspec(&["vectors", action, "--dir", "/nope"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("/nope holds no authored"), "{}", stderr(&output));
    }
    let output = twinspec(&["vectors", "run", "--dir", "/nope", "--", "true"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn an_implementation_that_claims_nothing_or_ends_early_has_no_verdict() {
    let none = r#"sed -u -E 's/.*"id":"([^"]*)".*/{"id":"\1","unsupported":"none"}/'"#;
    let family = ["--family", "update-version", "--", "sh", "-c"];
    let with = |script| [family.as_slice(), &[script]].concat();
    vectors_run(&with(none), 3, "nothing was judged");
    vectors_run(&with("exit 5"), 3, "0 of 40 cases were answered");
}
