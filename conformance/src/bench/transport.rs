//! Transports that are not the target's own: other suites, other ports, no TLS.

use std::io::{Error, ErrorKind};

use twinspec_harness::device::Device;
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::tls::RsaSuite;

use super::{ANSWER, Bench, Connection};
use crate::verdict::{Checked, Stop};

impl Bench {
    /// Opens a transport with a client that offers TLS 1.2 and one suite only; otherwise, why the
    /// handshake failed.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the hub cannot be reached at all.
    pub async fn open_with_suite(
        &mut self,
        name: &str,
        suite: RsaSuite,
    ) -> Checked<Result<Connection, Error>> {
        let (wait, recorder) = (self.budget(ANSWER), self.recorder.clone());
        let trust = self.target.trust.with_suite(suite);
        let trust = trust.map_err(|error| Stop::Harness(error.to_string()))?;
        match Device::open(name, &self.target.mqtt, &trust, wait, recorder).await {
            Ok(device) => Ok(Ok(self.connection(device))),
            Err(error) => match error.kind() {
                // The hub sent an alert, or ended the handshake.
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
                    Ok(Err(error))
                }
                _ => Err(Stop::Inconclusive(format!(
                    "cannot connect to {}: {error}",
                    self.target.mqtt
                ))),
            },
        }
    }

    /// Opens a transport without TLS to another port of the device-facing host; `None` when nothing
    /// listens there.
    pub async fn open_clear(&mut self, name: &str, port: u16) -> Option<Connection> {
        let (wait, recorder) = (self.budget(ANSWER), self.recorder.clone());
        let host = self.target.mqtt.host.clone();
        let endpoint = Endpoint { scheme: Scheme::Mqtt, host, port };
        let device = Device::open(name, &endpoint, &self.target.trust, wait, recorder).await;
        device.ok().map(|device| self.connection(device))
    }
}
