//! How a device of a case gets its connection.

use std::sync::Arc;

use bytes::Bytes;
use twinspec_harness::device::{Device, WebSocket};
use twinspec_harness::tls::ClientCertificate;
use twinspec_model::auth;
use twinspec_model::wire::mqtt::{ConnAck, Connect, ConnectCode, Packet, Qos};
use twinspec_model::wire::topic::Filter;
use twinspec_model::wire::username::UserName;

use super::connection::Connection;
use super::{ALIVE, ANSWER, Bench, Registered};
use crate::target::in_an_hour;
use crate::verdict::{Checked, Stop};

/// Seconds. Nothing pings for a device of a case, which may wait for its turn among others, or for
/// times of the protocol to pass.
const KEEP_ALIVE_S: u16 = 1200;

/// How a device logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The CONNECT packet.
    pub connect: Connect,
    /// The certificate shown in the TLS handshake.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// What a hub answered to a WebSocket upgrade.
pub struct Upgrade {
    /// HTTP status; 101 when it was accepted.
    pub status: u16,
    /// The sub-protocol that the hub chose.
    pub protocol: Option<String>,
    /// The connection, when it was accepted.
    pub connection: Option<Connection>,
}

impl Bench {
    /// The CONNECT of `who`: the session is kept, the keep-alive is long, the token fresh.
    #[must_use]
    pub fn login(&self, who: &Registered) -> Login {
        let host = self.target.credentials.host.clone();
        let resource = format!("{host}/{}", who.identity.resource_path());
        let token = auth::sign(&who.key, &resource, in_an_hour(&self.target.clock), None)
            .unwrap_or_default();
        let user_name = UserName {
            host,
            identity: who.identity.clone(),
            api_version: Some("2021-04-12".to_owned()),
            model_id: None,
        };
        let mut connect = Connect::new(who.identity.to_string());
        connect.keep_alive = KEEP_ALIVE_S;
        connect.user_name = Some(user_name.to_text());
        connect.password = Some(Bytes::from(token));
        Login { connect, certificate: None }
    }

    /// Connects `who` and waits until the hub accepts.
    ///
    /// # Errors
    /// When the hub does not accept (HUB-CONN-007, HUB-CONN-008).
    pub async fn connect(&mut self, who: &Registered) -> Checked<Connection> {
        let login = self.login(who);
        let requirement = match who.identity.module {
            None => "HUB-CONN-007",
            Some(_) => "HUB-CONN-008",
        };
        let (connection, answer) = self.connect_with(&who.identity.to_string(), &login).await?;
        if answer.code == ConnectCode::Accepted {
            return Ok(connection);
        }
        Err(Stop::Broken {
            requirement,
            allowed: "CONNACK 0".to_owned(),
            seen: format!("CONNACK {}", answer.code.number()),
        })
    }

    /// Connects `who` and subscribes to twin answers and desired properties.
    ///
    /// # Errors
    /// When the hub does not accept.
    pub async fn connect_and_listen(&mut self, who: &Registered) -> Checked<Connection> {
        let mut connection = self.connect(who).await?;
        connection.subscribe(&Filter::TwinResponse, Qos::AtMostOnce).await?;
        connection.subscribe(&Filter::Desired, Qos::AtMostOnce).await?;
        self.settle().await;
        Ok(connection)
    }

    /// Sends a CONNECT on a new transport and returns the hub's answer, whatever it is.
    ///
    /// # Errors
    /// When there is no transport or no CONNACK.
    pub async fn connect_with(
        &mut self,
        name: &str,
        login: &Login,
    ) -> Checked<(Connection, ConnAck)> {
        let mut connection = self.open_with(name, login.certificate.as_deref()).await?;
        connection.send(&Packet::Connect(Box::new(login.connect.clone()))).await?;
        let connack = |packet: &Packet| match packet {
            Packet::ConnAck(connack) => Some(*connack),
            _ => None,
        };
        let answer = connection.expect("HUB-CONN-007", "a CONNACK", connack).await?;
        Ok((connection, answer))
    }

    /// Opens a transport without sending a packet.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the hub cannot be reached.
    pub async fn open(&mut self, name: &str) -> Checked<Connection> {
        self.open_with(name, None).await
    }

    async fn open_with(
        &mut self,
        name: &str,
        certificate: Option<&ClientCertificate>,
    ) -> Checked<Connection> {
        let (wait, recorder) = (self.budget(ANSWER), self.recorder.clone());
        let target = &self.target;
        let trust = match certificate {
            None => Ok(target.trust.clone()),
            Some(certificate) => target.trust.with_certificate(certificate),
        };
        let trust = trust.map_err(|error| Stop::Harness(error.to_string()))?;
        let device = Device::open(name, &target.mqtt, &trust, wait, recorder).await;
        let device = device.map_err(|error| {
            if error.kind() != std::io::ErrorKind::TimedOut {
                self.courtesy.note_broken();
            }
            Stop::Inconclusive(format!("cannot connect to {}: {error}", target.mqtt))
        })?;
        self.has_connected = true;
        Ok(self.connection(device))
    }

    /// Asks the back-end endpoint for a WebSocket at `path`, offering `protocol`.
    ///
    /// # Errors
    /// [`Stop::Inconclusive`] when the hub cannot be reached.
    pub async fn open_websocket(&mut self, path: &str, protocol: &str) -> Checked<Upgrade> {
        let target = &self.target;
        let wanted = WebSocket { endpoint: &target.http, path, protocol };
        let (wait, recorder) = (self.budget(ANSWER), self.recorder.clone());
        let answer = Device::open_websocket("websocket", &wanted, &target.trust, wait, recorder);
        let answer = answer.await.map_err(|error| {
            Stop::Inconclusive(format!("cannot connect to {}: {error}", target.http))
        })?;
        Ok(Upgrade {
            status: answer.status,
            protocol: answer.protocol,
            connection: answer.device.map(|device| self.connection(device)),
        })
    }

    pub(super) fn connection(&self, device: Device) -> Connection {
        Connection::new(device, self.budget(ANSWER), self.budget(ALIVE), self.courtesy.clone())
    }
}
