//! The everyday device, on rumqttc: an independent reading of MQTT that cross-checks our codec.
//!
//! A fresh client is made for each connection, because the library silently drops or repeats
//! requests when it reconnects by itself.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration, Transport,
};
use tokio::time::timeout;
use twinspec_model::auth;
use twinspec_model::identity::Identity;
use twinspec_model::time::Time;
use twinspec_model::wire::topic::{DeviceTopic, Filter, HubTopic};
use twinspec_model::wire::username::UserName;

use crate::endpoint::Endpoint;
use crate::tls::Trust;

/// The largest packet: a full twin is larger than the library's default of 10 KiB.
const PACKET_MAX: usize = 1 << 20;

/// A connected device or module.
pub struct EverydayDevice {
    client: AsyncClient,
    events: EventLoop,
    wait: Duration,
    requests: u64,
}

/// Who connects, and with what.
#[derive(Clone, Debug)]
pub struct Login {
    /// The hub's host name.
    pub host: String,
    /// Device or module.
    pub identity: Identity,
    /// Base64 key.
    pub key: String,
    /// When the token ends.
    pub expiry: Time,
}

/// What rumqttc is told to connect a device with: where, as whom, and which packets may come.
pub(crate) fn options(
    endpoint: &Endpoint,
    trust: &Trust,
    login: &Login,
    user_name: &UserName,
) -> MqttOptions {
    let Login { host, identity, key, expiry } = login;
    let mut options = MqttOptions::new(identity.to_string(), endpoint.host.clone(), endpoint.port);
    let resource = format!("{host}/{}", identity.resource_path());
    // A key that is no base64 is refused like any other wrong one.
    let token = auth::sign(key, &resource, *expiry, None).unwrap_or_default();
    options.set_credentials(user_name.to_text(), token);
    options.set_max_packet_size(PACKET_MAX, PACKET_MAX);
    if endpoint.scheme.is_tls() {
        let config = TlsConfiguration::Rustls(trust.client_config());
        options.set_transport(Transport::Tls(config));
    }
    options
}

impl EverydayDevice {
    /// Connects, and subscribes to twin answers and desired properties.
    ///
    /// # Errors
    /// When the hub cannot be reached, refuses, or does not answer within `wait`.
    pub async fn connect(
        endpoint: &Endpoint,
        trust: &Trust,
        login: &Login,
        wait: Duration,
    ) -> io::Result<Self> {
        let user_name = UserName {
            host: login.host.clone(),
            identity: login.identity.clone(),
            api_version: Some("2021-04-12".to_owned()),
            model_id: None,
        };
        let options = options(endpoint, trust, login, &user_name);
        let (client, events) = AsyncClient::new(options, 16);
        let mut device = Self { client, events, wait, requests: 0 };
        for filter in [Filter::TwinResponse, Filter::Desired] {
            device.client.subscribe(filter.to_filter(), QoS::AtLeastOnce).await.map_err(other)?;
            device.until(|packet| matches!(packet, Packet::SubAck(_)).then_some(())).await?;
        }
        Ok(device)
    }

    /// Reads the twin: the answer's body.
    ///
    /// # Errors
    /// When the connection breaks or no answer comes in time.
    pub async fn read_twin(&mut self) -> io::Result<Bytes> {
        let rid = self.next_rid();
        let topic = DeviceTopic::TwinGet { rid: rid.clone() }.to_topic();
        self.publish(topic, " ").await?;
        self.answer(rid).await.map(|(_, body)| body)
    }

    /// Patches the reported properties: status and new version.
    ///
    /// # Errors
    /// When the connection breaks or no answer comes in time.
    pub async fn report(&mut self, patch: &str) -> io::Result<(u16, Option<u64>)> {
        let rid = self.next_rid();
        let topic = DeviceTopic::TwinPatch { rid: Some(rid.clone()), version: None }.to_topic();
        self.publish(topic, patch).await?;
        self.answer(rid).await.map(|(status, _)| status)
    }

    /// Waits for the next desired-properties notification: version and body.
    ///
    /// # Errors
    /// When the connection breaks or none comes in time.
    pub async fn desired(&mut self) -> io::Result<(u64, Bytes)> {
        self.until(|packet| match packet {
            Packet::Publish(publish) => match HubTopic::parse(&publish.topic) {
                Some(HubTopic::Desired { version }) => Some((version, publish.payload.clone())),
                _ => None,
            },
            _ => None,
        })
        .await
    }

    fn next_rid(&mut self) -> String {
        self.requests += 1;
        self.requests.to_string()
    }

    async fn publish(&self, topic: String, payload: &str) -> io::Result<()> {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.map_err(other)
    }

    async fn answer(&mut self, wanted: String) -> io::Result<((u16, Option<u64>), Bytes)> {
        self.until(|packet| match packet {
            Packet::Publish(publish) => match HubTopic::parse(&publish.topic) {
                Some(HubTopic::TwinResponse { status, rid, version }) if rid == wanted => {
                    Some(((status, version), publish.payload.clone()))
                }
                _ => None,
            },
            _ => None,
        })
        .await
    }

    /// Polls until `pick` takes an incoming packet.
    async fn until<T>(&mut self, mut pick: impl FnMut(&Packet) -> Option<T>) -> io::Result<T> {
        let events = &mut self.events;
        let search = async {
            loop {
                if let Event::Incoming(packet) = events.poll().await.map_err(io::Error::other)?
                    && let Some(found) = pick(&packet)
                {
                    return Ok(found);
                }
            }
        };
        timeout(self.wait, search).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, "the expected packet did not come")
        })?
    }
}

fn other(error: rumqttc::ClientError) -> io::Error {
    io::Error::other(error)
}
