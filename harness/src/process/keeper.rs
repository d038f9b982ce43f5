//! The keeper: a small process between the suite and one program under test.
//!
//! Whatever the program starts becomes the keeper's when its parent ends (a child subreaper), also what
//! begins a session of its own and clears its environment. So the keeper finds and ends all of it, and
//! nothing else. It also ends all of it when the suite is gone, however that ended: its standard input
//! ends with the suite.
//!
//! The keeper is this very program, started again with [`WORD`] as its first argument.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::thread;

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_child_subreaper, set_dumpable_behavior};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, wait,
};

use super::tree;

/// The first argument of a keeper; the program under test and its arguments follow.
pub(super) const WORD: &str = "--keep-program-under-test";

/// Where this program finds itself, whatever became of its file meanwhile.
pub(super) const SELF: &str = "/proc/self/exe";

/// What the suite writes to have the program told to end: SIGTERM.
pub(super) const TERMINATE: u8 = b'T';

/// The exit code when the program cannot be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// Whether this program can be its own keeper.
static AVAILABLE: OnceLock<()> = OnceLock::new();

/// To be called first by the `main` of a program that starts others: the exit code where this process
/// is a keeper. Otherwise it notes that processes can have keepers from now on; without that call, and
/// where there is no Linux, they are ended by their group and environment alone.
#[must_use]
pub fn keep() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == WORD) {
        return Some(run(arguments.collect()));
    }
    if cfg!(target_os = "linux") && std::fs::exists(SELF).unwrap_or(false) {
        let _noted_before = AVAILABLE.set(());
    }
    None
}

pub(super) fn is_available() -> bool {
    AVAILABLE.get().is_some()
}

fn run(command: Vec<OsString>) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(NOT_STARTED);
    };
    let not_started = |error: std::io::Error| {
        let _nobody_listens =
            writeln!(std::io::stderr(), "cannot start {}: {error}", program.display());
        ExitCode::from(NOT_STARTED)
    };
    if let Err(error) = adopt_orphans() {
        return not_started(error.into());
    }
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map(|child| i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    let child = match started {
        Ok(Some(child)) => child,
        Ok(None) => return ExitCode::from(NOT_STARTED),
        Err(error) => return not_started(error),
    };
    thread::spawn(move || obey(child));
    let status = ended(child);
    end_all();
    match status {
        Some(status) => end_like(status),
        None => ExitCode::FAILURE,
    }
}

/// Has this process adopt whatever loses its parent among what it starts.
#[cfg(target_os = "linux")]
fn adopt_orphans() -> rustix::io::Result<()> {
    set_child_subreaper(Some(getpid()))
}

/// There is no such thing elsewhere, and nobody asks for keepers there.
#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOSYS)
}

/// Does what the suite says, until it says nothing more.
fn obey(child: Pid) {
    let mut input = std::io::stdin();
    let mut word = [0];
    while let Ok(1) = input.read(&mut word) {
        if word == [TERMINATE] {
            let _gone_already = kill_process_group(child, Signal::TERM);
        }
    }
    let _gone_already = kill_process_group(child, Signal::KILL);
    end_all();
    std::process::exit(0);
}

/// Waits for `child`, and for all that is adopted meanwhile.
fn ended(child: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => return Some(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Kills whatever is left, until nothing is.
///
/// Who dies leaves its children to the keeper, and its own end wakes it: so whatever was started while
/// it looked is found in the next round. Only what nobody can kill keeps it; the suite ends it then.
fn end_all() {
    loop {
        tree::kill_all(&tree::descendants(getpid().as_raw_nonzero().get()));
        match wait(WaitOptions::empty()) {
            Ok(_) => while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {},
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Ends this process as the program under test has ended.
fn end_like(status: WaitStatus) -> ExitCode {
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    if let Some(code) = code {
        return ExitCode::from(code);
    }
    let number = status.terminating_signal().unwrap_or_default();
    if let Some(signal) = Signal::from_named_raw(number) {
        // The program has left a core file, where it was to leave one.
        #[cfg(target_os = "linux")]
        let _only_a_file_more = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        // Some signals are handled once, by what looks for overflows of the stack.
        for _ in 0..2 {
            let _told_by_the_code_then = kill_process(getpid(), signal);
        }
    }
    ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))
}
