//! The command line.
//!
//! Exit codes: 0 conformant or done, 1 not conformant or out of step, 2 wrong usage, 3 no verdict,
//! also because a run was broken off. A profile that cannot be used, or a path that cannot be written, is
//! wrong usage; what the machine or a peer does not provide is no verdict.

mod address;
mod agent;
mod device_job;
mod devices;
mod explain;
mod firmware;
mod list;
mod mutants;
mod schema;
mod serve;
mod subject;
mod test;
mod vectors;

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Tells whether an IoT hub or device agent really speaks the Azure-IoT-Hub device-management
/// protocol, and serves as a local hub.
///
/// Without a command the whole suite runs against the embedded reference hub.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: test::RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a hub or an agent
    Test {
        #[command(subcommand)]
        role: test::Role,
    },
    /// Serve the reference hub until Ctrl-C or SIGTERM
    ///
    /// Without --mqtt, --mqtts, --http and --https all four are served on 127.0.0.1, at the ports 1883,
    /// 8883, 8080 and 8443; with any of them, only those that are named. --lwm2m and --control are
    /// served when they are named.
    Serve(serve::Options),
    /// Run the reference Device Update agent until SIGTERM or Ctrl-C
    Agent(Box<agent::Options>),
    /// List requirements, cases or mutants
    List(list::Options),
    /// Explain a requirement, a case, a mutant or an open point of the sources by its id
    Explain(explain::Options),
    /// Show an older firmware update on the embedded hub, phase by phase
    Firmware(firmware::Options),
    /// Run the device of an older firmware-update pattern until Ctrl-C or SIGTERM
    FirmwareDevice(firmware::DeviceOptions),
    /// Keep the golden vectors in step with the model
    Vectors {
        #[command(subcommand)]
        action: vectors::Action,
    },
    /// Try the cases out on hubs with known defects
    Mutants(mutants::Options),
    /// Print the JSON Schema of a format that twinspec writes
    Schema(schema::Options),
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// A command that could not do its work.
#[derive(Debug)]
struct Trouble {
    message: String,
    code: u8,
}

impl Trouble {
    /// The command was called with something that makes no sense.
    fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 2 }
    }

    /// The environment did not play along.
    fn environment(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 3 }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => test::embedded(&arguments.run),
        Some(Command::Test { role }) => test::test(&role),
        Some(Command::Serve(options)) => serve::serve(&options),
        Some(Command::Agent(options)) => agent::agent(&options),
        Some(Command::List(options)) => list::list(&options),
        Some(Command::Explain(options)) => explain::explain(&options),
        Some(Command::Firmware(options)) => firmware::show(&options),
        Some(Command::FirmwareDevice(options)) => firmware::device(&options),
        Some(Command::Vectors { action }) => vectors::vectors(&action),
        Some(Command::Mutants(options)) => mutants::mutants(&options),
        Some(Command::Schema(options)) => schema::schema(&options),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            tell(&trouble.message);
            ExitCode::from(trouble.code)
        }
    }
}

/// What a command returns: its exit code.
type Done = Result<u8, Trouble>;

/// Prints `text` as it is.
///
/// When nobody reads any more, nobody misses it: what follows of the command, its exit code above
/// all, still counts. Any other failure is trouble, because something is lost.
fn print(text: &str) -> Result<(), Trouble> {
    let mut output = anstream::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Trouble::environment(format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line.
fn say(line: &str) -> Result<(), Trouble> {
    print(&format!("{line}\n"))
}

/// Tells something beside the output; where nobody can be told, nothing is left to do.
fn tell(message: &str) {
    let _nobody_listens = writeln!(anstream::stderr(), "twinspec: {message}");
}

/// Prints `value` as JSON.
fn print_json(value: &impl serde::Serialize) -> Done {
    let text = serde_json::to_string_pretty(value).map_err(Trouble::environment)?;
    say(&text)?;
    Ok(0)
}

/// A runtime for commands that talk.
fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Runtime::new().map_err(Trouble::environment)
}

/// Waits for Ctrl-C, SIGTERM or the end of the terminal.
async fn until_stopped() -> Result<(), Trouble> {
    Signals::new()?.next().await;
    Ok(())
}

/// Signals in so short a time are one request: a terminal, or `timeout`, tells a program and its
/// process group.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Ctrl-C, SIGTERM and SIGHUP, from now on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The end of the terminal, unless the program was started so as to survive that.
    hangup: Option<Signal>,
    /// When the last request came.
    last: Option<Instant>,
}

impl Signals {
    fn new() -> Result<Self, Trouble> {
        let heard = |kind| signal(kind).map_err(Trouble::environment);
        let hangup = SignalKind::hangup();
        Ok(Self {
            interrupt: heard(SignalKind::interrupt())?,
            terminate: heard(SignalKind::terminate())?,
            hangup: if is_ignored(hangup) { None } else { Some(heard(hangup)?) },
            last: None,
        })
    }

    /// Waits for the next request.
    async fn next(&mut self) {
        loop {
            self.next_signal().await;
            if self.last.is_none_or(|last| last.elapsed() >= ONE_REQUEST) {
                self.last = Some(Instant::now());
                return;
            }
        }
    }

    async fn next_signal(&mut self) {
        let hangup = async {
            match self.hangup.as_mut() {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }
}

/// Whether whoever started this program had it ignore a signal, as `nohup` does: to hear it would
/// undo that. Where this cannot be told it is not so.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(kind.as_raw_value() - 1).ok();
    bit.and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
}
