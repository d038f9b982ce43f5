//! Foreign implementations on the vectors: right, wrong, silent, gone.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinspec::vectors::foreign::{Trial, try_out};

mod processes;

use processes::{mark, nothing_left};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

async fn run(command: &[&str]) -> std::io::Result<Trial> {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    try_out(&folder(), |family| family == "twin-patch", &command).await
}

/// Whether the machine has a Python to run the example with.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no python3");
    }
    found
}

#[tokio::test]
async fn the_python_example_merges_as_expected() {
    if !has_python() {
        return;
    }
    let script = folder().join("examples/merge.py").display().to_string();
    let trial = run(&["python3", &script]).await.unwrap();
    assert_eq!((trial.failed, trial.noted, trial.unsupported), (vec![], vec![], vec![]));
    assert!(trial.passed > 100);
}

#[tokio::test]
async fn a_wrong_implementation_is_told_case_by_case() {
    if !has_python() {
        return;
    }
    let shallow = "import json,sys\n\
        for line in sys.stdin:\n\
        \x20r=json.loads(line); i=r['input']\n\
        \x20print(json.dumps({'id':r['id'],'expect':{'result':{**i['stored'],**(i['patch'] or {})}}}),flush=True)";
    let trial = run(&["python3", "-c", shallow]).await.unwrap();
    assert!(trial.passed > 0);
    assert!(trial.failed.iter().any(|line| line.starts_with("twin-patch-a0")));
}

#[tokio::test]
async fn an_implementation_that_is_missing_ends_or_babbles_is_an_error() {
    let error = run(&["twinspec-no-such-program"]).await.unwrap_err().to_string();
    assert!(error.starts_with("twinspec-no-such-program"), "{error}");
    assert!(run(&["true"]).await.is_err());
    let error = run(&["yes", "no JSON"]).await.unwrap_err().to_string();
    assert!(error.contains("unreadable"), "{error}");
    let error = run(&["cat", "/dev/zero"]).await.unwrap_err().to_string();
    assert!(error.contains("a line is longer than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn nothing_of_an_implementation_is_left() {
    let sleep = mark(7);
    let script = format!("(setsid sleep {sleep} &); sleep {sleep} & echo no JSON; sleep {sleep}");
    let error = run(&["sh", "-c", &script]).await.unwrap_err().to_string();
    assert!(error.contains("unreadable"), "{error}");
    nothing_left(&sleep);
}

#[tokio::test]
async fn an_answer_says_one_thing() {
    for (members, words) in [
        (r#""expect":{},"unsupported":"later""#, "both expect and unsupported"),
        (r#""unsupported":" ""#, "unsupported without a reason"),
        (r#""unsupported":null"#, "neither expect nor unsupported"),
    ] {
        let answer = format!(r#"{{"id":"twin-patch-a001",{members}}}"#);
        let error = run(&["yes", &answer]).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
