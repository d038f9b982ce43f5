//! Writing a report to a file: `--report FORMAT=PATH`.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Report, junit};

/// A wanted report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    format: Format,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Junit,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = "expected json=PATH or junit=PATH";
        let (format, path) = text.split_once('=').ok_or_else(|| format!("no =, {allowed}"))?;
        let format = match format {
            "json" => Format::Json,
            "junit" => Format::Junit,
            other => return Err(format!("unknown format {other:?}, {allowed}")),
        };
        if path.is_empty() {
            return Err(format!("the path is missing, {allowed}"));
        }
        Ok(Self { format, path: PathBuf::from(path) })
    }
}

impl ReportFile {
    /// Checks that the file can be written, without changing it.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn check(&self) -> io::Result<()> {
        check_file(&self.path).map_err(|error| self.named(&error))
    }

    /// Whether `other` is written to the same file.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        real(&self.path) == real(&other.path)
    }

    /// Writes `report`.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, report: &Report) -> io::Result<()> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(report).map_err(io::Error::other)? + "\n",
            Format::Junit => junit::render(report).map_err(io::Error::other)?,
        };
        std::fs::write(&self.path, text).map_err(|error| self.named(&error))
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("report {}: {error}", self.path.display()))
    }
}

/// The one name of the file at `path`, which need not be there yet.
fn real(path: &Path) -> PathBuf {
    let folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Some(folder.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(folder).unwrap_or_else(|| path.to_owned())
}

/// Checks that a file can be written at `path`, without changing it.
///
/// # Errors
/// Why it cannot.
pub fn check_file(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        // A pipe that is opened and closed again would tell its reader that all is over.
        Ok(found) if !found.is_file() && !found.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().write(true).create_new(true).open(path)?;
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_name() {
        let folder = std::env::temp_dir().join(format!("twinspec-names-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::os::unix::fs::symlink(&folder, folder.join("link")).unwrap();
        std::fs::write(folder.join("old"), "").unwrap();
        std::os::unix::fs::symlink(folder.join("old"), folder.join("alias")).unwrap();
        let report = |name: &str| ReportFile { format: Format::Json, path: folder.join(name) };
        for (one, other, same) in [
            ("new", "./new", true),
            ("new", "deep/../new", true),
            ("new", "link/new", true),
            ("old", "alias", true),
            ("new", "old", false),
            ("new", "deep/new", false),
        ] {
            assert_eq!(report(one).is_same_file(&report(other)), same, "{one} {other}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_check_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("twinspec-check-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (new, old) = (folder.join("new"), folder.join("old"));
        std::fs::write(&old, "kept").unwrap();
        assert!(check_file(&new).is_ok() && !new.exists());
        assert!(check_file(&old).is_ok());
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "kept");
        assert!(check_file(&folder).is_err());
        assert!(check_file(&folder.join("none/new")).is_err());
        assert!(check_file(&old.join("new")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
