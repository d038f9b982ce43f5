//! Writing a report to a file: `--report FORMAT=PATH`.

use std::io;
use std::path::PathBuf;
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
    /// Writes `report`.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, report: &Report) -> io::Result<()> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(report).map_err(io::Error::other)? + "\n",
            Format::Junit => junit::render(report).map_err(io::Error::other)?,
        };
        std::fs::write(&self.path, text).map_err(|error| {
            io::Error::new(error.kind(), format!("report {}: {error}", self.path.display()))
        })
    }
}
