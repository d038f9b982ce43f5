//! Processes and what they started, as the machine's process table shows them.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Kills `root` and its descendants.
///
/// Handlers run in the agent's own process group, so that whoever ends that group ends them too. The
/// agent itself must therefore find the descendants of one of them.
pub(crate) fn kill(root: u32) {
    let Ok(root) = i32::try_from(root) else {
        return;
    };
    let mut doomed = vec![root];
    doomed.extend(descendants(root));
    kill_all(&doomed);
}

/// Kills `doomed`, in which parents come before their children: children first, so that none of them
/// is adopted unseen.
pub(super) fn kill_all(doomed: &[i32]) {
    // The parent is stopped first: it can start nothing more while its children are ended.
    for pid in doomed.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _gone_already = kill_process(pid, Signal::STOP);
    }
    for pid in doomed.iter().rev().filter_map(|pid| Pid::from_raw(*pid)) {
        let _gone_already = kill_process(pid, Signal::KILL);
    }
}

/// What `root` started, and what that started; parents before children.
pub(super) fn descendants(root: i32) -> Vec<i32> {
    let parents = parents();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child);
        let new: Vec<i32> = children.filter(|child| !found.contains(child)).collect();
        found.extend(new);
        next += 1;
    }
    found.split_off(1)
}

/// Process → parent of every process of this machine.
fn parents() -> BTreeMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    let parent = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything, parentheses too.
        let (_, rest) = stat.rsplit_once(')')?;
        Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
    };
    entries.filter_map(Result::ok).filter_map(parent).collect()
}
