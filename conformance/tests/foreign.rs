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

/// Why a command that can be started is broken.
async fn broken(command: &[&str]) -> String {
    match run(command).await {
        Ok(trial) => trial.broken.unwrap_or_default(),
        Err(error) => format!("it does not start: {error}"),
    }
}

#[tokio::test]
async fn an_implementation_that_is_missing_or_babbles_is_an_error() {
    let error = run(&["twinspec-no-such-program"]).await.unwrap_err().to_string();
    assert!(error.starts_with("twinspec-no-such-program"), "{error}");
    let problem = broken(&["yes", "no JSON"]).await;
    assert!(problem.contains("unreadable"), "{problem}");
    let problem = broken(&["cat", "/dev/zero"]).await;
    assert!(problem.contains("a line is longer than 4194304 bytes"), "{problem}");
}

#[tokio::test]
async fn an_implementation_that_ends_is_told_with_its_status() {
    for (command, words) in [
        ("true", "the command ended with status 0"),
        ("exit 7", "the command ended with status 7"),
        ("read line; exit 3", "the command ended with status 3"),
        ("kill -SEGV $$", "the command ended with signal 11"),
    ] {
        let problem = broken(&["sh", "-c", command]).await;
        assert_eq!(problem, format!("twin-patch-a001: {words}"));
    }
}

/// Answers `count` cases wrongly, then does `then`.
fn answering(count: usize, then: &str) -> String {
    format!(
        "import json,sys,time\n\
         for n, line in enumerate(sys.stdin):\n\
         \x20if n == {count}: break\n\
         \x20print(json.dumps({{'id':json.loads(line)['id'],'expect':{{'result':'wrong'}}}}),flush=True)\n\
         {then}"
    )
}

#[tokio::test]
async fn what_was_compared_before_a_crash_is_kept() {
    if !has_python() {
        return;
    }
    for (then, words) in [
        ("sys.exit(9)", "the command ended with status 9"),
        ("print('not JSON',flush=True); time.sleep(60)", "is unreadable"),
    ] {
        let trial = run(&["python3", "-c", &answering(20, then)]).await.unwrap();
        assert_eq!((trial.failed.len() + trial.noted.len(), trial.answered()), (20, 20));
        assert!(trial.cases > 100);
        let problem = trial.broken.unwrap();
        assert!(problem.starts_with("twin-patch-a021: ") && problem.contains(words), "{problem}");
    }
}

#[tokio::test]
async fn what_a_command_does_after_its_last_answer_is_told() {
    if !has_python() {
        return;
    }
    let trial =
        run(&["python3", "-c", &answering(9999, "print('bye'); sys.exit(4)")]).await.unwrap();
    assert_eq!(trial.broken.unwrap(), "the command ended with status 4 after its last answer");
    assert!(trial.warnings.iter().any(|line| line.contains("bye")), "{:?}", trial.warnings);
    let trial = run(&["python3", "-c", &answering(9999, "time.sleep(60)")]).await.unwrap();
    assert_eq!(trial.broken, None);
    assert!(trial.warnings.iter().any(|line| line.contains("did not end")), "{:?}", trial.warnings);
}

#[tokio::test]
async fn a_difference_is_cut_where_nobody_reads_on() {
    if !has_python() {
        return;
    }
    let long = answering(1, "").replace("'wrong'", "'x'*1000000");
    let trial = run(&["python3", "-c", &long]).await.unwrap();
    let line = trial.failed.first().unwrap();
    assert!(line.len() < 2000 && line.contains("bytes in all"), "{} bytes", line.len());
}

#[tokio::test]
async fn nothing_of_an_implementation_is_left() {
    let sleep = mark(7);
    let script = format!("(setsid sleep {sleep} &); sleep {sleep} & echo no JSON; sleep {sleep}");
    let problem = broken(&["sh", "-c", &script]).await;
    assert!(problem.contains("unreadable"), "{problem}");
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
        let problem = broken(&["yes", &answer]).await;
        assert!(problem.contains(words), "{problem}");
    }
}
