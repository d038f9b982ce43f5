//! A program under test as a child process: a group of its own, its output captured, ended with
//! everything it started.
//!
//! Where the program that starts it calls [`keep`] first, a keeper stands between the two.

mod keeper;
pub(crate) mod tree;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use keeper::keep;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;

/// The environment variable by which a process is known that left the group of its parent.
const MARK: &str = "TWINSPEC_CHILD_OF";

/// Lines of output kept: the first ones and the last ones.
const HEAD_LINES_MAX: usize = 200;
const TAIL_LINES_MAX: usize = 100;

/// Bytes of a line kept.
const LINE_BYTES_MAX: usize = 1000;

/// How long a keeper may take to end what is left of its program.
const KEEPER_END: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What to start and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program: a path, or a name to be looked up.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables added to the environment of this process.
    pub environment: Vec<(String, String)>,
    /// Where it runs; here by default.
    pub directory: Option<PathBuf>,
}

impl fmt::Display for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.program.display())
    }
}

/// What a program wrote, bounded.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    head: Vec<String>,
    tail: VecDeque<(Instant, String)>,
    count: usize,
}

impl Lines {
    /// How many lines were left out, in words; `None` when none were.
    fn gap(&self) -> Option<String> {
        let missing = self.count - self.head.len() - self.tail.len();
        (missing > 0).then(|| format!("[{missing} lines not kept]"))
    }
}

impl Output {
    /// Keeps a line, if there is room, and gives it back when it is one of the first.
    fn push(&self, line: &[u8]) -> Option<String> {
        let kept = line.get(..LINE_BYTES_MAX).unwrap_or(line);
        let line = String::from_utf8_lossy(kept).trim_end().to_owned();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.count += 1;
        if lines.head.len() < HEAD_LINES_MAX {
            lines.head.push(line.clone());
            return Some(line);
        }
        if lines.tail.len() == TAIL_LINES_MAX {
            lines.tail.pop_front();
        }
        lines.tail.push_back((Instant::now(), line));
        None
    }

    /// The lines kept; where some were left out, a line says how many.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = lines.tail.iter().map(|(_, line)| line.clone());
        lines.head.iter().cloned().chain(lines.gap()).chain(tail).collect()
    }

    /// The lines kept that nobody heard of when they were written, with their times: the last ones of
    /// many. Where some were left out, a line says how many.
    #[must_use]
    pub fn unheard(&self) -> Vec<(Instant, String)> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = lines.tail.front().map(|(at, _)| *at);
        let gap = first.zip(lines.gap());
        gap.into_iter().chain(lines.tail.iter().cloned()).collect()
    }

    /// The last `count` lines that are not empty, for a message.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.is_empty());
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// How many lines were written.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}

/// A running program; dropping it kills it and everything it started.
pub struct Process {
    /// The program, or its keeper.
    child: Child,
    /// Tells the keeper what to do; it ends everything when this is dropped.
    keeper: Option<ChildStdin>,
    /// The group; gone when the child was waited for.
    group: Option<Pid>,
    mark: String,
    output: Output,
    /// Read what it writes; they end when nobody can write any more.
    readers: JoinSet<()>,
}

/// How a program was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It had ended by itself before.
    Before(ExitStatus),
    /// It ended after SIGTERM.
    Terminated(ExitStatus),
    /// It did not end in time after SIGTERM and was killed.
    Killed,
}

impl Process {
    /// Starts a program with no input. Its first lines are given to `hear` as soon as they are
    /// written; [`Output::unheard`] has the others.
    ///
    /// # Errors
    /// When it cannot be started; the message names it. A keeper says so in its output.
    pub fn start(
        launch: &Launch,
        hear: impl Fn(String) + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot start {launch}: {error}"))
        };
        let mark = unique();
        let is_kept = keeper::is_available();
        let mut command =
            Command::new(if is_kept { keeper::SELF.as_ref() } else { &*launch.program });
        if is_kept {
            command.arg0("twinspec-keeper").arg(keeper::WORD).arg(&launch.program);
        }
        command
            .args(&launch.arguments)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .env(MARK, &mark)
            .stdin(if is_kept { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = &launch.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().map_err(named)?;
        let keeper = child.stdin.take();
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let output = Output::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(capture(stdout, output.clone(), hear.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(capture(stderr, output.clone(), hear));
        }
        Ok(Self { child, keeper, group, mark, output, readers })
    }

    /// What it wrote so far, to standard output and standard error.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Waits until everything that it wrote was read, but not longer than `wait`: what it started may
    /// keep its output open.
    pub async fn drain(&mut self, wait: Duration) {
        let all = async { while self.readers.join_next().await.is_some() {} };
        let _as_far_as_it_came = timeout(wait, all).await;
    }

    /// How it ended; `None` while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        if status.is_some() {
            self.group = None;
        }
        status
    }

    /// Waits until it ends by itself; `None` when it runs on.
    pub async fn wait(&mut self, wait: Duration) -> Option<ExitStatus> {
        let status = timeout(wait, self.child.wait()).await.ok()?.ok();
        self.group = None;
        status
    }

    /// SIGKILL to the program and all it started, as when the power fails.
    pub async fn kill(mut self) {
        if self.keeper.take().is_some() && self.wait(KEEPER_END).await.is_some() {
            return;
        }
        self.end_group();
        let _it_is_dead = self.child.wait().await;
        self.group = None;
    }

    /// SIGTERM to the whole group and, when the program has not ended after `wait`, SIGKILL.
    pub async fn terminate(mut self, wait: Duration) -> Ended {
        if let Some(status) = self.exited() {
            return Ended::Before(status);
        }
        match (&mut self.keeper, self.group) {
            (Some(keeper), _) => {
                let _it_may_be_gone = keeper.write_all(&[keeper::TERMINATE]).await;
            }
            (None, Some(group)) => {
                let _it_may_be_gone = kill_process_group(group, Signal::TERM);
            }
            (None, None) => {}
        }
        match timeout(wait, self.child.wait()).await {
            // What it started may outlive it: dropping sweeps it up.
            Ok(Ok(status)) => Ended::Terminated(status),
            Ok(Err(_)) | Err(_) => {
                self.kill().await;
                Ended::Killed
            }
        }
    }

    /// Has the keeper end everything, and waits for that.
    fn end_keeper(&mut self) {
        if self.keeper.take().is_none() {
            return;
        }
        let mut wait = || {
            let until = Instant::now() + KEEPER_END;
            while self.exited().is_none() && Instant::now() < until {
                std::thread::park_timeout(LOOK_AGAIN);
            }
        };
        // Where a runtime has other threads, its other tasks go on meanwhile.
        let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        match flavor {
            Ok(RuntimeFlavor::MultiThread) => block_in_place(wait),
            Ok(_) | Err(_) => wait(),
        }
    }

    fn end_group(&mut self) {
        if let Some(group) = self.group {
            let _it_may_be_gone = kill_process_group(group, Signal::KILL);
        }
        sweep(&self.mark);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_keeper();
        self.end_group();
    }
}

async fn capture(
    mut stream: impl AsyncRead + Unpin,
    output: Output,
    hear: impl Fn(String) + Send + Sync,
) {
    let push = |line: &[u8]| output.push(line).into_iter().for_each(&hear);
    let mut buffer = [0; 8192];
    let mut line = Vec::new();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for byte in buffer.iter().take(read) {
            if *byte == b'\n' {
                push(&line);
                line.clear();
            } else if line.len() < LINE_BYTES_MAX {
                line.push(*byte);
            }
        }
    }
    if !line.is_empty() {
        push(&line);
    }
}

/// What a program that was started by other means carries in its environment, so that it and what it
/// started can be ended by [`Mark::end`].
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Default for Mark {
    fn default() -> Self {
        Self(unique())
    }
}

impl Mark {
    /// Name and value of the variable that carries it.
    #[must_use]
    pub fn variable(&self) -> (&str, &str) {
        (MARK, &self.0)
    }

    /// Ends the program `id`, which must not have been waited for, with its descendants, and all others
    /// that carry this mark.
    pub fn end(&self, id: Option<u32>) {
        if let Some(id) = id {
            tree::kill(id);
        }
        sweep(&self.0);
    }
}

/// A text that no other child has.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Kills every process that carries `mark` in its environment: what left the group.
fn sweep(mark: &str) {
    let wanted = format!("{MARK}={mark}");
    // Only where there is /proc; elsewhere the group has to do.
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = id.and_then(Pid::from_raw) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            let _it_may_be_gone = kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let launch = Launch { program: "sh".into(), arguments, ..Launch::default() };
        Process::start(&launch, drop).unwrap()
    }

    /// Waits for a first line and returns it.
    async fn first_line(process: &Process) -> String {
        for _ in 0..1000 {
            if let Some(line) = process.output().lines().first() {
                return line.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no line");
    }

    fn lives(pid: &str) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    async fn dies(pid: &str) -> bool {
        for _ in 0..1000 {
            if !lives(pid) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    #[tokio::test]
    async fn what_ends_by_itself_is_seen_with_its_output() {
        let mut process = shell("echo out; echo err >&2; exit 7");
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(7));
        first_line(&process).await;
        assert!(matches!(process.terminate(SOON).await, Ended::Before(_)));
    }

    #[tokio::test]
    async fn grandchildren_end_with_it() {
        let process = shell("sleep 600 & echo $!; wait");
        let grandchild = first_line(&process).await;
        assert!(lives(&grandchild));
        process.kill().await;
        assert!(dies(&grandchild).await);
    }

    #[tokio::test]
    async fn a_grandchild_that_left_the_group_ends_too() {
        let process = shell("setsid sleep 600 & sleep 0.2; echo $!; wait");
        let grandchild = first_line(&process).await;
        drop(process);
        assert!(dies(&grandchild).await);
    }

    #[tokio::test]
    async fn sigterm_is_ignored_only_for_a_while() {
        let process = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        first_line(&process).await;
        assert_eq!(process.terminate(Duration::from_millis(200)).await, Ended::Killed);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_while_a_stuck_keeper_is_waited_for() {
        let mut process = shell("trap '' TERM; sleep 600");
        // It stands for a keeper that does not hear.
        let mut stuck = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        process.keeper = stuck.stdin.take();
        let (begins, began) = tokio::sync::oneshot::channel();
        let dropping = tokio::spawn(async move {
            begins.send(()).unwrap();
            drop(process);
        });
        began.await.unwrap();
        // There is one worker, and it is busy.
        tokio::spawn(async {}).await.unwrap();
        assert!(!dropping.is_finished());
        dropping.await.unwrap();
        stuck.kill().await.unwrap();
    }

    #[tokio::test]
    async fn a_flood_of_output_is_bounded() {
        let mut process = shell("i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done");
        assert!(process.wait(SOON).await.is_some());
        for _ in 0..1000 {
            if process.output().count() == 20000 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let lines = process.output().lines();
        assert_eq!(lines.len(), HEAD_LINES_MAX + 1 + TAIL_LINES_MAX);
        assert_eq!(lines.last().unwrap(), "19999");
        assert!(lines.contains(&"[19700 lines not kept]".to_owned()));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let launch = Launch { program: "twinspec-no-such-program".into(), ..Launch::default() };
        let error = Process::start(&launch, drop).err().unwrap().to_string();
        assert!(error.contains("twinspec-no-such-program"), "{error}");
    }
}
