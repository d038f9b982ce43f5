//! The round trip of a direct method through the reference hub against a bare request and response
//! through mosquitto.
//!
//! Ours: an HTTP call on a connection that is kept, over to the device on MQTT, its answer, and the
//! answer of the call. Theirs: a PUBLISH over the broker to the device, and its PUBLISH back. Both
//! make four trips over loopback, with TCP_NODELAY on all sockets of the benchmark, whose clients share
//! one thread. Both servers have a core, the other one is the clients': which of them the scheduler puts
//! together decides over more than the servers do. The hub is served by one thread, as it is by default
//! and as mosquitto is, and once more by two.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on fails")]

#[expect(dead_code, reason = "this benchmark measures no memory")]
mod peers;

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use peers::{Client, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use twinspec_model::auth;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{Packet, Publish};

const RUNS: usize = 9;
/// Round trips of one side in one run.
const CALLS: usize = 1000;
/// What both sides carry.
const PAYLOAD: &str = "{\"probe\":3,\"unit\":\"celsius\"}";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for threads in [1, 2] {
        compare(threads).await;
    }
}

async fn compare(threads: usize) {
    let hub = Server::reference_hub_of(1, threads);
    let Some(broker) = Server::mosquitto() else {
        return peers::no_mosquitto();
    };
    let is_kept = peers::keep_on(0, std::process::id()) && hub.keep_on(1) && broker.keep_on(1);
    let cores = if is_kept { "a core for clients, one for servers" } else { "any cores" };
    let (device, key) = hub.devices.first().unwrap();
    let client = Client::connect(hub.port, device, Some(key), "$iothub/methods/POST/#");
    let _answering = echo(client.await.unwrap(), |topic| {
        let rid = topic.split_once("$rid=").map_or("", |(_, rid)| rid);
        format!("$iothub/methods/res/200/?$rid={rid}")
    });
    let mut caller = Caller::connect(&hub, device).await;
    let client = Client::connect(broker.port, "bench-device", None, "bench/request/#");
    let _echoing = echo(client.await.unwrap(), |topic| topic.replace("/request/", "/response/"));
    let mut asker =
        Client::connect(broker.port, "bench-asker", None, "bench/response/#").await.unwrap();
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for n in 0..CALLS {
            let began = Instant::now();
            caller.call().await;
            our_times.push(began.elapsed().as_secs_f64());
            let topic = format!("bench/request/{n:08}");
            let began = Instant::now();
            let request = Packet::Publish(Publish::at_most_once(topic, PAYLOAD)).to_bytes();
            asker.send(&request).await.unwrap();
            asker.packet().await.unwrap();
            their_times.push(began.elapsed().as_secs_f64());
        }
        // The first run warms both sides up.
        if run > 0 {
            let (our_median, their_median) = (peers::median(our_times), peers::median(their_times));
            ours.push(our_median);
            theirs.push(their_median);
            ratios.push(our_median / their_median);
        }
    }
    println!(
        "method round trip, {threads} thread(s), {cores}: ours p50 {:.0} µs, mosquitto request/response p50 {:.0} µs, \
         ratio {:.2} (median of {RUNS} runs of {CALLS})",
        peers::median(ours) * 1e6,
        peers::median(theirs) * 1e6,
        peers::median(ratios)
    );
}

/// A device that answers each PUBLISH with another one on the topic that `reply` says.
fn echo(mut client: Client, reply: fn(&str) -> String) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok(packet) = client.packet().await {
            let Packet::Publish(request) = packet else { continue };
            let answer = Publish::at_most_once(reply(&request.topic), request.payload);
            client.send(&Packet::Publish(answer).to_bytes()).await.unwrap();
        }
    })
}

/// A back end with one connection.
struct Caller {
    stream: TcpStream,
    request: Vec<u8>,
    inbox: BytesMut,
}

impl Caller {
    async fn connect(hub: &Server, device: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", hub.http_port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let end = Time::from_unix_seconds(4_000_000_000);
        let token = auth::sign(&hub.policy_key, "localhost", end, Some("iothubowner")).unwrap();
        let body = format!("{{\"methodName\":\"measure\",\"payload\":{PAYLOAD}}}");
        let request = format!(
            "POST /twins/{device}/methods?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { stream, request: request.into_bytes(), inbox: BytesMut::new() }
    }

    async fn call(&mut self) {
        self.stream.write_all(&self.request).await.unwrap();
        let end = loop {
            if let Some(end) = whole(&self.inbox) {
                break end;
            }
            let read = tokio::time::timeout(
                Duration::from_secs(30),
                self.stream.read_buf(&mut self.inbox),
            );
            assert_ne!(read.await.unwrap().unwrap(), 0, "the hub closed the connection");
        };
        if !self.inbox.starts_with(b"HTTP/1.1 200 ") {
            panic!("no good answer but {}", String::from_utf8_lossy(&self.inbox));
        }
        self.inbox.advance(end);
    }
}

/// The length of the answer at the beginning of `inbox`, when it is there as a whole.
fn whole(inbox: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(inbox);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() >= length).then_some(head.len() + 4 + length)
}
