//! What the benchmarks share: the servers, raw clients, and honest medians.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on fails"
)]

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinspec_model::auth;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{self, Connect, Packet, PacketId, Qos, Subscribe};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// A server process; it ends with this value.
pub(crate) struct Server {
    process: Child,
    /// The port of plain MQTT.
    pub(crate) port: u16,
    /// The port of plain HTTP; 0 for a broker.
    pub(crate) http_port: u16,
    /// The key of the policy iothubowner; empty for a broker.
    pub(crate) policy_key: String,
    /// Ids and keys of the registered devices; none for a broker.
    pub(crate) devices: Vec<(String, String)>,
}

impl Server {
    /// The reference hub with `count` devices.
    pub(crate) fn reference_hub(count: usize) -> Self {
        Self::reference_hub_of(count, 1)
    }

    /// The reference hub with `count` devices, served by so many threads.
    pub(crate) fn reference_hub_of(count: usize, threads: usize) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_twinspec"))
            .args(["serve", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--format", "json"])
            .args(["--devices", &count.to_string(), "--threads", &threads.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("twinspec can be started");
        let output = process.stdout.take().expect("the output is piped");
        let mut documents = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
        let announcement = documents.next().expect("an announcement").expect("as JSON");
        let port = |scheme: &str| {
            let endpoint = announcement["endpoints"][scheme].as_str().expect("an endpoint");
            let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok());
            port.expect("a port")
        };
        let member = |text: &Value, name: &str| {
            let text = text.as_str().unwrap_or_default();
            let part = text.split(';').find_map(|part| part.strip_prefix(name));
            part.unwrap_or_default().to_owned()
        };
        let devices = announcement["devices"].as_array().into_iter().flatten();
        let devices = devices.map(|device| {
            let text = &device["connection_string"];
            (member(text, "DeviceId="), member(text, "SharedAccessKey="))
        });
        let policy_key = member(&announcement["service_connection_string"], "SharedAccessKey=");
        let (port, http_port) = (port("mqtt"), port("http"));
        Self { process, port, http_port, policy_key, devices: devices.collect() }
    }

    /// The mosquitto broker; `None` when the machine has none.
    pub(crate) fn mosquitto() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let config = folder.join(format!("mosquitto-{port}.conf"));
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\n");
        std::fs::write(&config, text).ok()?;
        let start = |program: &str| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().ok()
        };
        let process = start("mosquitto").or_else(|| start("/usr/sbin/mosquitto"))?;
        let policy_key = String::new();
        let server = Self { process, port, http_port: 0, policy_key, devices: Vec::new() };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > START {
                return None;
            }
            std::thread::yield_now();
        }
        Some(server)
    }

    /// Keeps the server on one core; `false` where `taskset` cannot do that.
    pub(crate) fn keep_on(&self, core: usize) -> bool {
        keep_on(core, self.process.id())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        resident_bytes(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Keeps all threads of a process on one core; `false` where `taskset` cannot do that.
pub(crate) fn keep_on(core: usize, process: u32) -> bool {
    let mut command = Command::new("taskset");
    command.args(["--all-tasks", "--cpu-list", "--pid"]);
    command.args([core.to_string(), process.to_string()]).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A raw MQTT connection.
pub(crate) struct Client {
    stream: TcpStream,
    inbox: BytesMut,
}

impl Client {
    /// Connects and subscribes `filter`.
    pub(crate) async fn connect(
        port: u16,
        device: &str,
        key: Option<&str>,
        filter: &str,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, inbox: BytesMut::new() };
        let mut connect = Connect::new(device);
        connect.keep_alive = 1000;
        if let Some(key) = key {
            let end = Time::from_unix_seconds(4_000_000_000);
            let token = auth::sign(key, &format!("localhost/devices/{device}"), end, None);
            connect.user_name = Some(format!("localhost/{device}/?api-version=2021-04-12"));
            connect.password = token.map(Into::into);
        } else {
            connect.clean_session = true;
        }
        client.send(&Packet::Connect(Box::new(connect)).to_bytes()).await?;
        client.receive(1).await?;
        let filters = vec![(filter.to_owned(), Qos::AtMostOnce)];
        let subscribe = Subscribe { id: PacketId::MIN, filters };
        client.send(&Packet::Subscribe(subscribe).to_bytes()).await?;
        client.receive(1).await?;
        Ok(client)
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits for `count` packets.
    pub(crate) async fn receive(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.packet().await?;
        }
        Ok(())
    }

    /// Waits for a packet.
    pub(crate) async fn packet(&mut self) -> io::Result<Packet> {
        loop {
            if let Some(packet) =
                mqtt::decode(&mut self.inbox, 1 << 20).map_err(io::Error::other)?
            {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The middle of `values`.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Says that a benchmark has no peer here.
pub(crate) fn no_mosquitto() {
    println!("mosquitto is not on this machine; install the Debian package to compare");
}
