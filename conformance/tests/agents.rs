//! Agents that misbehave as programs: a clear verdict, their words kept, nothing of them left.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

mod ports;
mod processes;

use ports::taken_port;
use processes::{lives, mark, nothing_left, wait_until};

/// Seconds that an agent may take to connect, when it does.
const CONNECTS: u32 = 60;

/// Seconds that are waited for one that does not.
const NEVER_CONNECTS: u32 = 2;

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A profile in a file of its own that starts `command`.
fn profile(name: &str, command: &[&str], connect_s: u32, more: &str) -> PathBuf {
    let path = scratch(&format!("{name}.toml"));
    let command = serde_json::to_string(command).unwrap();
    let text = format!(
        "name = \"{name}\"\n[start]\ncommand = {command}\nconnect_s = {connect_s}\n{more}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn test_agent(profile: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinspec"));
    command.args(["test", "agent", "--profile"]).arg(profile).args(arguments);
    command.env_remove("TWINSPEC_AGENT").output().expect("twinspec can be started")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn an_agent_that_exits_at_once_is_no_verdict_with_its_last_words() {
    let script = "echo cannot find my configuration >&2; exit 7";
    let profile = profile("exits", &["sh", "-c", script], NEVER_CONNECTS, "");
    let output = test_agent(&profile, &["--filter", "startup"]);
    assert_eq!(output.status.code(), Some(3));
    let text = stdout(&output);
    assert!(text.contains("never connected: the agent ended with exit status: 7"), "{text}");
    assert!(text.contains("cannot find my configuration"), "{text}");
}

#[test]
fn an_agent_that_never_connects_ends_each_case_and_the_run_goes_on() {
    let mark = mark(1);
    let profile = profile(
        "never",
        &["sh", "-c", &format!("sleep {mark} & sleep {mark}")],
        NEVER_CONNECTS,
        "",
    );
    let began = Instant::now();
    let output = test_agent(&profile, &["--filter", "ADU-AGENT-*", "--jobs", "8"]);
    assert_eq!(output.status.code(), Some(3));
    let text = stdout(&output);
    assert!(text.contains("the agent never connected"), "{text}");
    // Nobody waits for it in every case.
    assert!(text.contains("in a row before"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(120));
    nothing_left(&mark);
}

#[test]
fn an_agent_that_is_not_there_is_named() {
    let profile = profile("missing", &["./no-such-agent"], NEVER_CONNECTS, "");
    let output = test_agent(&profile, &["--filter", "startup-message"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("start.command: program ") && text.contains("no-such-agent: No such"));
}

/// The reference agent, wrapped in a shell so that what a vendor's program might do is done besides.
fn wrapped(before: &str) -> Vec<String> {
    let agent = format!(
        "{before} exec '{}' agent --mqtt {{mqtt_url}} --connection-string '{{connection_string}}' \
         --ca {{ca_file}} --root-keys {{root_keys_file}} --work-dir {{work_dir}} \
         --back-off-min-ms 200 --back-off-max-ms 2000 --resend-after 1 --answer-timeout 2",
        env!("CARGO_BIN_EXE_twinspec")
    );
    vec!["sh".to_owned(), "-c".to_owned(), agent]
}

#[test]
fn an_agent_that_floods_its_output_and_leaves_children_is_judged_and_swept_up() {
    let mark = mark(2);
    let command = wrapped(&format!(
        "i=0; while [ $i -lt 20000 ]; do echo noise $i; i=$((i+1)); done; setsid sleep {mark} & "
    ));
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let profile = profile("noisy", &words, CONNECTS, "");
    let report = scratch("noisy.json");
    let argument = format!("json={}", report.display());
    let filter = ["--filter", "startup-message,deployment-success", "--report", &argument];
    let output = test_agent(&profile, &filter);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    nothing_left(&mark);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(report["cases"][0]["role"], "agent");
}

#[test]
fn what_left_its_session_and_environment_is_swept_up_and_other_agents_go_on() {
    let mark = mark(3);
    // An orphan that nothing in its own process tells apart, from several agents at once.
    let command = wrapped(&format!("(setsid env -i sleep {mark} &); "));
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let profile = profile("leaver", &words, CONNECTS, "");
    let report = scratch("leaver.json");
    let argument = format!("json={}", report.display());
    let output =
        test_agent(&profile, &["--filter", "startup", "--jobs", "4", "--report", &argument]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    nothing_left(&mark);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert!(report["summary"]["pass"].as_u64().unwrap() >= 4, "{}", report["summary"]);
}

#[test]
fn a_suite_that_is_killed_leaves_no_agent_behind() {
    let (mark, orphan) = (mark(5), mark(6));
    let script = format!("(setsid env -i sleep {orphan} &); sleep {mark}");
    let path = scratch("outlives.toml");
    let text = format!(
        "name = \"outlives\"\n[start]\ncommand = [\"sh\", \"-c\", {script:?}]\nconnect_s = 60\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut suite = Command::new(env!("CARGO_BIN_EXE_twinspec"))
        .args(["test", "agent", "--filter", "startup-message", "--profile"])
        .arg(&path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The whole names: the suite's own arguments do not hold them.
    wait_until("the agent and its orphan live", || {
        assert!(suite.try_wait().unwrap().is_none(), "the run ended early");
        lives(&format!("sleep\0{mark}")) && lives(&format!("sleep\0{orphan}"))
    });
    suite.kill().unwrap();
    suite.wait().unwrap();
    nothing_left(&mark);
    nothing_left(&orphan);
}

#[test]
fn what_an_agent_writes_is_in_the_trace_at_its_time() {
    let command = wrapped("echo good morning; sleep 0.5; ");
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let profile = profile("talker", &words, CONNECTS, "");
    let traces = scratch("talker-traces");
    let folder = traces.display().to_string();
    let output = test_agent(&profile, &["--filter", "startup-message", "--traces", &folder]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let text = std::fs::read_to_string(traces.join("startup-message.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let time = |record: Option<&Value>| record.unwrap()["at_us"].as_u64().unwrap();
    let written = time(records.iter().find(|r| r["event"]["wrote"] == "good morning"));
    let connected = time(records.iter().find(|r| r["event"]["sent"]["packet"] == "CONNECT"));
    assert!(written < connected, "{written} {connected}");
}

#[test]
fn an_agent_that_ignores_sigterm_is_warned_of_and_killed() {
    let mark = mark(4);
    // The shell stays, deaf, and its child is the agent.
    let mut command = wrapped("").pop().unwrap().replace(" exec ", "");
    command = format!("trap '' TERM; sleep {mark} & {command} & wait; wait; sleep {mark}");
    let profile = profile("deaf", &["sh", "-c", &command], CONNECTS, "terminate_s = 1");
    let output = test_agent(&profile, &["--filter", "network-terminates"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("WARN network-terminates"), "{}", stdout(&output));
    nothing_left(&mark);
}

#[test]
fn what_is_not_claimed_is_unsupported_with_its_reason() {
    let profile = profile("old", &["true"], NEVER_CONNECTS, "[claims]\nroot_keys = false");
    let output = test_agent(&profile, &["--filter", "signature-chain"]);
    let text = stdout(&output);
    assert!(text.contains("it has root keys of its own"), "{text}");
    assert_eq!(output.status.code(), Some(3), "nothing was judged: {text}");
}

#[test]
fn a_profile_that_makes_no_sense_is_exit_2() {
    let path = scratch("senseless.toml");
    std::fs::write(&path, "name = \"x\"\n[start]\ncommand = [\"a\", \"{hub}\"]").unwrap();
    let output = test_agent(&path, &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("there is no placeholder {hub}"), "{text}");
}

#[test]
fn files_and_folders_of_a_profile_are_looked_for_before_the_run() {
    let meet = "name = \"x\"\n[meet]\nmqtts = \"127.0.0.1:0\"\ncontent = \"127.0.0.1:0\"\n\
                device_id = \"x\"\nkey = \"AAECAwQFBgcICQoLDA0ODw==\"\nca_file = \"none/ca.pem\"\n\
                root_keys_file = \"roots.json\"\n";
    let start = "name = \"x\"\n[start]\ncommand = [\"true\"]\ndirectory = \"none\"\n";
    for (name, text, words) in [
        ("no-ca.toml", meet, "meet.ca_file: "),
        ("no-directory.toml", start, "start.directory is \"none\", and "),
    ] {
        let path = scratch(name);
        std::fs::write(&path, text).unwrap();
        let output = test_agent(&path, &["--filter", "startup-message"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(name) && told.contains(words), "{told}");
        // Relative paths begin beside the profile.
        let beside = path.parent().unwrap().join("none").display().to_string();
        assert!(told.contains(&beside), "{told}");
    }
}

#[test]
fn an_agent_that_connects_by_itself_is_waited_for() {
    let (ca, roots) = (scratch("meet-ca.pem"), scratch("meet-roots.json"));
    let work = scratch("meet-work");
    let _from_an_earlier_run = std::fs::remove_dir_all(&work);
    let _both = (std::fs::remove_file(&ca), std::fs::remove_file(&roots));
    let (_kept, port) = taken_port();
    let key = "AAECAwQFBgcICQoLDA0ODw==";
    let path = scratch("meet.toml");
    let text = format!(
        "name = \"visitor\"\n[meet]\nmqtts = \"127.0.0.1:{port}\"\ncontent = \"127.0.0.1:0\"\n\
         device_id = \"visitor\"\nkey = \"{key}\"\nca_file = {:?}\nroot_keys_file = {:?}\n",
        ca.display().to_string(),
        roots.display().to_string()
    );
    std::fs::write(&path, text).unwrap();
    let judge = std::thread::spawn(move || {
        test_agent(&path, &["--filter", "startup-message,deployment-success,signature-null"])
    });
    wait_until("the agent's files are there", || {
        assert!(!judge.is_finished(), "the run ended early");
        ca.exists() && roots.exists()
    });
    let connection = format!("HostName=localhost;DeviceId=visitor;SharedAccessKey={key}");
    let mut agent = Command::new(env!("CARGO_BIN_EXE_twinspec"))
        .args(["agent", "--connection-string", &connection])
        .args(["--mqtt", &format!("mqtts://localhost:{port}")])
        .arg("--ca")
        .arg(&ca)
        .arg("--root-keys")
        .arg(&roots)
        .arg("--work-dir")
        .arg(&work)
        .args(["--back-off-min-ms", "100", "--back-off-max-ms", "500"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let output = judge.join().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}
