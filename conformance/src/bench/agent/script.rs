//! Payloads that tell what was done with them: shell scripts that append a line to a log in every
//! phase, and end each phase as the case wants (device-update-manifests.md § 7.2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A phase of a handler. The words are written here again, from the sources: what cases expect is
/// never taken from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Asks whether the update is there already.
    IsInstalled,
    /// Fetches what is still missing.
    Download,
    /// Makes it possible to go back.
    Backup,
    /// Installs.
    Install,
    /// Puts into force.
    Apply,
    /// Goes back.
    Restore,
    /// Stops a running phase.
    Cancel,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::IsInstalled,
        Self::Download,
        Self::Backup,
        Self::Install,
        Self::Apply,
        Self::Restore,
        Self::Cancel,
    ];

    /// The word in the call of a script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IsInstalled => "is-installed",
            Self::Download => "download",
            Self::Backup => "backup",
            Self::Install => "install",
            Self::Apply => "apply",
            Self::Restore => "restore",
            Self::Cancel => "cancel",
        }
    }

    /// The code with which it usually succeeds (device-update-agent.md § 11).
    fn usual_code(self) -> i64 {
        match self {
            Self::IsInstalled => 901,
            Self::Download => 500,
            Self::Backup => 1000,
            Self::Install => 600,
            Self::Apply => 700,
            Self::Restore => 1100,
            Self::Cancel => 800,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == word)
    }
}

/// How a phase ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Result code.
    pub code: i64,
    /// Extended result code, unsigned.
    pub extended: u32,
    /// Text.
    pub details: String,
    /// Exit status; other than 0 there is no result file.
    pub exit: u8,
    /// Whether it writes no result.
    pub silent: bool,
    /// Whether it writes its result although its exit status is not 0.
    pub keeps_result: bool,
    /// Whether it waits until the case opens its gate, or until it is told to cancel.
    pub gated: bool,
    /// The one component for which it ends so; for the others it ends as usual.
    pub component: Option<&'static str>,
}

impl Ending {
    fn usual(phase: Phase) -> Self {
        Self {
            code: phase.usual_code(),
            extended: 0,
            details: String::new(),
            exit: 0,
            silent: false,
            keeps_result: false,
            gated: false,
            component: None,
        }
    }
}

/// A payload.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name in the log.
    pub name: String,
    endings: BTreeMap<Phase, Ending>,
    /// Whether it says that it is installed once it was applied.
    remembers: bool,
    /// Whether it goes on although it is told to cancel.
    stubborn: bool,
    /// Bytes of padding, to make the file large.
    padding: usize,
}

impl Script {
    /// A payload that does everything right.
    #[must_use]
    pub fn good(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            endings: BTreeMap::new(),
            remembers: true,
            stubborn: false,
            padding: 0,
        }
    }

    /// The same, where `phase` ends with `code`.
    #[must_use]
    pub fn with(self, phase: Phase, code: i64) -> Self {
        self.ending(phase, |ending| ending.code = code)
    }

    /// The same, where `phase` fails with the extended result code `extended` and a text.
    #[must_use]
    pub fn failing(self, phase: Phase, extended: u32, details: &str) -> Self {
        self.ending(phase, |ending| {
            ending.code = 0;
            ending.extended = extended;
            details.clone_into(&mut ending.details);
        })
    }

    /// The same, where `phase` ends with an exit status and without a result.
    #[must_use]
    pub fn exiting(self, phase: Phase, exit: u8) -> Self {
        self.ending(phase, |ending| ending.exit = exit)
    }

    /// The same, where `phase` ends with an exit status after it has written a result.
    #[must_use]
    pub fn exiting_with_result(self, phase: Phase, exit: u8) -> Self {
        self.ending(phase, |ending| (ending.exit, ending.keeps_result) = (exit, true))
    }

    /// The same, where `phase` exits with 0 and writes no result.
    #[must_use]
    pub fn silent(self, phase: Phase) -> Self {
        self.ending(phase, |ending| ending.silent = true)
    }

    /// The same, where `phase` waits for the case.
    #[must_use]
    pub fn gated(self, phase: Phase) -> Self {
        self.ending(phase, |ending| ending.gated = true)
    }

    /// The same, which never says that it is installed.
    #[must_use]
    pub fn forgetful(self) -> Self {
        Self { remembers: false, ..self }
    }

    /// The same, where `phase` ends as it does for `component` only, and as usual for all others.
    #[must_use]
    pub fn only_for(self, phase: Phase, component: &'static str) -> Self {
        self.ending(phase, |ending| ending.component = Some(component))
    }

    /// The same, which goes on although it is told to cancel.
    #[must_use]
    pub fn stubborn(self) -> Self {
        Self { stubborn: true, ..self }
    }

    /// The same, as a file of at least `bytes` bytes.
    #[must_use]
    pub fn padded(self, bytes: usize) -> Self {
        Self { padding: bytes, ..self }
    }

    fn ending(mut self, phase: Phase, change: impl FnOnce(&mut Ending)) -> Self {
        change(self.endings.entry(phase).or_insert_with(|| Ending::usual(phase)));
        self
    }

    /// The file's name.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.sh", self.name)
    }

    /// The file's text, for a device whose things lie in `device`.
    #[must_use]
    pub fn text(&self, device: &Device) -> String {
        let phases: String = Phase::ALL.into_iter().map(|phase| self.phase(phase)).collect();
        let mut text = HEAD
            .replace("@LOG", &device.log().display().to_string())
            .replace("@MARKS", &device.marks().display().to_string())
            .replace("@NAME", &self.name)
            .replace("@PHASES", &phases);
        while text.len() < self.padding {
            text.push_str("# padding padding padding padding padding padding padding\n");
        }
        text
    }

    fn phase(&self, phase: Phase) -> String {
        let ending = self.endings.get(&phase).cloned().unwrap_or_else(|| Ending::usual(phase));
        let name = phase.name();
        let mut text = format!("  {name})\n    code={} extended={}", ending.code, ending.extended);
        text.push_str(&format!(" details='{}' exits={}\n", ending.details, ending.exit));
        if ending.silent {
            text.push_str("    result=\n");
        }
        if ending.keeps_result {
            text.push_str("    keeps=1\n");
        }
        if let Some(component) = ending.component {
            let code = phase.usual_code();
            let usual = format!("{{ code={code}; extended=0; details=; exits=0; }}");
            text.push_str(&format!("    [ \"$component\" = {component} ] || {usual}\n"));
        }
        if ending.gated {
            text.push_str("    gate\n");
        }
        match phase {
            // A new run begins: an old cancel is over.
            Phase::IsInstalled if self.remembers && !self.endings.contains_key(&phase) => {
                text.push_str("    [ -e \"$marks/installed-$name\" ] && code=900\n");
                text.push_str("    rm -f \"$marks/cancelled-$name\"\n");
            }
            Phase::IsInstalled => text.push_str("    rm -f \"$marks/cancelled-$name\"\n"),
            Phase::Apply if ending.code > 0 && ending.exit == 0 => {
                text.push_str("    [ \"$code\" -gt 0 ] && : > \"$marks/installed-$name\"\n");
            }
            Phase::Cancel if self.stubborn => {}
            Phase::Cancel => text.push_str("    : > \"$marks/cancelled-$name\"\n"),
            _ => {}
        }
        text.push_str("    ;;\n");
        text
    }
}

/// What every payload begins with: it reads its call in each of the documented forms.
const HEAD: &str = r#"#!/bin/sh
log='@LOG' marks='@MARKS' name='@NAME'
phase= result= component= keeps=
while [ $# -gt 0 ]; do
  case "$1" in
    --action) phase=$2; shift ;;
    --action-*) phase=${1#--action-} ;;
    --result-file) result=$2; shift ;;
    --component-name-val) component=$2; shift ;;
    --work-folder|--installed-criteria|--workflow-id|--step|--component-*) shift ;;
    is-installed|download|backup|install|apply|restore|cancel) [ -n "$phase" ] || phase=$1 ;;
  esac
  shift
done
gate() {
  tries=0
  while [ ! -e "$marks/open-$name-$phase" ] && [ $tries -lt 3000 ]; do
    if [ -e "$marks/cancelled-$name" ]; then code=-1; break; fi
    sleep 0.02
    tries=$((tries + 1))
  done
}
code=0 extended=0 details= exits=0
echo "$name $phase begin $component" >> "$log"
case "$phase" in
@PHASES
esac
echo "$name $phase end $component" >> "$log"
[ "$exits" = 0 ] || [ -n "$keeps" ] || exit "$exits"
if [ -n "$result" ]; then
  echo "{\"resultCode\":$code,\"extendedResultCode\":$extended,\"resultDetails\":\"$details\"}" > "$result"
fi
exit "$exits"
"#;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Name of the payload.
    pub payload: String,
    /// Phase.
    pub phase: Phase,
    /// Whether the phase ended; otherwise it began.
    pub ended: bool,
    /// The component it ran for; empty for the host.
    pub component: String,
}

/// Where the payloads of a case keep their things: the "device" of which an update is part.
#[derive(Clone, Debug)]
pub struct Device {
    folder: PathBuf,
}

impl Device {
    /// A device whose things lie in `folder`, which must exist.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("ran.log")
    }

    fn marks(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Lets `phase` of `script` go on, now or when it is reached.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn open(&self, script: &Script, phase: Phase) -> std::io::Result<()> {
        std::fs::write(self.folder.join(format!("open-{}-{}", script.name, phase.name())), "")
    }

    /// Makes `script` say that it is installed.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn preset_installed(&self, script: &Script) -> std::io::Result<()> {
        std::fs::write(self.folder.join(format!("installed-{}", script.name)), "")
    }

    /// What ran so far, oldest first.
    #[must_use]
    pub fn ran(&self) -> Vec<Ran> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().filter_map(ran).collect()
    }
}

fn ran(line: &str) -> Option<Ran> {
    let mut words = line.split(' ');
    let payload = words.next()?.to_owned();
    let phase = Phase::parse(words.next()?)?;
    let ended = words.next()? == "end";
    Some(Ran { payload, phase, ended, component: words.next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_script_takes_every_form_of_the_call_and_tells_what_it_did() {
        let folder = scratch("twinspec-script");
        let device = Device::new(&folder);
        let script = Script::good("a").failing(Phase::Install, 0x3050_0001, "no space");
        let (file, result) = (folder.join("a.sh"), folder.join("result.json"));
        std::fs::write(&file, script.text(&device)).unwrap();
        let run = |words: &[&str]| {
            let mut command = Command::new("sh");
            command.arg(&file).args(words).arg("--result-file").arg(&result);
            assert!(command.status().unwrap().success());
            std::fs::read_to_string(&result).unwrap()
        };
        assert!(run(&["is-installed"]).contains("901"));
        assert!(run(&["--action-install", "--work-folder", "apply"]).contains("810549249"));
        assert!(run(&["--action", "apply", "--installed-criteria", "x"]).contains("700"));
        assert!(run(&["--action-is-installed"]).contains("900"));
        let phases: Vec<Phase> =
            device.ran().iter().filter(|ran| ran.ended).map(|ran| ran.phase).collect();
        let expected = [Phase::IsInstalled, Phase::Install, Phase::Apply, Phase::IsInstalled];
        assert_eq!(phases, expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_cancelled_script_stops_waiting() {
        let folder = scratch("twinspec-cancel");
        let device = Device::new(&folder);
        let script = Script::good("b").gated(Phase::Install);
        let (file, result) = (folder.join("b.sh"), folder.join("result.json"));
        std::fs::write(&file, script.text(&device)).unwrap();
        let start = |phase: &str, result: &Path| {
            let mut command = Command::new("sh");
            command.arg(&file).arg(phase).arg("--result-file").arg(result).spawn().unwrap()
        };
        let mut install = start("install", &result);
        assert!(start("cancel", &folder.join("other.json")).wait().unwrap().success());
        assert!(install.wait().unwrap().success());
        assert!(std::fs::read_to_string(&result).unwrap().contains("-1"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
