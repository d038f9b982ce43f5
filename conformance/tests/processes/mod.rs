//! Processes that a test starts, known by a mark among their arguments.

use std::time::{Duration, Instant};

/// How long anything may take that a machine does by itself.
const WAIT: Duration = Duration::from_secs(60);

/// A number for `sleep` that no other run of the tests has.
pub(crate) fn mark(number: u8) -> String {
    format!("6{number:03}{:07}", std::process::id())
}

/// Whether a process lives that has `mark` among its arguments.
pub(crate) fn lives(mark: &str) -> bool {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(mark))
}

#[track_caller]
pub(crate) fn nothing_left(mark: &str) {
    wait_until(&format!("{mark} is gone"), || !lives(mark));
}

/// Waits for `what`, with time for others in between.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < until, "still waiting until {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
