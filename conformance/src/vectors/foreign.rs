//! Trying a foreign implementation on the published vectors: one JSON request a line to its
//! standard input, one JSON answer a line from its standard output (vectors/schema/run.json).

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use twinspec_harness::process::Mark;

use super::tolerance::agrees;
use super::{FAMILIES, input_of, published, read, text};
use crate::bench::shorten;

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
    /// How many cases there are to be answered.
    pub cases: usize,
    /// Answers as expected.
    pub passed: usize,
    /// Differences, in words.
    pub failed: Vec<String>,
    /// Differences in points that the sources leave open, in words.
    pub noted: Vec<String>,
    /// Cases the implementation does not claim, in words.
    pub unsupported: Vec<String>,
    /// What the command did that it should not and that touches no answer.
    pub warnings: Vec<String>,
    /// What ended the trial before its time, or how the command failed after its last answer.
    pub broken: Option<String>,
}

/// A family's name and one of its cases.
type Question = (&'static str, Value);

/// Runs `command` on the published families below `folder` whose names `wanted` takes. What was
/// compared before the command failed stays in the trial.
///
/// # Errors
/// When a published file cannot be read, or the command cannot be started.
pub async fn try_out(
    folder: &Path,
    wanted: impl Fn(&str) -> bool,
    command: &[String],
) -> io::Result<Trial> {
    let questions = questions(folder, wanted)?;
    let mut peer = Peer::start(command)?;
    let mut trial = Trial { cases: questions.len(), ..Trial::default() };
    for (family, case) in &questions {
        match peer.ask(family, case).await {
            Ok(answer) => trial.judge(family, case, answer),
            Err(problem) => {
                let id = text(case, "id").unwrap_or_default();
                trial.broken = Some(format!("{id}: {problem}"));
                return Ok(trial);
            }
        }
    }
    peer.end(&mut trial).await;
    Ok(trial)
}

fn questions(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Question>> {
    let mut questions = Vec::new();
    for family in FAMILIES.iter().filter(|family| wanted(family.name)) {
        let mut file: Value = serde_json::from_str(&read(&published(folder, family.name))?)
            .map_err(io::Error::other)?;
        let cases = file.get_mut("cases").and_then(Value::as_array_mut).map(std::mem::take);
        questions.extend(cases.into_iter().flatten().map(|case| (family.name, case)));
    }
    Ok(questions)
}

impl Trial {
    /// How many answers were compared with an expectation.
    #[must_use]
    pub fn judged(&self) -> usize {
        self.passed + self.failed.len() + self.noted.len()
    }

    /// How many cases were answered, also with `unsupported`.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.judged() + self.unsupported.len()
    }

    fn judge(&mut self, family: &str, case: &Value, answer: Answer) {
        let id = &answer.id;
        if let Some(reason) = answer.unsupported {
            self.unsupported.push(format!("{id}: {}", shorten(&reason)));
            return;
        }
        let (expected, seen) =
            (case.get("expect").unwrap_or(&Value::Null), answer.expect.unwrap_or_default());
        if agrees(family, case, expected, &seen) {
            self.passed += 1;
            return;
        }
        let title = text(case, "title").unwrap_or_default();
        let (expected, seen) = (shorten(&expected.to_string()), shorten(&seen.to_string()));
        let difference = format!("{id}: {title} expected {expected}, answered {seen}");
        match case.get("ambiguity").and_then(Value::as_str) {
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

    async fn ask(&mut self, family: &str, case: &Value) -> Result<Answer, String> {
        let id = text(case, "id").unwrap_or_default();
        let request = json!({ "id": id, "family": family, "input": input_of(case) });
        let exchange = timeout(ANSWER, self.exchange(&request)).await;
        let line = match exchange.map_err(|_| format!("no answer within {ANSWER:?}"))? {
            Ok(Some(line)) => line,
            Ok(None) => return Err(self.gone().await),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(self.gone().await);
            }
            Err(error) => return Err(error.to_string()),
        };
        let answer: Answer = serde_json::from_str(&line)
            .map_err(|error| format!("the answer {:?} is unreadable: {error}", shorten(&line)))?;
        if answer.id != id {
            return Err(format!("the answer is for {:?}", shorten(&answer.id)));
        }
        let problem = match (&answer.expect, &answer.unsupported) {
            (None, None) => "the answer has neither expect nor unsupported",
            (Some(_), Some(_)) => "the answer has both expect and unsupported",
            (None, Some(reason)) if reason.trim().is_empty() => {
                "the answer is unsupported without a reason"
            }
            (Some(_), None) | (None, Some(_)) => return Ok(answer),
        };
        Err(problem.to_owned())
    }

    async fn exchange(&mut self, request: &Value) -> io::Result<Option<String>> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(format!("{request}\n").as_bytes()).await?;
        input.flush().await?;
        next_line(&mut self.output).await
    }

    /// What became of a command that reads or writes no more.
    async fn gone(&mut self) -> String {
        match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) => format!("the command ended with {}", name_of(status)),
            _ => "the command closed its standard input or output and went on".to_owned(),
        }
    }

    /// Ends the command: its input ends, and if that is not enough, it is killed. Tells what it still
    /// wrote, and how it ended.
    async fn end(mut self, trial: &mut Trial) {
        drop(self.input.take());
        let mut rest = Vec::new();
        let ending = async {
            let _as_far_as_it_can_be_read = keep_start(&mut self.output, &mut rest).await;
            self.child.wait().await
        };
        let _what_counts_is_asked_below = timeout(END, ending).await;
        if !rest.is_empty() {
            let rest = String::from_utf8_lossy(&rest);
            trial
                .warnings
                .push(format!("the command wrote after its last answer: {:?}", shorten(&rest)));
        }
        match self.child.try_wait() {
            Ok(Some(status)) if status.success() => {}
            Ok(Some(status)) => {
                let name = name_of(status);
                trial.broken = Some(format!("the command ended with {name} after its last answer"));
            }
            _ => trial.warnings.push(format!(
                "the command did not end within {END:?} of the end of its input, and was killed"
            )),
        }
    }
}

/// How a process ended.
fn name_of(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Reads to the end and keeps the start, as far as anybody would read it.
async fn keep_start(
    output: &mut (impl AsyncBufRead + Unpin),
    start: &mut Vec<u8>,
) -> io::Result<()> {
    const START_MAX: usize = 4096;
    loop {
        let part = output.fill_buf().await?;
        let length = part.len();
        if length == 0 {
            return Ok(());
        }
        start.extend(part.iter().take(START_MAX.saturating_sub(start.len())));
        output.consume(length);
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
