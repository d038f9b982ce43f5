//! The reference hub on real sockets: read, decode, let the model handle, write.

mod control;
mod events;
mod http;
mod lwm2m;
mod mqtt;
mod overlay;
mod shared;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use twinspec_model::auth;
use twinspec_model::hub::{Hub, HubConfig, Input, Output};
use twinspec_model::identity::Identity;
use twinspec_model::wire::percent;

use crate::clock::Clock;
use crate::device::Stream;
use crate::listen::accept;
use crate::tls::{Authority, Oddity};
pub use overlay::{Faithful, Overlay};
use shared::Shared;

/// The policy in whose name identities are registered.
const REGISTRAR: &str = "registryReadWrite";

/// How long a TLS handshake may take.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(30);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// What a reference hub listens on; port 0 picks a free one.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// MQTT over plain TCP.
    pub mqtt: Option<SocketAddr>,
    /// MQTT over TLS.
    pub mqtts: Option<SocketAddr>,
    /// HTTP over plain TCP.
    pub http: Option<SocketAddr>,
    /// HTTP over TLS.
    pub https: Option<SocketAddr>,
    /// LWM2M over CoAP over TLS, for the device jobs of 2016.
    pub lwm2m: Option<SocketAddr>,
    /// The control interface, in plain HTTP without credentials: for test benches.
    pub control: Option<SocketAddr>,
    /// Authorities whose device certificates are trusted, PEM.
    pub device_authorities: Option<String>,
}

/// A running reference hub; it stops when dropped.
pub struct ReferenceHub {
    shared: Arc<Shared>,
    addresses: Listen,
    authority: Arc<Authority>,
    /// Dropping the set ends every listener, connection and timer.
    _tasks: JoinSet<()>,
}

/// A listener whose certificate is odd; it closes when dropped.
pub struct OddListener {
    /// Its port.
    pub port: u16,
    attempts: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl OddListener {
    /// How many clients have come.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy)]
enum Service {
    Mqtt,
    Http,
    Lwm2m,
    Control,
}

impl ReferenceHub {
    /// Binds the listeners and starts serving.
    ///
    /// # Errors
    /// When an address cannot be bound (the message names it) or the host name is no DNS name.
    pub async fn start(config: HubConfig, listen: &Listen, clock: Clock) -> io::Result<Self> {
        Self::start_under(Box::new(Faithful), config, listen, clock).await
    }

    /// Like [`Self::start`], with `overlay` laid over the model: a hub with a defect.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_under(
        overlay: Box<dyn Overlay>,
        config: HubConfig,
        listen: &Listen,
        clock: Clock,
    ) -> io::Result<Self> {
        let authorities = listen.device_authorities.as_deref();
        let authority =
            Arc::new(Authority::new(&config.hostname, authorities, overlay.server_keys())?);
        let shared = Arc::new(Shared::new(Hub::new(config), overlay, clock));
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_time(Arc::clone(&shared)));
        let mut bind = async |address: Option<SocketAddr>, service, tls: bool| {
            let Some(address) = address else {
                return Ok(None);
            };
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            };
            let listener = listen_at(address).map_err(named)?;
            let bound = listener.local_addr()?;
            let authority = tls.then(|| Arc::clone(&authority));
            let shared = Arc::clone(&shared);
            tasks.spawn(accept(listener, move |tcp| {
                serve(tcp, service, authority.clone(), Arc::clone(&shared))
            }));
            Ok::<_, io::Error>(Some(bound))
        };
        let addresses = Listen {
            mqtt: bind(listen.mqtt, Service::Mqtt, false).await?,
            mqtts: bind(listen.mqtts, Service::Mqtt, true).await?,
            http: bind(listen.http, Service::Http, false).await?,
            https: bind(listen.https, Service::Http, true).await?,
            lwm2m: bind(listen.lwm2m, Service::Lwm2m, true).await?,
            control: bind(listen.control, Service::Control, false).await?,
            device_authorities: listen.device_authorities.clone(),
        };
        Ok(Self { shared, addresses, authority, _tasks: tasks })
    }

    /// The addresses that were bound.
    #[must_use]
    pub fn addresses(&self) -> &Listen {
        &self.addresses
    }

    /// The certificate of the hub's authority, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.ca_pem()
    }

    /// The base64 primary key of the policy `name`.
    #[must_use]
    pub fn policy_key(&self, name: &str) -> Option<String> {
        self.shared.with_hub(|hub| {
            let policy = hub.policies().iter().find(|policy| policy.name == name);
            policy.map(|policy| policy.primary_key.clone())
        })
    }

    /// Registers an identity as a back end would and returns its base64 primary key.
    ///
    /// # Errors
    /// What the hub answered instead.
    pub async fn register(&self, identity: &Identity) -> io::Result<String> {
        let refused = |why: String| io::Error::other(format!("cannot register {identity}: {why}"));
        let path = match &identity.module {
            None => format!("/devices/{}", percent::encode(&identity.device)),
            Some(module) => format!(
                "/devices/{}/modules/{}",
                percent::encode(&identity.device),
                percent::encode(module)
            ),
        };
        let host = self.shared.with_hub(|hub| hub.hostname().to_owned());
        let key = self.policy_key(REGISTRAR).unwrap_or_default();
        let expiry = self.shared.clock.now().after(Duration::from_secs(60));
        let token = auth::sign(&key, &host, expiry, Some(REGISTRAR)).unwrap_or_default();
        let request = ::http::Request::put(format!("{path}?api-version=2021-04-12"))
            .header(::http::header::AUTHORIZATION, token)
            .body(Bytes::from_static(b"{}"))
            .map_err(|error| refused(error.to_string()))?;
        let response = self.shared.ask(request).await.map_err(io::Error::other)?;
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        match body.pointer("/authentication/symmetricKey/primaryKey").and_then(Value::as_str) {
            Some(key) => Ok(key.to_owned()),
            None => Err(refused(body.to_string())),
        }
    }

    /// Opens another MQTT listener on a free loopback port, whose certificate is odd.
    ///
    /// # Errors
    /// When no port can be bound or no certificate made.
    pub async fn open_odd(&self, oddity: Oddity) -> io::Result<OddListener> {
        let authority = Arc::new(self.authority.odd(oddity)?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let attempts = Arc::<AtomicUsize>::default();
        let (counted, shared) = (Arc::clone(&attempts), Arc::clone(&self.shared));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, move |tcp| {
            counted.fetch_add(1, Ordering::Relaxed);
            serve(tcp, Service::Mqtt, Some(Arc::clone(&authority)), Arc::clone(&shared))
        }));
        Ok(OddListener { port, attempts, _tasks: tasks })
    }

    /// Does `outputs` as though the model had wanted them: sends any packet, cuts any connection.
    pub fn carry_out(&self, outputs: impl IntoIterator<Item = Output>) {
        self.shared.carry_out(outputs);
    }

    /// Moves the hub's clock forward and lets everything that became due happen.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }
}

/// Listens with room for a thousand clients that come at the same moment.
fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(
    tcp: TcpStream,
    service: Service,
    authority: Option<Arc<Authority>>,
    shared: Arc<Shared>,
) {
    let _latency_only_if_this_fails = tcp.set_nodelay(true);
    let mut certificate = None;
    let in_clear = shared.takes_clear_text() && !begins_handshake(&tcp).await;
    let stream: Box<dyn Stream> = match authority.filter(|_| !in_clear) {
        None => Box::new(tcp),
        Some(authority) => match timeout(HANDSHAKE_WAIT, authority.accept(tcp)).await {
            Ok(Ok(stream)) => {
                certificate = authority.certificate(stream.get_ref().1.peer_certificates());
                Box::new(stream)
            }
            Ok(Err(_)) | Err(_) => return,
        },
    };
    match service {
        Service::Mqtt => mqtt::serve(stream, certificate, &shared).await,
        Service::Http => http::serve(stream, certificate, shared).await,
        Service::Lwm2m => lwm2m::serve(stream, &shared).await,
        Service::Control => control::serve(stream, shared).await,
    }
}

/// Whether the first byte that a client sends is that of a TLS handshake.
async fn begins_handshake(tcp: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    tcp.peek(&mut first).await.is_ok() && first == [HANDSHAKE]
}

/// Gives the model its ticks: at the next deadline, or earlier when a nearer one appears.
async fn keep_time(shared: Arc<Shared>) {
    loop {
        let nearer_deadline = shared.nearer_deadline.notified();
        match shared.until_deadline() {
            None => nearer_deadline.await,
            Some(wait) => {
                let due = tokio::time::Instant::now() + wait;
                tokio::select! {
                    () = sleep_until(due) => shared.handle([Input::Tick]),
                    () = nearer_deadline => {}
                }
            }
        }
    }
}
