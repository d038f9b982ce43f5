//! Runs phases of handlers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use twinspec_model::agent::{Call, Outcome, extended};

use super::script::Script;
use super::{HandlerSpec, Log, simulator};

/// Tells a phase that it should stop.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A phase that can be told to stop, and the way to tell it.
    pub(super) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Waits until the phase should stop; for ever when it never should.
    pub(super) async fn asked(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

/// The handlers of one agent.
#[derive(Clone)]
pub(super) struct Handlers {
    pub(super) specs: Arc<BTreeMap<String, HandlerSpec>>,
    /// Held while a phase of a script runs, by the script itself.
    pub(super) lock: PathBuf,
    /// What scripts print.
    pub(super) output: PathBuf,
    /// What the simulator remembers.
    pub(super) memory: PathBuf,
    pub(super) phase: Duration,
    pub(super) grace: Duration,
    pub(super) log: Log,
}

impl Handlers {
    /// Runs a phase in `folder`. `folder` holds the step's files, `aside` is for what is nobody
    /// else's.
    pub(super) async fn run(
        &self,
        call: &Call,
        folder: PathBuf,
        aside: PathBuf,
        stop: Stop,
    ) -> Outcome {
        let id = &call.work.handler;
        let program = match self.specs.get(id) {
            None => {
                let details = format!("no handler {id:?}");
                return Outcome::failure(extended::HANDLER_MISSING, details);
            }
            Some(HandlerSpec::Simulator(file)) => {
                return simulator::run(call, file.as_deref(), &self.memory, stop).await;
            }
            Some(HandlerSpec::Script) => None,
            Some(HandlerSpec::Program(path)) => Some(path.clone()),
        };
        let script = Script { handlers: self, call, folder, aside, program };
        script.run(stop).await
    }
}
