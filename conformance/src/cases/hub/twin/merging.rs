//! One section of a fresh twin, written with PATCH and read back from every side that sees it.

use http::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, Connection, IfMatch, Registered};
use crate::verdict::{Checked, Stop};

/// A section of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `tags`, written over HTTP.
    Tags,
    /// `properties.desired`, written over HTTP.
    Desired,
    /// `properties.reported`, written over MQTT.
    Reported,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Desired => "desired",
            Self::Reported => "reported",
        }
    }

    /// The number that grows with each write of this section.
    fn version(self, twin: &Value) -> Option<u64> {
        let pointer = match self {
            Self::Tags => "/version",
            Self::Desired => "/properties/desired/$version",
            Self::Reported => "/properties/reported/$version",
        };
        twin.pointer(pointer).and_then(Value::as_u64)
    }

    /// What users stored in this section of a twin that a back end read.
    pub(super) fn content(self, twin: &Value) -> Value {
        let pointer = match self {
            Self::Tags => "/tags",
            Self::Desired => "/properties/desired",
            Self::Reported => "/properties/reported",
        };
        // Empty tags may be left out of the document (hub-twins.md § 1.1).
        user_members(twin.pointer(pointer).unwrap_or(&json!({})))
    }
}

/// The body of a back-end write that holds `members` in `part`.
pub(super) fn body_of(part: Part, members: &Value) -> Value {
    match part {
        Part::Tags => json!({ "tags": members }),
        Part::Desired => json!({ "properties": { "desired": members } }),
        Part::Reported => json!({ "properties": { "reported": members } }),
    }
}

/// A section without the members that the hub adds.
pub(super) fn user_members(section: &Value) -> Value {
    let mut members = section.clone();
    if let Some(object) = members.as_object_mut() {
        object.remove("$version");
        object.remove("$metadata");
    }
    members
}

/// One section of a twin of the case's own, with the device connected.
pub(super) struct Section {
    part: Part,
    pub(super) who: Registered,
    pub(super) connection: Connection,
    /// The version that the last write was answered with.
    version: Option<u64>,
}

impl Section {
    /// A section of a new device.
    pub(super) async fn of_device(bench: &mut Bench, part: Part) -> Checked<Self> {
        let who = bench.device().await?;
        Self::of(bench, part, who).await
    }

    /// A section of a new module.
    pub(super) async fn of_module(bench: &mut Bench, part: Part) -> Checked<Self> {
        let device = bench.device().await?;
        let who = bench.module(&device, "vision").await?;
        Self::of(bench, part, who).await
    }

    async fn of(bench: &mut Bench, part: Part, who: Registered) -> Checked<Self> {
        let connection = bench.connect_and_listen(&who).await?;
        Ok(Self { part, who, connection, version: None })
    }

    /// Makes a PATCH that must be accepted; otherwise `requirement` is broken.
    pub(super) async fn patch(
        &mut self,
        bench: &mut Bench,
        requirement: &'static str,
        patch: &Value,
    ) -> Checked {
        let (accepted, version, seen) = if self.part == Part::Reported {
            let answer = self.connection.report(patch).await?;
            (answer.status == 204, answer.version, answer.to_string())
        } else {
            let (identity, body) = (&self.who.identity, body_of(self.part, patch));
            let answer = bench.write_twin(Method::PATCH, identity, IfMatch::Absent, &body).await?;
            let version = self.part.version(&answer.json());
            (answer.status.as_u16() == 200, version, answer.to_string())
        };
        self.version = version;
        if accepted {
            return Ok(());
        }
        let allowed = format!("{patch} is accepted as a PATCH of {}", self.part.name());
        Err(Stop::Broken { requirement, allowed, seen })
    }

    /// What the back end reads once the last write is visible.
    pub(super) async fn read_by_service(&mut self, bench: &mut Bench) -> Checked<Value> {
        let (part, version) = (self.part, self.version);
        let written = |twin: &Value| part.version(twin) >= version;
        let twin = bench.watch_twin(&self.who.identity, written).await?;
        Ok(part.content(&twin))
    }

    /// What the device reads; of desired properties, once it was told of the last write.
    pub(super) async fn read_by_device(&mut self) -> Checked<Value> {
        if let (Part::Desired, Some(version)) = (self.part, self.version) {
            self.connection.notifications_before(version).await?;
        }
        let twin = self.connection.twin().await?;
        Ok(user_members(twin.get(self.part.name()).unwrap_or(&Value::Null)))
    }

    /// Demands that the section holds `content`, as the back end reads it, and as the device reads
    /// it where the device wrote it.
    pub(super) async fn holds(
        &mut self,
        bench: &mut Bench,
        requirement: &'static str,
        content: &Value,
    ) -> Checked<bool> {
        let seen = self.read_by_service(bench).await?;
        let what = format!("{} as the back end reads it", self.part.name());
        let mut holds = bench.equal_json(requirement, &what, content, &seen);
        if self.part == Part::Reported {
            let seen = self.read_by_device().await?;
            holds &=
                bench.equal_json(requirement, "reported as the device reads it", content, &seen);
        }
        Ok(holds)
    }

    /// Makes one PATCH after the other and demands what each leaves behind.
    pub(super) async fn walk(&mut self, bench: &mut Bench, steps: Vec<Step>) -> Checked {
        for Step { requirement, patch, content } in steps {
            self.patch(bench, requirement, &patch).await?;
            self.holds(bench, requirement, &content).await?;
        }
        Ok(())
    }

    /// Fills the section, which must then hold just that: the positive control.
    pub(super) async fn fill(&mut self, bench: &mut Bench, content: &Value) -> Checked {
        let requirement = match self.part {
            Part::Tags => "HUB-MERGE-015",
            Part::Desired | Part::Reported => "HUB-MERGE-001",
        };
        self.patch(bench, requirement, content).await?;
        let seen = self.read_by_service(bench).await?;
        if seen == *content {
            return Ok(());
        }
        let allowed = format!("{} {content}", self.part.name());
        Err(Stop::Broken { requirement, allowed, seen: seen.to_string() })
    }
}

/// One of several PATCHes of a section.
pub(super) struct Step {
    /// What is broken when the section then holds anything but `content`.
    pub(super) requirement: &'static str,
    pub(super) patch: Value,
    pub(super) content: Value,
}

/// One merge: what was there, the PATCH, and what is there afterwards.
pub(super) struct Merge {
    pub(super) before: Value,
    pub(super) patch: Value,
    pub(super) after: Value,
}

/// Demands `requirement` of one merge into a section of a new device.
pub(super) async fn merges(
    bench: &mut Bench,
    part: Part,
    requirement: &'static str,
    merge: Merge,
) -> Checked {
    let mut section = Section::of_device(bench, part).await?;
    if merge.before != json!({}) {
        section.fill(bench, &merge.before).await?;
    }
    section.patch(bench, requirement, &merge.patch).await?;
    section.holds(bench, requirement, &merge.after).await?;
    Ok(())
}
