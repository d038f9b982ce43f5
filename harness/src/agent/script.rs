//! Handlers that are scripts of the update or programs of the device; `harness/AGENT.md` says how
//! they are called.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use twinspec_model::agent::{Call, HandlerKind, Outcome, Phase, code, extended};

use super::handler::{Handlers, Stop};
use crate::process::tree;

/// How often it is looked whether an older script has ended, or a program is free.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a program may be busy: a process that was made while its file was written holds the file
/// until it has become what it was made for.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// The largest result file that is read, in bytes.
const RESULT_BYTES_MAX: u64 = 1 << 16;

/// One phase of a script.
pub(super) struct Script<'a> {
    pub(super) handlers: &'a Handlers,
    pub(super) call: &'a Call,
    /// Where the step's files are.
    pub(super) folder: PathBuf,
    /// Where the result file goes.
    pub(super) aside: PathBuf,
    /// The program, when it is none of the step's files.
    pub(super) program: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultFile {
    result_code: i32,
    #[serde(default)]
    extended_result_code: i64,
    #[serde(default)]
    result_details: Option<String>,
}

/// How a phase came to its end.
enum Ended {
    Exited(ExitStatus),
    /// It was killed: it was cancelled and went on, or took too long.
    Killed(&'static str),
}

impl Script<'_> {
    pub(super) async fn run(&self, stop: Stop) -> Outcome {
        match self.attempt(stop).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::failure(extended::SCRIPT_NO_RESULT, error.to_string()),
        }
    }

    async fn attempt(&self, mut stop: Stop) -> io::Result<Outcome> {
        for folder in [&self.folder, &self.aside] {
            fs::create_dir_all(folder)?;
        }
        let input = self.turn(&mut stop).await?;
        let Some(input) = input else {
            return Ok(Outcome::of(code::CANCELLED));
        };
        let result_file = self.result_file(self.call.phase);
        let child = self.start(self.call.phase, &result_file, Stdio::from(input)).await?;
        let mut child = Guard(child);
        let ended = self.wait(&mut child.0, &mut stop).await?;
        Ok(outcome(&ended, &result_file, stop.is_asked()))
    }

    /// Waits for a script that a killed agent left behind. The new one inherits the lock, so that
    /// the next agent waits for it in turn. `None` when it was told to stop before.
    async fn turn(&self, stop: &mut Stop) -> io::Result<Option<File>> {
        let mut lock = OpenOptions::new();
        let lock = lock.create(true).truncate(false).read(true).write(true);
        let lock = lock.open(&self.handlers.lock)?;
        let free = async {
            let mut told = false;
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::Error(error)) => return Err(error),
                    Err(TryLockError::WouldBlock) => {}
                }
                if !told {
                    self.handlers.log.line("an earlier handler still works: waiting for it");
                    told = true;
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            // A phase that is not wanted any more never begins.
            biased;
            () = stop.asked() => Ok(None),
            got = timeout(self.handlers.phase, free) => {
                let late = "a handler of an earlier run still works";
                got.map_err(|_| io::Error::other(late))??;
                Ok(Some(lock))
            }
        }
    }

    fn result_file(&self, phase: Phase) -> PathBuf {
        self.aside.join(format!("{}-{}.json", self.call.folder, phase.name()))
    }

    async fn start(&self, phase: Phase, result_file: &Path, input: Stdio) -> io::Result<Child> {
        match fs::remove_file(result_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let program = self.program()?;
        let output = OpenOptions::new().create(true).append(true).open(&self.handlers.output)?;
        let errors = output.try_clone()?;
        let mut command = Command::new(&program);
        command
            .args(self.arguments(phase, result_file))
            .current_dir(&self.folder)
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        let until = Instant::now() + BUSY_WAIT;
        loop {
            match command.spawn() {
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy
                        && Instant::now() < until =>
                {
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => {
                    let what = format!("cannot start {}: {error}", program.display());
                    return Err(io::Error::new(error.kind(), what));
                }
                Ok(child) => return Ok(child),
            }
        }
    }

    fn program(&self) -> io::Result<PathBuf> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        let tool = self.call.work.tool(HandlerKind::Script).ok_or_else(|| {
            io::Error::other("handlerProperties.scriptFileName names no file of the step")
        })?;
        let path = self.folder.join(&tool.name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(path)
    }

    fn arguments(&self, phase: Phase, result_file: &Path) -> Vec<String> {
        let properties = &self.call.work.properties;
        let text = |name: &str| properties.get(name).and_then(Value::as_str);
        let mut arguments = match (&self.program, text("apiVersion")) {
            (Some(_), _) => vec![phase.name().to_owned()],
            (None, Some("1.1")) => vec!["--action".to_owned(), phase.name().to_owned()],
            (None, _) => vec![format!("--action-{}", phase.name())],
        };
        arguments
            .extend(text("arguments").unwrap_or_default().split_whitespace().map(str::to_owned));
        let criteria = self.call.work.installed_criteria().unwrap_or("n/a");
        let pairs = [
            ("--work-folder", self.folder.display().to_string()),
            ("--result-file", result_file.display().to_string()),
            ("--installed-criteria", criteria.to_owned()),
            ("--workflow-id", self.call.workflow.clone()),
            ("--step", self.call.step.to_string()),
        ];
        for (name, value) in pairs {
            arguments.extend([name.to_owned(), value]);
        }
        for (name, value) in self.call.component_pairs() {
            let value = if value.is_empty() { "n/a".to_owned() } else { value };
            arguments.extend([format!("--component-{name}-val"), value]);
        }
        arguments
    }

    async fn wait(&self, child: &mut Child, stop: &mut Stop) -> io::Result<Ended> {
        tokio::select! {
            ended = timeout(self.handlers.phase, child.wait()) => match ended {
                Ok(status) => status.map(Ended::Exited),
                Err(_) => kill(child, "it took too long").await,
            },
            () = stop.asked() => {
                let told = timeout(self.handlers.grace, self.tell()).await;
                if let Ok(Err(error)) = told {
                    self.handlers.log.line(format!("cancel: {error}"));
                }
                match timeout(self.handlers.grace, child.wait()).await {
                    Ok(status) => status.map(Ended::Exited),
                    Err(_) => kill(child, "it was cancelled and went on").await,
                }
            }
        }
    }

    /// Calls the script once more, to cancel what runs.
    async fn tell(&self) -> io::Result<()> {
        let result_file = self.result_file(Phase::Cancel);
        let child = self.start(Phase::Cancel, &result_file, Stdio::null()).await?;
        Guard(child).0.wait().await.map(drop)
    }
}

/// Ends a child with all it started when nobody waits for it any more.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(id) = self.0.id() {
            tree::kill(id);
        }
    }
}

async fn kill(child: &mut Child, why: &'static str) -> io::Result<Ended> {
    if let Some(id) = child.id() {
        tree::kill(id);
    }
    child.wait().await?;
    Ok(Ended::Killed(why))
}

fn outcome(ended: &Ended, result_file: &Path, cancelled: bool) -> Outcome {
    let stopped = Outcome::of(code::CANCELLED);
    match ended {
        Ended::Killed(_) if cancelled => stopped,
        Ended::Killed(why) => Outcome::failure(extended::SCRIPT_EXIT + 128 + 9, *why),
        Ended::Exited(status) if status.success() => match read(result_file) {
            Ok(outcome) => outcome,
            Err(why) => Outcome::failure(extended::SCRIPT_NO_RESULT, why),
        },
        Ended::Exited(status) => match status.code() {
            Some(status) => {
                let extended = extended::SCRIPT_EXIT + status.unsigned_abs();
                Outcome::failure(extended, format!("the script exited with {status}"))
            }
            None if cancelled => stopped,
            None => {
                let signal = status.signal().unwrap_or_default();
                let extended = extended::SCRIPT_EXIT + 128 + signal.unsigned_abs();
                Outcome::failure(extended, format!("the script was ended by signal {signal}"))
            }
        },
    }
}

fn read(path: &Path) -> Result<Outcome, String> {
    let problem = |why: String| format!("result file {}: {why}", path.display());
    let length = fs::metadata(path).map_err(|error| problem(error.to_string()))?.len();
    if length > RESULT_BYTES_MAX {
        return Err(problem(format!("{length} bytes, allowed are {RESULT_BYTES_MAX}")));
    }
    let text = fs::read(path).map_err(|error| problem(error.to_string()))?;
    let result: ResultFile =
        serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))?;
    // Scripts write the code as the number itself or as the negative one of the same 32 bits.
    let code = result.extended_result_code;
    let extended =
        u32::try_from(code).ok().or_else(|| i32::try_from(code).ok().map(i32::cast_unsigned));
    let extended = extended.ok_or_else(|| problem(format!("extendedResultCode is {code}")))?;
    let details = result.result_details.unwrap_or_default();
    let outcome = Outcome { code: result.result_code, extended, details };
    if outcome.code == code::FAILURE && outcome.extended == 0 {
        return Ok(Outcome { extended: extended::SCRIPT_NO_RESULT, ..outcome });
    }
    Ok(outcome)
}
