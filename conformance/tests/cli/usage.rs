//! Wrong usage: exit code 2, with what was wrong and what is allowed.

use std::process::Output;

use super::{STRANGER, scratch, stderr, stdout, twinspec};

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
