//! A twin on which the twin families play their cases.

use serde_json::{Value, json};
use twinspec_model::error::Refusal;
use twinspec_model::json;
use twinspec_model::time::Time;
use twinspec_model::twin::limits::TwinLimits;
use twinspec_model::twin::section::Section;
use twinspec_model::twin::{Change, Twin, TwinWrite, WriteMode};

/// The section a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Tags,
    Desired,
    Reported,
}

impl Name {
    pub(super) fn read(case: &Value) -> Result<Self, String> {
        match super::text(case, "section")? {
            "tags" => Ok(Self::Tags),
            "desired" => Ok(Self::Desired),
            "reported" => Ok(Self::Reported),
            other => Err(format!("unknown section {other:?}")),
        }
    }

    pub(super) fn of(self, twin: &Twin) -> &Section {
        match self {
            Self::Tags => &twin.tags,
            Self::Desired => &twin.desired,
            Self::Reported => &twin.reported,
        }
    }
}

/// How a case writes.
pub(super) fn mode(case: &Value) -> Result<WriteMode, String> {
    match super::text(case, "operation")? {
        "patch" => Ok(WriteMode::Patch),
        "replace" => Ok(WriteMode::Replace),
        other => Err(format!("unknown operation {other:?}")),
    }
}

/// Writes `body`, JSON text that stands for the section's content, as its author would.
pub(super) fn write_text(
    twin: &mut Twin,
    section: Name,
    mode: WriteMode,
    body: &str,
    now: Time,
) -> Result<Change, Refusal> {
    let limits = TwinLimits::default();
    let request = match section {
        Name::Reported => {
            let patch = json::parse(body.as_bytes())?;
            return twin.report(&patch, None, &limits, now).map(|_| Change::default());
        }
        Name::Tags => format!("{{\"tags\":{body}}}"),
        Name::Desired => format!("{{\"properties\":{{\"desired\":{body}}}}}"),
    };
    let write = TwinWrite::from_body(mode, &json::parse(request.as_bytes())?)?;
    twin.write(mode, &write, &limits, now)
}

/// Writes `body` as the section's content.
pub(super) fn write(
    twin: &mut Twin,
    section: Name,
    mode: WriteMode,
    body: &Value,
    now: Time,
) -> Result<Change, Refusal> {
    write_text(twin, section, mode, &body.to_string(), now)
}

/// A twin whose section holds `stored`; untouched when there is nothing to store.
pub(super) fn stored(section: Name, stored: &Value) -> Result<Twin, String> {
    let mut twin = Twin::new();
    if stored.as_object().is_some_and(|members| !members.is_empty()) {
        let written = write(&mut twin, section, WriteMode::Patch, stored, start());
        written.map_err(|refusal| format!("stored is refused: {refusal}"))?;
    }
    Ok(twin)
}

/// Any point in time: the families that use it do not show it.
pub(super) fn start() -> Time {
    Time::from_unix_seconds(1_900_000_000)
}

/// A refusal in the form of `expect`.
pub(super) fn refused(refusal: &Refusal) -> Value {
    json!({ "status": refusal.code.status(), "code": refusal.code.number() })
}
