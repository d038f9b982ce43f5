//! The command line as a person and as a script meet it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

#[path = "../ports/mod.rs"]
mod ports;
mod report;
mod served;
mod unusable;
mod usage;

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
