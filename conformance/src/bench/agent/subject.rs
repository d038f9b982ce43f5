//! The agent under test: how a run starts it, and what all its cases share.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use twinspec_harness::content::{ContentServer, Manner};
use twinspec_harness::process::Launch;
use twinspec_harness::signing::Authority;
use twinspec_model::firmware::Device;

use super::keys::{PACKAGE_VERSION, root_keys};
use super::stage::Stage;
use crate::agent_profile::{AgentProfile, Start};
use crate::case::Claim;

/// Where the package of the run is served.
const PACKAGE: &str = "run/rootkeypackage-7.json";

/// How long the shortest phase of a device inside this process lasts.
pub(super) const UNIT: Duration = Duration::from_millis(40);

/// Its pause between two attempts to connect.
pub(super) const RECONNECT: Duration = Duration::from_millis(200);

/// Makes a device that runs inside this process.
pub type MakeDevice = Arc<dyn Fn() -> Box<dyn Device> + Send + Sync>;

/// What the component enumerator of an agent is to know: three motors and a lamp.
const COMPONENTS: &str = r#"[
  {"id": "0", "name": "left-motor", "group": "motors", "manufacturer": "Fabrikam", "model": "M1"},
  {"id": "1", "name": "right-motor", "group": "motors", "manufacturer": "Fabrikam", "model": "M1"},
  {"id": "2", "name": "rear-motor", "group": "motors", "manufacturer": "Fabrikam", "model": "M1"},
  {"id": "3", "name": "lamp", "group": "lights", "manufacturer": "Contoso", "model": "L7"}
]"#;

/// What an agent needs at least to work, in bytes.
const ROOM: usize = 256 << 10;

/// Cases in a row in which an agent may fail to come before the run goes on without waiting.
const ABSENCES_MAX: u64 = 5;

/// The agent that a run judges.
pub struct Subject {
    /// How it is started and what it claims.
    pub profile: AgentProfile,
    /// Makes it, where it runs inside this process.
    pub(super) inner: Option<MakeDevice>,
    pub(super) stage: Stage,
    pub(super) content: ContentServer,
    pub(super) authority: &'static Authority,
    scratch: Scratch,
    folders: AtomicU64,
    /// Cases in a row in which the agent never came.
    absences: AtomicU64,
}

/// What the placeholders of a profile stand for.
pub(super) struct Words {
    pub(super) connection_string: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) device_id: String,
    pub(super) key: String,
    pub(super) work_dir: PathBuf,
    pub(super) generation: u8,
}

impl Subject {
    /// Prepares a run: keys, a content server, a folder for scratch files.
    ///
    /// # Errors
    /// When the machine does not provide them.
    pub async fn new(
        profile: AgentProfile,
        stage: Stage,
        inner: Option<MakeDevice>,
    ) -> io::Result<Self> {
        let listen = match &profile.meet {
            Some(meet) => meet.content.parse().map_err(|error| {
                io::Error::other(format!("meet.content {:?}: {error}", meet.content))
            })?,
            None => "127.0.0.1:0".parse().map_err(io::Error::other)?,
        };
        let content = ContentServer::start(listen).await?;
        let made = tokio::task::spawn_blocking(Authority::shared).await;
        let authority = made.map_err(io::Error::other)??;
        content.put(PACKAGE, authority.package(PACKAGE_VERSION).make()?, Manner::Whole);
        let scratch = Scratch::new()?;
        write(&scratch.components(), COMPONENTS)?;
        write(&scratch.roots(), &root_keys(authority)?.to_string())?;
        Ok(Self {
            profile,
            inner,
            stage,
            content,
            authority,
            scratch,
            folders: AtomicU64::new(0),
            absences: AtomicU64::new(0),
        })
    }

    /// Tells the agents to come whom to trust.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn trust(&self, ca_pem: &str) -> io::Result<()> {
        write(&self.scratch.ca(), ca_pem)?;
        if let Some(meet) = &self.profile.meet {
            write(&meet.ca_file, ca_pem)?;
            write(&meet.root_keys_file, &root_keys(self.authority)?.to_string())?;
        }
        Ok(())
    }

    /// Why the agent cannot show what needs `claim`; `None` when it can.
    #[must_use]
    pub fn lacks(&self, claim: Claim) -> Option<String> {
        let claims = &self.profile.claims;
        let (holds, why) = match claim {
            Claim::RootKeys => (claims.root_keys, "it has root keys of its own"),
            Claim::RootKeyPackage => {
                (claims.generation >= 3, "its generation has no root key package")
            }
            Claim::Scripts => {
                (!claims.script_handler.is_empty(), "it runs no payload scripts here")
            }
            Claim::Components => (claims.components, "it updates no components"),
            Claim::Delta => (claims.delta, "it takes no delta updates"),
            Claim::Diagnostics => (claims.diagnostics, "it uploads no logs"),
            Claim::Restarts => (claims.restarts, "it restarts for no handler"),
            Claim::Resumes => {
                (claims.resumes && self.is_started(), "it cannot be killed and started again here")
            }
            Claim::Started => (self.is_started(), "it connects by itself"),
            Claim::Pattern(pattern) => {
                (claims.patterns.contains(&pattern), "it follows another pattern")
            }
        };
        (!holds).then(|| format!("not claimed by the agent's profile: {why}"))
    }

    /// Whether the suite starts it.
    fn is_started(&self) -> bool {
        self.profile.start.is_some() || self.inner.is_some()
    }

    /// Notes whether the agent came when it was started.
    pub(super) fn note_presence(&self, came: bool) {
        if came {
            self.absences.store(0, Ordering::Relaxed);
        } else {
            self.absences.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Why nobody waits for the agent any more: it would cost every case its budget.
    pub(super) fn given_up(&self) -> Option<String> {
        let absences = self.absences.load(Ordering::Relaxed);
        (absences >= ABSENCES_MAX)
            .then(|| format!("the agent did not connect in {absences} cases in a row before"))
    }

    /// A folder for one case.
    pub(super) fn new_folder(&self) -> io::Result<PathBuf> {
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        let folder = self.scratch.0.join(number.to_string());
        make_folder(&folder.join("device"))?;
        make_folder(&folder.join("work"))?;
        Ok(folder)
    }

    /// Looks whether agents have room to work: one that runs out of it would be blamed for what the
    /// machine lacks.
    ///
    /// # Errors
    /// Names the folder that is full.
    pub(super) fn room(&self) -> io::Result<()> {
        let path = self.scratch.0.join(format!("room-{}", fastrand::u64(..)));
        let written = std::fs::write(&path, vec![0; ROOM]);
        let _best_effort = std::fs::remove_file(&path);
        written.map_err(|error| named(&self.scratch.0, error))
    }

    pub(super) fn package_url(&self) -> String {
        self.url(PACKAGE)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.content.address())
    }

    /// The call that starts the agent, its files written.
    pub(super) fn launch(&self, start: &Start, words: &Words) -> io::Result<Launch> {
        let fill = |text: &str| self.fill(text, words);
        for file in &start.files {
            let path = PathBuf::from(fill(&file.path));
            if let Some(folder) = path.parent() {
                make_folder(folder)?;
            }
            write(&path, &fill(&file.text))?;
        }
        let folder = std::path::absolute(&self.profile.folder)?;
        let (program, arguments) = start
            .command
            .split_first()
            .ok_or_else(|| io::Error::other("the profile does not say how the agent is started"))?;
        let program = fill(program);
        // A bare word is looked up; anything else lies beside the profile.
        let is_bare = !program.contains('/');
        let program = if is_bare { PathBuf::from(program) } else { folder.join(program) };
        let given = start.environment.iter().map(|(name, text)| (name.clone(), fill(text)));
        let environment = given.chain(self.usual_environment(words)).collect();
        let directory = match &start.directory {
            None => folder,
            Some(text) => folder.join(fill(text)),
        };
        if !directory.is_dir() {
            let why = format!("start.directory: {} is no folder", directory.display());
            return Err(io::Error::other(why));
        }
        Ok(Launch {
            program,
            arguments: arguments.iter().map(|text| fill(text)).collect(),
            environment,
            directory: Some(directory),
        })
    }

    /// What every agent finds in its environment.
    fn usual_environment(&self, words: &Words) -> Vec<(String, String)> {
        let path = |path: &Path| path.display().to_string();
        let pairs = [
            ("TWINSPEC_AGENT_CONNECTION_STRING", words.connection_string.clone()),
            ("TWINSPEC_AGENT_MQTT", mqtt_url(words)),
            ("TWINSPEC_AGENT_CA", path(&self.scratch.ca())),
            ("TWINSPEC_AGENT_ROOT_KEYS", path(&self.scratch.roots())),
            ("TWINSPEC_AGENT_WORK_DIR", path(&words.work_dir)),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn fill(&self, text: &str, words: &Words) -> String {
        let path = |path: &Path| path.display().to_string();
        [
            ("connection_string", words.connection_string.clone()),
            ("host", words.host.clone()),
            ("port", words.port.to_string()),
            ("mqtt_url", mqtt_url(words)),
            ("device_id", words.device_id.clone()),
            ("key", words.key.clone()),
            ("ca_file", path(&self.scratch.ca())),
            ("root_keys_file", path(&self.scratch.roots())),
            ("work_dir", path(&words.work_dir)),
            ("components_file", path(&self.scratch.components())),
            ("generation", words.generation.to_string()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

fn mqtt_url(words: &Words) -> String {
    format!("mqtts://{}:{}", words.host, words.port)
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text).map_err(|error| named(path, error))
}

fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path).map_err(|error| named(path, error))
}

/// A folder that is removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let name = format!("twinspec-agent-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
        make_folder(&folder)?;
        Ok(Self(folder))
    }

    fn ca(&self) -> PathBuf {
        self.0.join("hub-ca.pem")
    }

    fn components(&self) -> PathBuf {
        self.0.join("components.json")
    }

    fn roots(&self) -> PathBuf {
        self.0.join("root-keys.json")
    }
}

impl Subject {
    /// Removes the scratch files, where nobody drops the subject at the end of the process.
    pub fn remove_scratch(&self) {
        let _best_effort = std::fs::remove_dir_all(&self.scratch.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the machine's own folder for such things.
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}
