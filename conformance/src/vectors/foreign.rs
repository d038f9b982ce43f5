//! Trying a foreign implementation on the published vectors: one JSON request a line to its
//! standard input, one JSON answer a line from its standard output (vectors/schema/run.json).

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use twinspec_harness::process::Mark;

use super::{FAMILIES, published, read, text};
use crate::bench::shorten;

/// Members of a case that are no input.
const NO_INPUT: &[&str] =
    &["id", "title", "requirements", "provenance", "source", "ambiguity", "expect"];

/// The longest line that an implementation may write, in bytes: many times the longest expectation.
const LINE_MAX: usize = 4 << 20;

/// How long an implementation may think about one case.
const ANSWER: Duration = Duration::from_secs(10);

/// How long it may take to end when its input has ended.
const END: Duration = Duration::from_secs(2);

/// What an implementation answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    id: String,
    #[serde(default)]
    expect: Option<Value>,
    #[serde(default)]
    unsupported: Option<String>,
}

/// What a trial came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Answers as expected.
    pub passed: usize,
    /// Differences, in words.
    pub failed: Vec<String>,
    /// Differences in points that the sources leave open, in words.
    pub noted: Vec<String>,
    /// Cases the implementation does not claim, in words.
    pub unsupported: Vec<String>,
}

/// Runs `command` on the published families below `folder` whose names `wanted` takes.
///
/// # Errors
/// When the command cannot be started, ends early, or does not answer in time or in JSON.
pub async fn try_out(
    folder: &Path,
    wanted: impl Fn(&str) -> bool,
    command: &[String],
) -> io::Result<Trial> {
    let mut peer = Peer::start(command)?;
    let mut trial = Trial::default();
    for family in FAMILIES.iter().filter(|family| wanted(family.name)) {
        let file: Value = serde_json::from_str(&read(&published(folder, family.name))?)
            .map_err(io::Error::other)?;
        for case in file.get("cases").and_then(Value::as_array).into_iter().flatten() {
            let answer = peer.ask(family.name, case).await?;
            trial.judge(case, answer);
        }
    }
    peer.end().await;
    Ok(trial)
}

impl Trial {
    fn judge(&mut self, case: &Value, answer: Answer) {
        let id = &answer.id;
        if let Some(reason) = answer.unsupported {
            self.unsupported.push(format!("{id}: {reason}"));
            return;
        }
        let (expected, seen) =
            (case.get("expect").unwrap_or(&Value::Null), answer.expect.unwrap_or_default());
        if same(expected, &seen) {
            self.passed += 1;
            return;
        }
        let title = text(case, "title").unwrap_or_default();
        let difference = format!("{id}: {title} expected {expected}, answered {seen}");
        match case.get("ambiguity") {
            None => self.failed.push(difference),
            Some(point) => self.noted.push(format!("{difference} (open point {point})")),
        }
    }
}

/// A running implementation; dropping it ends it with what it started.
struct Peer {
    child: Child,
    mark: Mark,
    /// Until it is to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(command: &[String]) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "there is no command");
        let (program, arguments) = command.split_first().ok_or_else(missing)?;
        let mark = Mark::default();
        let (name, value) = mark.variable();
        let mut child = Command::new(program)
            .args(arguments)
            .env(name, value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the command has no standard input or output"));
        };
        Ok(Self { child, mark, input: Some(input), output: BufReader::new(output) })
    }

    async fn ask(&mut self, family: &str, case: &Value) -> io::Result<Answer> {
        let id = text(case, "id").unwrap_or_default();
        let is_input = |(name, _): &(&String, &Value)| !NO_INPUT.contains(&name.as_str());
        let members = case.as_object().into_iter().flatten().filter(is_input);
        let input: Map<String, Value> =
            members.map(|(name, value)| (name.clone(), value.clone())).collect();
        let request = json!({ "id": id, "family": family, "input": input });
        let problem = |what: String| io::Error::other(format!("{id}: {what}"));
        let exchange = async {
            let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            input.write_all(format!("{request}\n").as_bytes()).await?;
            input.flush().await?;
            next_line(&mut self.output).await
        };
        let line = timeout(ANSWER, exchange).await;
        let line = line.map_err(|_| problem(format!("no answer within {ANSWER:?}")))?;
        let line = line.map_err(|error| problem(error.to_string()))?;
        let line = line.ok_or_else(|| problem("the command ended".to_owned()))?;
        let answer: Answer = serde_json::from_str(&line).map_err(|error| {
            problem(format!("the answer {:?} is unreadable: {error}", shorten(&line)))
        })?;
        if answer.id != id {
            return Err(problem(format!("the answer is for {:?}", answer.id)));
        }
        match (&answer.expect, &answer.unsupported) {
            (None, None) => {
                Err(problem("the answer has neither expect nor unsupported".to_owned()))
            }
            (Some(_), Some(_)) => {
                Err(problem("the answer has both expect and unsupported".to_owned()))
            }
            (None, Some(reason)) if reason.trim().is_empty() => {
                Err(problem("the answer is unsupported without a reason".to_owned()))
            }
            (Some(_), None) | (None, Some(_)) => Ok(answer),
        }
    }

    /// Ends the command: its input ends, and if that is not enough, it is killed.
    async fn end(mut self) {
        drop(self.input.take());
        let _dropping_it_ends_it_otherwise = timeout(END, self.child.wait()).await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.mark.end(self.child.id());
    }
}

/// The next line without its end; `None` when there is none any more.
async fn next_line(output: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    (&mut *output).take(limit).read_until(b'\n', &mut line).await?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() >= LINE_MAX {
        return Err(io::Error::other(format!("a line is longer than {LINE_MAX} bytes")));
    } else if line.is_empty() {
        return Ok(None);
    }
    String::from_utf8(line).map(Some).map_err(|_| io::Error::other("a line is not UTF-8"))
}

/// Whether two documents are equal, numbers compared by value.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => l == r || l.as_f64() == r.as_f64(),
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same(l, r))
        }
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len() && l.iter().all(|(name, l)| r.get(name).is_some_and(|r| same(l, r)))
        }
        _ => left == right,
    }
}
