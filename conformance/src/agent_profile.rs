//! An agent's profile: how it is started, what it claims, told by its vendor in a TOML file.
//!
//! Without a profile everything is claimed.

mod check;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use check::{check_directory, check_meet, check_program, check_seconds, check_start};
use serde::Deserialize;

use crate::bench::agent::firmware::words::{Pattern, SPELLINGS, Words};
use crate::case::{Case, Claim, Group, Need, Role};
use crate::profile::{Profile, ProfileError, Unsupported, natural};
use crate::report::output::check_file;
use crate::text;

/// The words in braces that stand for what only the run knows.
pub const PLACEHOLDERS: &[&str] = &[
    "connection_string",
    "host",
    "port",
    "mqtt_url",
    "device_id",
    "key",
    "ca_file",
    "root_keys_file",
    "work_dir",
    "components_file",
    "generation",
];

/// How the reference agent is started: its waits are short, so that a run is.
const REFERENCE: &str = "agent --mqtt {mqtt_url} --connection-string {connection_string} \
    --ca {ca_file} --root-keys {root_keys_file} --work-dir {work_dir} --generation {generation} \
    --components {components_file} --back-off-min-ms 200 --back-off-max-ms 2000 --resend-after 1 --answer-timeout 2 \
    --stall-timeout 1 --download-tries 2 --cancel-grace 2 --keep-alive 5";

/// How a reference device of an older firmware-update pattern is started.
const REFERENCE_DEVICE: &str = "--mqtt {mqtt_url} --connection-string {connection_string} \
    --ca {ca_file} --unit-ms 40 --reconnect-ms 200";

/// What an agent's vendor says of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentProfile {
    /// What the agent is called in reports.
    pub name: String,
    /// How it is started; without it the agent connects by itself.
    #[serde(default)]
    pub start: Option<Start>,
    /// Where an agent that connects by itself finds the suite.
    #[serde(default)]
    pub meet: Option<Meet>,
    /// What it claims.
    #[serde(default)]
    pub claims: Claims,
    /// Requirements that are not claimed.
    #[serde(default)]
    pub unsupported: Vec<Unsupported>,
    /// Which outcome of an open point the agent shows, by the point's id.
    #[serde(default)]
    pub pins: BTreeMap<String, String>,
    /// Where the profile was read: relative paths begin there.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// How an agent is started.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Program and arguments, with placeholders. A program with a slash is looked for beside the
    /// profile.
    pub command: Vec<String>,
    /// Variables of its environment, with placeholders.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where it runs, with placeholders; by default the profile's folder.
    #[serde(default)]
    pub directory: Option<String>,
    /// Files written before the start.
    #[serde(default)]
    pub files: Vec<Template>,
    /// Seconds from the start until it must have connected.
    #[serde(default = "connect_s", deserialize_with = "natural")]
    pub connect_s: u64,
    /// Seconds it gets after SIGTERM.
    #[serde(default = "terminate_s", deserialize_with = "natural")]
    pub terminate_s: u64,
}

/// A file that an agent reads at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Where it is written, with placeholders; it must lie in `{work_dir}`.
    pub path: String,
    /// Its text, with placeholders.
    pub text: String,
}

/// Where an agent that connects by itself finds the suite.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meet {
    /// Where the hub listens, MQTT over TLS, for example `127.0.0.1:8883`.
    pub mqtts: String,
    /// Where payloads are served.
    pub content: String,
    /// The device's id.
    pub device_id: String,
    /// The device's base64 key.
    pub key: String,
    /// Where the hub's certificate authority is written, PEM, for the agent to be given.
    pub ca_file: PathBuf,
    /// Where the root keys are written, for the agent to be given.
    pub root_keys_file: PathBuf,
    /// Seconds until it must have connected again.
    #[serde(default = "meet_s", deserialize_with = "natural")]
    pub connect_s: u64,
}

/// What an agent claims.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// The goal state protocol: 1, 2 or 3.
    pub generation: u8,
    /// Other generations that it speaks when it is started with another `{generation}`.
    pub other_generations: Vec<u8>,
    /// It trusts the root keys it is given; one with built-in roots does not.
    pub root_keys: bool,
    /// It runs payload scripts on this machine through this handler; empty when it cannot.
    pub script_handler: String,
    /// It updates components, and its enumerator knows those of `{components_file}`.
    pub components: bool,
    /// It takes delta updates.
    pub delta: bool,
    /// It uploads logs (`diagnosticInformation`).
    pub diagnostics: bool,
    /// It restarts or reboots when a handler asks for it.
    pub restarts: bool,
    /// It can be killed and started again with the same work folder.
    pub resumes: bool,
    /// Its reports are sent again after a refusal within so many seconds.
    #[serde(deserialize_with = "natural")]
    pub resend_s: u64,
    /// The older firmware-update patterns that it follows. An agent that follows any is judged by
    /// these alone, and one that follows none by none of them.
    pub patterns: Vec<Pattern>,
    /// In which words it tells of updates by direct method.
    pub spelling: Option<String>,
    /// The images that it knows, for those patterns.
    pub images: Images,
    /// Seconds that an update may take at most, for those patterns.
    #[serde(deserialize_with = "natural")]
    pub attempt_s: u64,
}

/// Images that make a device of an older firmware-update pattern succeed or fail. An empty text
/// means that it cannot be made to fail like that.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// The address of a good image.
    pub good: String,
    /// The check value of every good image.
    pub check_value: String,
    /// A check value that no image has.
    pub wrong_check_value: String,
    /// An https address from which nothing can be fetched.
    pub missing: String,
    /// The address of an image that can be fetched and not applied.
    pub broken: String,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            good: "https://files.example/fw-9.bin".to_owned(),
            check_value: "c0ffee77".to_owned(),
            wrong_check_value: "0badf00d".to_owned(),
            missing: "https://files.example/missing.bin".to_owned(),
            broken: "https://files.example/broken.bin".to_owned(),
        }
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            generation: 3,
            other_generations: Vec::new(),
            root_keys: true,
            script_handler: "microsoft/script:1".to_owned(),
            components: true,
            delta: true,
            diagnostics: true,
            restarts: true,
            resumes: true,
            resend_s: 40,
            patterns: Vec::new(),
            spelling: None,
            images: Images::default(),
            attempt_s: 30,
        }
    }
}

fn connect_s() -> u64 {
    20
}

fn terminate_s() -> u64 {
    5
}

fn meet_s() -> u64 {
    120
}

impl AgentProfile {
    /// The profile of an agent that is started by `command` and claims everything.
    ///
    /// # Errors
    /// Names the placeholder that does not exist, or the program that cannot be started.
    pub fn of_command(command: Vec<String>) -> Result<Self, ProfileError> {
        let name = command.first().cloned().unwrap_or_default();
        let start = Start {
            command,
            connect_s: connect_s(),
            terminate_s: terminate_s(),
            ..Start::default()
        };
        let mut profile = Self {
            name,
            start: Some(start),
            meet: None,
            claims: Claims::default(),
            unsupported: Vec::new(),
            pins: BTreeMap::new(),
            folder: PathBuf::from("."),
        };
        profile.check().map_err(ProfileError::new)?;
        profile.settle_paths().map_err(ProfileError::new)?;
        Ok(profile)
    }

    /// The profile of the reference agent: `twinspec agent` of the program at `twinspec`.
    ///
    /// # Errors
    /// When the path is no text.
    pub fn reference(twinspec: &Path) -> Result<Self, ProfileError> {
        let program = twinspec.to_str().ok_or_else(|| {
            ProfileError::new(format!("the path {} is no text", twinspec.display()))
        })?;
        let words = REFERENCE.split_ascii_whitespace();
        let command = std::iter::once(program).chain(words).map(str::to_owned).collect();
        let mut profile = Self::of_command(command)?;
        "reference agent".clone_into(&mut profile.name);
        profile.claims.other_generations = vec![1, 2];
        Ok(profile)
    }

    /// Reads the TOML file at `path`.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let problem = |what: String| {
            ProfileError::new(format!(
                "agent profile {}: {}",
                path.display(),
                text::shortened(&what)
            ))
        };
        let text = text::read(path, text::FILE_MAX).map_err(|error| problem(error.to_string()))?;
        let mut profile = Self::parse(&text).map_err(problem)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        profile.folder = folder.unwrap_or(Path::new(".")).to_owned();
        profile.settle_paths().map_err(problem)?;
        Ok(profile)
    }

    /// Lets relative paths begin beside the profile, and looks whether they can be used.
    fn settle_paths(&mut self) -> Result<(), String> {
        if let Some(start) = &self.start {
            check_directory(start, &self.folder)?;
            check_program(start, &self.folder)?;
        }
        if let Some(meet) = &mut self.meet {
            let files =
                [("ca_file", &mut meet.ca_file), ("root_keys_file", &mut meet.root_keys_file)];
            for (name, file) in files {
                *file = self.folder.join(&*file);
                check_file(file)
                    .map_err(|error| format!("meet.{name}: {}: {error}", file.display()))?;
            }
        }
        Ok(())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        match (&self.start, &self.meet) {
            (Some(start), None) if start.command.first().is_none_or(String::is_empty) => {
                return Err("start.command is empty: it says how the agent is started".to_owned());
            }
            (Some(start), None) => check_start(start)?,
            (None, Some(meet)) => check_meet(meet)?,
            _ => return Err("expected either [start] or [meet]".to_owned()),
        }
        if !(1..=3).contains(&self.claims.generation) {
            let seen = self.claims.generation;
            return Err(format!("claims.generation is {seen}, allowed are 1, 2 and 3"));
        }
        check_seconds("claims.resend_s", self.claims.resend_s)?;
        check_seconds("claims.attempt_s", self.claims.attempt_s)?;
        self.check_spelling()?;
        self.profile().check()
    }

    /// Whoever tells of updates by direct method names the words (FW-S05).
    fn check_spelling(&self) -> Result<(), String> {
        let needs_one = self.claims.patterns.contains(&Pattern::DirectMethod);
        let names: Vec<&str> = SPELLINGS.iter().map(|words| words.name).collect();
        let allowed = names.join(", ");
        match &self.claims.spelling {
            Some(name) if Words::find(name).is_none() => {
                Err(format!("claims.spelling is {name:?}, allowed are {allowed}"))
            }
            None if needs_one => Err(format!(
                "claims.patterns has direct-method, so claims.spelling must be one of {allowed}"
            )),
            Some(_) if !needs_one => {
                Err("claims.spelling is for agents with direct-method in claims.patterns"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whom the cases judge that concern such an agent.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.claims.patterns.is_empty() { Role::Agent } else { Role::Device }
    }

    /// Whether `case` of `group` judges such an agent at all.
    #[must_use]
    pub fn concerns(&self, group: &Group, case: &Case) -> bool {
        let claims = |need: &Need| match need {
            Need::Claim(Claim::Pattern(pattern)) => self.claims.patterns.contains(pattern),
            _ => true,
        };
        group.role == self.role() && case.needs.iter().all(claims)
    }

    /// The profile of the reference device of an older firmware-update pattern: `twinspec
    /// firmware-device` of the program at `twinspec`.
    ///
    /// # Errors
    /// When the path is no text, or the spelling does not go with the pattern.
    pub fn reference_device(
        twinspec: &Path,
        pattern: Pattern,
        spelling: Option<&str>,
    ) -> Result<Self, ProfileError> {
        let program = twinspec.to_str().ok_or_else(|| {
            ProfileError::new(format!("the path {} is no text", twinspec.display()))
        })?;
        let mut command = vec![program.to_owned(), "firmware-device".to_owned()];
        command.push(pattern.name().to_owned());
        if let Some(spelling) = spelling {
            command.extend(["--spelling".to_owned(), spelling.to_owned()]);
        }
        command.extend(REFERENCE_DEVICE.split_ascii_whitespace().map(str::to_owned));
        let mut profile = Self::of_command(command)?;
        profile.name = told_device(pattern, spelling);
        profile.claim_pattern(pattern, spelling)
    }

    /// The profile of a device that runs inside this process.
    ///
    /// # Errors
    /// When the spelling does not go with the pattern.
    pub fn inner_device(pattern: Pattern, spelling: Option<&str>) -> Result<Self, ProfileError> {
        let profile = Self {
            name: told_device(pattern, spelling),
            start: None,
            meet: None,
            claims: Claims::default(),
            unsupported: Vec::new(),
            pins: BTreeMap::new(),
            folder: PathBuf::from("."),
        };
        profile.claim_pattern(pattern, spelling)
    }

    fn claim_pattern(
        mut self,
        pattern: Pattern,
        spelling: Option<&str>,
    ) -> Result<Self, ProfileError> {
        self.claims.patterns = vec![pattern];
        self.claims.spelling = spelling.map(str::to_owned);
        self.check_spelling().map_err(ProfileError::new)?;
        Ok(self)
    }

    /// What every profile has.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile {
            name: Some(self.name.clone()),
            unsupported: self.unsupported.clone(),
            pins: self.pins.clone(),
            ..Profile::default()
        }
    }
}

fn told_device(pattern: Pattern, spelling: Option<&str>) -> String {
    let spelling = spelling.map(|name| format!(" ({name})")).unwrap_or_default();
    format!("reference device {}{spelling}", pattern.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_how_the_agent_is_started() {
        let text = "name = \"a\"\n[start]\ncommand = [\"./a\", \"--to={connection_string}\"]\n\
                    [[start.files]]\npath = \"{work_dir}/c.json\"\ntext = '{\"id\": \"{device_id}\"}'\n\
                    [claims]\ngeneration = 2";
        let profile = AgentProfile::parse(text).unwrap();
        assert_eq!((profile.claims.generation, profile.claims.components), (2, true));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, error) in [
            ("name = \"a\"", "expected either [start] or [meet]"),
            ("name = \"a\"\n[start]\ncommand = []", "start.command is empty"),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\", \"{hub}\"]",
                "there is no placeholder {hub}, allowed are {connection_string}, {host}",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[claims]\ngeneration = 4",
                "claims.generation is 4, allowed are 1, 2 and 3",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[[start.files]]\npath = \"/x\"\ntext = \"\"",
                "file /x does not lie in {work_dir}",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[[start.files]]\n\
                 path = \"{work_dir}/../x\"\ntext = \"\"",
                "file {work_dir}/../x does not lie in {work_dir}",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[claims]\npatterns = [\"direct-method\"]",
                "claims.spelling must be one of tutorial-2016, dm-patterns, samples-2018, c-port",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[claims]\npatterns = [\"direct-method\"]\n\
                 spelling = \"tutorial\"",
                "claims.spelling is \"tutorial\", allowed are tutorial-2016, dm-patterns",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[claims]\npatterns = [\"twin-job\"]\n\
                 spelling = \"c-port\"",
                "claims.spelling is for agents with direct-method",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\nconnect_s = 0",
                "start.connect_s is 0, allowed are 1 to 600",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\nenvironment = { \"A=B\" = \"c\" }",
                "start.environment has the name \"A=B\", allowed are names that",
            ),
            (
                "name = \"a\"\n[meet]\nmqtts = \"localhost\"\ncontent = \"127.0.0.1:0\"\n\
                 device_id = \"d\"\nkey = \"AAECAwQFBgcICQoLDA0ODw==\"\nca_file = \"a\"\n\
                 root_keys_file = \"b\"",
                "meet.mqtts is \"localhost\", allowed is an address with a port",
            ),
            (
                "name = \"a\"\n[meet]\nmqtts = \"127.0.0.1:0\"\ncontent = \"127.0.0.1:0\"\n\
                 device_id = \"d\"\nkey = \"secret\"\nca_file = \"a\"\nroot_keys_file = \"b\"",
                "meet.key is no key, allowed is base64 of 16 to 64 bytes",
            ),
            (
                "name = \"a\"\n[start]\ncommand = [\"a\"]\n[pins]\nA-X = \"b\"",
                "there is no open point A-X",
            ),
        ] {
            let seen = AgentProfile::parse(text).unwrap_err();
            assert!(seen.contains(error), "{seen}");
        }
    }
}
