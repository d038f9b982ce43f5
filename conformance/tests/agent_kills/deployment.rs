//! The deployments that agents are killed in, and how each must end (device-update-agent.md §§ 6.3
//! to 6.9; device-update-manifests.md § 7.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use twinspec_harness::content::Manner;
use twinspec_harness::trace::hex;

/// The extended result code that failing payloads write: script handler, a value of our own.
const OWN_CODE: u32 = 0x3050_0042;

/// What a deployment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One step that is in force once it was installed.
    AtInstall,
    /// One step that is in force once it was applied.
    AtApply,
    /// Three steps of both sorts.
    Steps,
    /// One step with two payloads, whose first requests fail halfway or altogether.
    Downloads,
    /// The apply phase asks for a restart of the agent.
    Restart,
    /// The second of three steps fails in the install phase.
    InstallFails,
    /// The only step fails in the apply phase.
    ApplyFails,
    /// The script of the only step ends with an exit status.
    Exits,
    /// A payload is not what the manifest says.
    HashWrong,
    /// A payload is not there.
    NotThere,
    /// The manifest was signed by a key that no root key vouches for.
    Forged,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::AtInstall,
        Self::Steps,
        Self::InstallFails,
        Self::Downloads,
        Self::AtApply,
        Self::HashWrong,
        Self::Restart,
        Self::ApplyFails,
        Self::NotThere,
        Self::Exits,
        Self::Forged,
    ];

    fn payloads(self) -> Vec<Payload> {
        use Force::{Apply, Install};
        let good = Payload::new;
        match self {
            // Longer than an agent takes to be back: what outlives one is still there for the next.
            Self::AtInstall => vec![Payload { takes: "0.5", ..good(Install) }],
            Self::AtApply => vec![Payload { takes: "0.5", ..good(Apply) }],
            Self::Forged => vec![good(Apply)],
            Self::Steps => vec![good(Apply), good(Install), good(Apply)],
            Self::Downloads => vec![good(Apply).with(&[
                (300_000, Manner::CutFirst(90_000)),
                (20_000, Manner::RefusedFirst(503, 1)),
            ])],
            Self::Restart => vec![Payload { apply: "code=708", ..good(Apply) }],
            Self::InstallFails => {
                vec![good(Apply), Payload { install: "fails", ..good(Apply) }, good(Apply)]
            }
            Self::ApplyFails => vec![Payload { apply: "fails", ..good(Apply) }],
            Self::Exits => vec![Payload { install: "exits=3", ..good(Apply) }],
            Self::HashWrong => vec![good(Apply).with(&[(9_000, Manner::Changed)])],
            Self::NotThere => vec![good(Apply).with(&[(9_000, Manner::Refused(404))])],
        }
    }

    /// State, result code and first extended result code of the end.
    fn end(self) -> (i64, i64, &'static str) {
        match self {
            Self::AtInstall | Self::AtApply | Self::Steps | Self::Downloads | Self::Restart => {
                (0, 700, "00000000")
            }
            Self::InstallFails | Self::ApplyFails => (255, 0, "30500042"),
            // 30500000 + 1000 + exit status.
            Self::Exits => (255, 0, "30501003"),
            Self::HashWrong => (255, 0, "00100003"),
            // Downloader, simple HTTP, 404.
            Self::NotThere => (255, 0, "40200194"),
            Self::Forged => (255, 0, "A0200004"),
        }
    }
}

/// When a step's update is in force: after the success of this phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    Install,
    Apply,
}

impl Force {
    pub(crate) fn phase(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Apply => "apply",
        }
    }
}

/// One step: a script, and files that it looks into.
#[derive(Clone, Debug)]
struct Payload {
    force: Force,
    /// What the script does in these phases.
    install: &'static str,
    apply: &'static str,
    /// How long these phases take, in seconds.
    takes: &'static str,
    files: Vec<(usize, Manner)>,
}

impl Payload {
    fn new(force: Force) -> Self {
        Self { force, install: "code=600", apply: "code=700", takes: "0.03", files: Vec::new() }
    }

    fn with(self, files: &[(usize, Manner)]) -> Self {
        Self { files: files.to_vec(), ..self }
    }

    /// Reads its call, tells what it does, and takes a moment for it. That the update is in force
    /// is told by the same line that tells the end of the phase: nothing can come between.
    fn script(&self, log: &str, files: &[(String, String)]) -> String {
        let looks: String = files
            .iter()
            .map(|(name, hash)| {
                format!("[ \"$(sha256sum {name} | cut -c1-64)\" = {hash} ] || tell corrupt\n")
            })
            .collect();
        SCRIPT
            .replace("@LOG", log)
            .replace("@FORCE", self.force.phase())
            .replace("@INSTALL", self.install)
            .replace("@APPLY", self.apply)
            .replace("@TAKES", self.takes)
            .replace("@OWN", &OWN_CODE.to_string())
            .replace("@LOOKS", &looks)
    }
}

const SCRIPT: &str = r#"#!/bin/sh
log='@LOG' phase= result= workflow= step=
while [ $# -gt 0 ]; do
  case "$1" in
    --action-*) phase=${1#--action-} ;;
    --result-file) result=$2; shift ;;
    --workflow-id) workflow=$2; shift ;;
    --step) step=$2; shift ;;
    --work-folder|--installed-criteria) shift ;;
  esac
  shift
done
tell() { echo "$workflow $step $TWINSPEC_LIFE $phase $*" >> "$log"; }
code=0 extended=0 exits=0
fails() { extended=@OWN; }
tell begin
case "$phase" in
  is-installed) code=901; grep -q "^$workflow $step [0-9]* @FORCE end [67]" "$log" && code=900 ;;
  download) sleep 0.02; code=500 ;;
  backup) code=1000 ;;
  install)
@LOOKS
    sleep @TAKES; @INSTALL ;;
  apply) sleep @TAKES; @APPLY ;;
  restore) code=1100 ;;
esac
tell end $code
[ $exits = 0 ] || exit $exits
echo "{\"resultCode\":$code,\"extendedResultCode\":$extended,\"resultDetails\":\"\"}" > "$result"
"#;

/// A file to serve.
pub(crate) struct Served {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    pub(crate) manner: Manner,
}

/// A deployment, and all that a judge must know of it.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) workflow: String,
    pub(crate) kind: Kind,
    pub(crate) update: Value,
    /// When each step is in force.
    pub(crate) steps: Vec<Force>,
    pub(crate) manifest: String,
}

impl Deployment {
    /// A deployment whose payloads write into `log`, and the files to serve for it.
    pub(crate) fn new(kind: Kind, number: usize, log: &str, rng: &mut Rng) -> (Self, Vec<Served>) {
        let payloads = kind.payloads();
        let update =
            json!({ "provider": "Twinspec", "name": "Kills", "version": format!("1.{number}") });
        let (mut files, mut entries, mut steps) = (Vec::new(), Map::new(), Vec::new());
        for payload in &payloads {
            let served = payload.served(log, rng);
            let ids: Vec<&String> = served.iter().map(|file| &file.id).collect();
            steps.push(json!({
                "type": "inline",
                "handler": "microsoft/script:1",
                "files": ids,
                "handlerProperties": { "scriptFileName": "run.sh", "installedCriteria": "told" },
            }));
            entries.extend(served.iter().map(|file| (file.id.clone(), file.entry())));
            files.extend(served);
        }
        let manifest = json!({
            "manifestVersion": "5",
            "updateId": update,
            "compatibility": [{ "manufacturer": "twinspec", "model": "reference" }],
            "instructions": { "steps": steps },
            "files": entries,
            "createdDateTime": "2026-01-02T03:04:05Z",
        });
        let deployment = Self {
            workflow: format!("{:012x}-{number}", rng.u64(..1 << 48)),
            kind,
            update,
            steps: payloads.iter().map(|payload| payload.force).collect(),
            manifest: manifest.to_string(),
        };
        (deployment, files)
    }

    /// What is wrong with `agent`, the reported property with which the deployment ended.
    pub(crate) fn flaws_of_end(&self, agent: &Value) -> Vec<String> {
        let (state, code, extended) = self.kind.end();
        let result = &agent["lastInstallResult"];
        let codes = result["extendedResultCodes"].as_str().unwrap_or_default();
        let installed: Option<Value> =
            agent["installedUpdateId"].as_str().and_then(|text| serde_json::from_str(text).ok());
        let claims = installed.as_ref() == Some(&self.update);
        let checks = [
            (agent["state"] == state, format!("state {state}")),
            (agent["workflow"]["id"] == self.workflow, "its workflow id".to_owned()),
            (result["resultCode"] == code, format!("resultCode {code}")),
            (codes.split(',').next() == Some(extended), format!("extended result code {extended}")),
            (claims == (state == 0), format!("installedUpdateId only of a success: {installed:?}")),
            (self.has_right_steps(&result["stepResults"]), "the right stepResults".to_owned()),
        ];
        let flaws = checks.into_iter().filter(|(holds, _)| !holds);
        flaws.map(|(_, what)| format!("{self}: wanted {what}, reported was {agent}")).collect()
    }

    /// A step that was found installed after a restart shows 900 (§ 6.9); one that was not reached
    /// shows 0 (§ 6.11), or that it was downloaded: the sources do not tell these two apart.
    fn has_right_steps(&self, steps: &Value) -> bool {
        let codes = |n: usize| &steps[format!("step_{n}")]["resultCode"];
        let succeeded = |n: usize| *codes(n) == 700 || *codes(n) == 900;
        let expected = match self.kind {
            Kind::Forged => return steps.is_null(),
            Kind::AtInstall | Kind::AtApply | Kind::Downloads | Kind::Restart => succeeded(0),
            Kind::Steps => succeeded(0) && succeeded(1) && succeeded(2),
            Kind::InstallFails => {
                succeeded(0) && *codes(1) == 0 && (*codes(2) == 0 || *codes(2) == 500)
            }
            Kind::ApplyFails | Kind::Exits | Kind::HashWrong | Kind::NotThere => *codes(0) == 0,
        };
        expected && steps.as_object().is_some_and(|steps| steps.len() == self.steps.len())
    }

    /// How many of the steps may be installed at all.
    pub(crate) fn steps_installed_max(&self) -> usize {
        match self.kind {
            Kind::HashWrong | Kind::NotThere | Kind::Forged => 0,
            Kind::InstallFails => 2,
            _ => self.steps.len(),
        }
    }
}

impl std::fmt::Display for Deployment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} {}", self.kind, self.workflow)
    }
}

impl Payload {
    fn served(&self, log: &str, rng: &mut Rng) -> Vec<Served> {
        let mut id = || format!("f{:016x}", rng.u64(..));
        let mut served = Vec::new();
        for (number, (size, manner)) in self.files.iter().enumerate() {
            let id = id();
            let content = id.bytes().cycle().take(*size).collect();
            served.push(Served { id, name: format!("{number}.bin"), content, manner: *manner });
        }
        let hashes =
            served.iter().map(|file| (file.name.clone(), hex(&Sha256::digest(&file.content))));
        let script = self.script(log, &hashes.collect::<Vec<_>>()).into_bytes();
        let name = "run.sh".to_owned();
        served.push(Served { id: id(), name, content: script, manner: Manner::Whole });
        served
    }
}

impl Served {
    fn entry(&self) -> Value {
        json!({
            "fileName": self.name,
            "sizeInBytes": self.content.len(),
            "hashes": { "sha256": STANDARD.encode(Sha256::digest(&self.content)) },
        })
    }
}
