//! `twinspec serve`, and runs against a hub that was started so: keys, rights, signals.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{STRANGER, read_json, scratch, stderr, stdout, twinspec};

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
