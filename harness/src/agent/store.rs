//! The agent's work folder: its state, brought into safety before anything depends on it, and where
//! downloads lie.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use twinspec_model::agent::Persisted;

use super::{AgentError, Log};
use crate::trace::hex;

/// The version of the state file that this program reads and writes.
const FORMAT: u32 = 1;

/// How long the work folder may still be in use: a killed agent's last child holds the lock until
/// it has become the handler that it was made for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How often it is looked whether it is free.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The longest workflow id that is written out as a folder name, in bytes.
const FOLDER_BYTES_MAX: usize = 100;

/// The agent's own log.
pub(super) const AGENT_LOG: &str = "agent.log";

/// A longer log is begun anew at the next start, in bytes.
const LOG_BYTES_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    state: Persisted,
}

#[derive(Serialize)]
struct ToSave<'a> {
    format: u32,
    state: &'a Persisted,
}

/// A work folder that this process alone uses.
pub(super) struct Store {
    folder: PathBuf,
    /// Held as long as the agent runs.
    _lock: File,
}

impl Store {
    /// Takes a work folder, made when it is missing.
    pub(super) async fn open(folder: &Path) -> Result<Self, AgentError> {
        // Handlers run elsewhere: relative names would mean something else there.
        let folder =
            std::path::absolute(folder).map_err(|error| failed("cannot find", folder, error))?;
        fs::create_dir_all(&folder).map_err(|error| failed("cannot make", &folder, error))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| failed("cannot open", &path, error))?;
        let locked = |error| failed("cannot lock", &path, error);
        match timeout(LOCK_WAIT, locking(&lock)).await {
            Ok(ended) => ended.map_err(locked)?,
            Err(_) => {
                return Err(locked(io::Error::other("another agent uses this work folder")));
            }
        }
        Ok(Self { folder, _lock: lock })
    }

    /// What an earlier run left; nothing at the first start.
    pub(super) fn load(&self) -> Result<Persisted, AgentError> {
        let path = self.folder.join("state.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Persisted::default());
            }
            Err(error) => return Err(failed("cannot read", &path, error)),
        };
        let bad = |what: String| {
            let what = format!(
                "{what}; move the file away to have the agent begin anew: it then asks its handlers \
                 what is installed, and does deployments again that it has not ended"
            );
            failed("cannot read", &path, io::Error::new(io::ErrorKind::InvalidData, what))
        };
        let saved: Saved = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if saved.format != FORMAT {
            return Err(bad(format!("format {}, known is {FORMAT}", saved.format)));
        }
        Ok(saved.state)
    }

    /// Brings the state into safety: when this returns, a kill or a power cut loses nothing of it.
    pub(super) fn save(&self, state: &Persisted) -> Result<(), AgentError> {
        let path = self.folder.join("state.json");
        let text = serde_json::to_vec(&ToSave { format: FORMAT, state })
            .map_err(|error| failed("cannot write", &path, error.into()))?;
        replace(&path, &text).map_err(|error| failed("cannot write", &path, error))
    }

    /// A log that is kept in the work folder as well, so that the service can ask for it.
    pub(super) fn keeping(&self, log: Log) -> Result<Log, AgentError> {
        let path = self.folder.join(AGENT_LOG);
        let is_long = fs::metadata(&path).is_ok_and(|found| found.len() > LOG_BYTES_MAX);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| failed("cannot open", &path, error))?;
        if is_long {
            file.set_len(0).map_err(|error| failed("cannot empty", &path, error))?;
        }
        Ok(Log::new(move |line| {
            // A full disk must not keep a line from being shown.
            let _shown_either_way = writeln!(&file, "{line}");
            log.line(line);
        }))
    }

    /// Where files of `workflow` lie.
    pub(super) fn workflow(&self, workflow: &str) -> PathBuf {
        self.folder.join("downloads").join(folder_name(workflow))
    }

    /// A file directly in the work folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Removes the downloads of all deployments but `keep`.
    pub(super) fn tidy(&self, keep: &str) -> io::Result<()> {
        let keep = self.workflow(keep);
        let entries = match fs::read_dir(self.folder.join("downloads")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path != keep {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

/// Puts `content` in the place of the file at `path`: at every moment, whatever happens, the old or
/// the new content is there, and when this returns, the new one for good.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Returns when the file is locked by this process.
async fn locking(lock: &File) -> io::Result<()> {
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => sleep(LOOK_AGAIN).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// A folder name for an id that anybody may have chosen: it stays one plain name, and two ids never
/// share one.
fn folder_name(id: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !id.is_empty() && id.len() <= FOLDER_BYTES_MAX && id.bytes().all(plain) {
        return format!("w-{id}");
    }
    format!("h-{}", hex(digest::digest(&digest::SHA256, id.as_bytes()).as_ref()))
}

fn failed(what: &str, path: &Path, error: io::Error) -> AgentError {
    AgentError::new(format!("{what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workflow_id_leaves_the_downloads() {
        assert_eq!(folder_name("5f2c-A_1"), "w-5f2c-A_1");
        for id in ["", "..", "../x", "a/b", "a\0", "ä", &"x".repeat(101)] {
            let name = folder_name(id);
            assert!(name.starts_with("h-") && name.len() == 66, "{name}");
        }
    }
}
