//! Odd input ends in an error answer or a closed connection: never in a panic, a hang, or growth
//! without bound.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use twinspec_harness::clock::Clock;
use twinspec_harness::device::{Device, Seen, WebSocket};
use twinspec_harness::endpoint::{Endpoint, Scheme};
use twinspec_harness::hub::{Listen, ReferenceHub};
use twinspec_harness::tls::Trust;
use twinspec_harness::trace::Recorder;
use twinspec_model::auth;
use twinspec_model::hub::HubConfig;
use twinspec_model::identity::Identity;
use twinspec_model::wire::mqtt::{Connect, Packet, PacketId, Publish, Qos, Subscribe};

const WAIT: Duration = Duration::from_secs(10);

/// What MQTT travels over.
#[derive(Clone, Copy)]
enum Transport {
    Tcp,
    Tls,
    WebSocket,
}

struct Bench {
    hub: ReferenceHub,
    key: String,
}

impl Bench {
    async fn new() -> Self {
        let free = Some("127.0.0.1:0".parse().unwrap());
        let listen = Listen { mqtt: free, mqtts: free, http: free, ..Listen::default() };
        let config = HubConfig::new("localhost", [2; 32]);
        let hub = ReferenceHub::start(config, &listen, Clock::default()).await.unwrap();
        let key = hub.register(&Identity::device("d")).await.unwrap();
        Self { hub, key }
    }

    fn mqtt(&self) -> Endpoint {
        let port = self.hub.addresses().mqtt.unwrap().port();
        Endpoint { scheme: Scheme::Mqtt, host: "127.0.0.1".to_owned(), port }
    }

    fn token(key: &str, resource: &str, policy: Option<&str>) -> String {
        let expiry = Clock::default().now().after(Duration::from_secs(600));
        auth::sign(key, resource, expiry, policy).unwrap()
    }

    async fn open(&self) -> Device {
        self.open_over(Transport::Tcp).await
    }

    async fn open_over(&self, transport: Transport) -> Device {
        let trust = Trust::authorities(self.hub.ca_pem().as_bytes()).unwrap();
        let at = |scheme, port| Endpoint { scheme, host: "localhost".to_owned(), port };
        let addresses = self.hub.addresses();
        let recorder = Recorder::new(false);
        let opened = match transport {
            Transport::Tcp => Device::open("d", &self.mqtt(), &trust, WAIT, recorder).await,
            Transport::Tls => {
                let endpoint = at(Scheme::Mqtts, addresses.mqtts.unwrap().port());
                Device::open("d", &endpoint, &trust, WAIT, recorder).await
            }
            Transport::WebSocket => {
                let endpoint = at(Scheme::Http, addresses.http.unwrap().port());
                let path = "/$iothub/websocket";
                let wanted = WebSocket { endpoint: &endpoint, path, protocol: "mqtt" };
                let answer = Device::open_websocket("d", &wanted, &trust, WAIT, recorder).await;
                Ok(answer.unwrap().device.unwrap())
            }
        };
        opened.unwrap()
    }

    fn connect_packet(&self) -> Packet {
        let mut connect = Connect::new("d");
        connect.clean_session = true;
        connect.user_name = Some("localhost/d/?api-version=2021-04-12".to_owned());
        connect.password = Some(Self::token(&self.key, "localhost/devices/d", None).into());
        Packet::Connect(Box::new(connect))
    }

    async fn connect(&self) -> Device {
        self.connect_over(Transport::Tcp).await
    }

    async fn connect_over(&self, transport: Transport) -> Device {
        let mut device = self.open_over(transport).await;
        device.send(&self.connect_packet()).await.unwrap();
        assert!(matches!(next(&mut device).await, Seen::Packet(Packet::ConnAck(_))));
        subscribe(&mut device, "$iothub/twin/res/#").await;
        device
    }

    /// A raw HTTP exchange: one whole answer, or what the hub sends until it closes.
    async fn http(&self, request: &[u8]) -> String {
        let port = self.hub.addresses().http.unwrap().port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let reading = async {
            while !is_whole(&answer) && stream.read_buf(&mut answer).await.is_ok_and(|n| n > 0) {}
        };
        timeout(WAIT, reading).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Calls a method with a payload of 100 kB; the answer is not waited for, and comes while the
    /// connection is kept.
    async fn call(&self) -> TcpStream {
        let key = self.hub.policy_key("iothubowner").unwrap();
        let token = Self::token(&key, "localhost", Some("iothubowner"));
        let body = json!({ "methodName": "m", "payload": "x".repeat(100_000) }).to_string();
        let head = format!(
            "POST /twins/d/methods?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\n\
             authorization: {token}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let port = self.hub.addresses().http.unwrap().port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        stream
    }

    /// The hub still answers.
    async fn is_well(&self) {
        let mut device = self.connect().await;
        assert_eq!(report(&mut device, r#"{"well":true}"#).await, 204);
    }
}

/// Whether `answer` has come to its end, by its own count.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

async fn next(device: &mut Device) -> Seen {
    device.next(Instant::now() + WAIT).await.unwrap_or_else(|| panic!("nothing came in time"))
}

async fn subscribe(device: &mut Device, filter: &str) {
    let filters = vec![(filter.to_owned(), Qos::AtMostOnce)];
    let id = PacketId::MIN;
    device.send(&Packet::Subscribe(Subscribe { id, filters })).await.unwrap();
    let seen = next(device).await;
    assert!(matches!(seen, Seen::Packet(Packet::SubAck(_))), "{seen}");
}

/// Patches the reported properties: the status of the answer.
async fn report(device: &mut Device, body: &str) -> u16 {
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    let publish = Publish::at_most_once(topic, body.to_owned());
    device.send(&Packet::Publish(publish)).await.unwrap();
    match next(device).await {
        Seen::Packet(Packet::Publish(publish)) => {
            publish.topic.split('/').nth(3).unwrap().parse().unwrap()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn odd_documents_are_answered_and_the_connection_stays() {
    let bench = Bench::new().await;
    let mut device = bench.connect().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let large = json!({ "a": "x".repeat(200_000) }).to_string();
    let many: Value = (0..8_000).map(|n| (format!("k{n}"), json!(n))).collect();
    for (body, status) in [
        (deep.as_str(), 400),
        (large.as_str(), 400),
        (&many.to_string(), 403),
        (r#"{"a":"\ud800"}"#, 400),
        (r#"{"a":1e999}"#, 400),
        ("\u{feff}{}", 400),
        ("", 400),
        (r#"{"a":1,"a":2}"#, 204),
    ] {
        let shown: String = body.chars().take(40).collect();
        assert_eq!(report(&mut device, body).await, status, "{shown}");
    }
}

#[tokio::test]
async fn a_message_of_a_mebibyte_closes_the_connection_before_it_is_read() {
    let bench = Bench::new().await;
    let mut device = bench.connect().await;
    // 0x80 0x80 0x40: a remaining length of 1 MiB; the body never follows.
    device.send_bytes(&[0x30, 0x80, 0x80, 0x40]).await.unwrap();
    assert_eq!(next(&mut device).await, Seen::Closed);
    bench.is_well().await;
}

#[tokio::test]
async fn malformed_and_truncated_packets_close_their_own_connection_only() {
    let bench = Bench::new().await;
    let mut bystander = bench.open().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0x10, 0x04, 0x00, 0x04, b'M', b'Q'],
        &[0xf0, 0x00],
        &[0x30, 0x02, 0x00, 0x00],
        b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00",
    ] {
        let mut device = bench.open().await;
        device.send_bytes(bytes).await.unwrap();
        let mut seen = next(&mut device).await;
        if let Seen::Packet(Packet::ConnAck(refusal)) = &seen {
            assert_ne!(refusal.code.number(), 0, "{bytes:02x?}");
            seen = next(&mut device).await;
        }
        assert_eq!(seen, Seen::Closed, "{bytes:02x?}");
    }
    let mut device = bench.open().await;
    device.send_bytes(&[0x10, 0x20, 0x00]).await.unwrap();
    device.cut().await;
    bystander.send(&bench.connect_packet()).await.unwrap();
    assert!(matches!(next(&mut bystander).await, Seen::Packet(Packet::ConnAck(_))));
}

#[tokio::test]
async fn packets_in_one_byte_pieces_are_read() {
    let bench = Bench::new().await;
    let mut device = bench.open().await;
    for byte in bench.connect_packet().to_bytes() {
        device.send_bytes(&[byte]).await.unwrap();
    }
    assert!(matches!(next(&mut device).await, Seen::Packet(Packet::ConnAck(_))));
}

#[tokio::test]
async fn three_hundred_half_open_connections_harm_nobody_and_end() {
    let bench = Bench::new().await;
    let mut half_open = Vec::new();
    for _ in 0..300 {
        half_open.push(bench.open().await);
    }
    bench.is_well().await;
    // The wait for a CONNECT is bounded: after it, all of them are closed.
    bench.hub.advance(Duration::from_secs(31));
    for device in &mut half_open {
        assert_eq!(next(device).await, Seen::Closed);
    }
    bench.is_well().await;
}

/// Asks for far more than all buffers between hub and device hold, and reads nothing of it.
async fn clog(device: &mut Device) {
    let large = json!({ "a": "x".repeat(4000), "b": "y".repeat(4000), "c": "z".repeat(4000) });
    assert_eq!(report(device, &large.to_string()).await, 204);
    let get = Packet::Publish(Publish::at_most_once("$iothub/twin/GET/?$rid=1", "")).to_bytes();
    let flood = get.repeat(5000);
    let _hub_stopped_reading = timeout(Duration::from_secs(1), device.send_bytes(&flood)).await;
}

/// The hub lets go of `device`, although that reads nothing before.
async fn is_let_go(device: &mut Device) {
    let write_on = async {
        while device.send_bytes(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(40), write_on).await.unwrap();
    while next(device).await != Seen::Closed {}
}

async fn is_given_up_when_too_much_waits(transport: Transport) {
    let bench = Bench::new().await;
    let mut device = bench.connect_over(transport).await;
    subscribe(&mut device, "$iothub/methods/POST/#").await;
    clog(&mut device).await;
    // Ten million bytes more: the hub keeps eight for one reader.
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(bench.call().await);
    }
    is_let_go(&mut device).await;
    bench.is_well().await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_given_up() {
    is_given_up_when_too_much_waits(Transport::Tcp).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_given_up_over_tls() {
    is_given_up_when_too_much_waits(Transport::Tls).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_given_up_over_websocket() {
    is_given_up_when_too_much_waits(Transport::WebSocket).await;
}

async fn is_let_go_when_another_takes_over(transport: Transport) {
    let bench = Bench::new().await;
    let mut device = bench.connect_over(transport).await;
    clog(&mut device).await;
    bench.is_well().await;
    is_let_go(&mut device).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_let_go_when_another_takes_over() {
    is_let_go_when_another_takes_over(Transport::Tcp).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_let_go_when_another_takes_over_tls() {
    is_let_go_when_another_takes_over(Transport::Tls).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_is_let_go_when_another_takes_over_a_websocket() {
    is_let_go_when_another_takes_over(Transport::WebSocket).await;
}

#[tokio::test]
async fn a_websocket_carries_both_ways_at_once() {
    let bench = Bench::new().await;
    let mut device = bench.connect_over(Transport::WebSocket).await;
    let large = json!({ "a": "x".repeat(4000), "b": "y".repeat(4000) });
    assert_eq!(report(&mut device, &large.to_string()).await, 204);
    let get = Packet::Publish(Publish::at_most_once("$iothub/twin/GET/?$rid=1", "")).to_bytes();
    let topic = "devices/d/messages/events/";
    let message = Packet::Publish(Publish::at_most_once(topic, vec![0; 256 * 1024])).to_bytes();
    for _ in 0..3 {
        let all = [get.repeat(100), message.to_vec()].concat();
        timeout(WAIT, device.send_bytes(&all)).await.unwrap().unwrap();
        for _ in 0..100 {
            assert!(matches!(next(&mut device).await, Seen::Packet(Packet::Publish(_))));
        }
    }
}

#[tokio::test]
async fn a_websocket_ends_with_its_hub() {
    let bench = Bench::new().await;
    let mut device = bench.connect_over(Transport::WebSocket).await;
    drop(bench);
    assert_eq!(next(&mut device).await, Seen::Closed);
}

#[tokio::test]
async fn a_websocket_frame_that_holds_more_than_a_packet_is_refused_before_it_is_read() {
    let bench = Bench::new().await;
    let port = bench.hub.addresses().http.unwrap().port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let upgrade = "GET /$iothub/websocket HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\n\
                   connection: Upgrade\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-protocol: mqtt\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    // A masked binary frame of 1 MiB; the body never follows.
    let head = [0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4];
    stream.write_all(&head).await.unwrap();
    let mut answer = Vec::new();
    timeout(WAIT, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", answer.escape_ascii());
    bench.is_well().await;
}

#[tokio::test]
async fn ambiguous_http_framing_is_refused_or_closed() {
    let bench = Bench::new().await;
    for request in [
        "GET /devices?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\
         content-length: 5\r\n\r\nabcd",
        "POST /devices?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        "GET /devices HTTP/9.9\r\nhost: h\r\n\r\n",
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
    ] {
        let answer = bench.http(request.as_bytes()).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{request:?} was answered {answer:?}");
    }
    bench.is_well().await;
}

#[tokio::test]
async fn a_request_body_beyond_the_limit_is_told_so() {
    let bench = Bench::new().await;
    let key = bench.hub.policy_key("iothubowner").unwrap();
    let token = Bench::token(&key, "localhost", Some("iothubowner"));
    let body = " ".repeat(5 << 20);
    let head = format!(
        "PATCH /twins/d?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\nauthorization: {token}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let port = bench.hub.addresses().http.unwrap().port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read_half, mut write_half) = stream.split();
    let sending = async {
        // The hub may stop reading as soon as it knows that it is too much.
        let _cut_off = write_half.write_all(body.as_bytes()).await;
        std::future::pending::<()>().await;
    };
    let mut answer = vec![0; 4096];
    let length = tokio::select! {
        () = sending => 0,
        read = timeout(WAIT, read_half.read(&mut answer)) => read.unwrap().unwrap(),
    };
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    bench.is_well().await;
}

#[tokio::test]
async fn an_empty_client_id_with_a_kept_session_is_refused_before_the_end() {
    let bench = Bench::new().await;
    let mut device = bench.open().await;
    // Protocol MQTT, level 4, clean session 0, keep-alive 60 s, a client id of no bytes.
    let connect = b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00";
    device.send_bytes(connect).await.unwrap();
    match next(&mut device).await {
        Seen::Packet(Packet::ConnAck(answer)) => assert_eq!(answer.code.number(), 2),
        other => panic!("{other}"),
    }
    assert_eq!(next(&mut device).await, Seen::Closed);
    // Later on it is just one more malformed packet.
    let mut device = bench.connect().await;
    device.send_bytes(connect).await.unwrap();
    assert_eq!(next(&mut device).await, Seen::Closed);
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_a_bad_request() {
    let bench = Bench::new().await;
    let port = bench.hub.addresses().http.unwrap().port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = "PATCH /twins/d?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\n\
                content-length: 100\r\n\r\n{\"tags\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(WAIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("ended early"), "{answer}");
    bench.is_well().await;
}

#[tokio::test]
async fn a_websocket_upgrade_keeps_to_its_protocol() {
    const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "sec-websocket-version: 13\r\n";
    const UPGRADE: &str = "connection: keep-alive, Upgrade\r\n";
    let bench = Bench::new().await;
    let ask = async |method: &str, headers: String| {
        let request = format!(
            "{method} /$iothub/websocket HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\n\
             sec-websocket-protocol: mqtt\r\n{headers}\r\n"
        );
        let answer = bench.http(request.as_bytes()).await;
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(ask("GET", format!("{UPGRADE}{VERSION}{KEY}")).await, "101");
    assert_eq!(ask("GET", format!("{UPGRADE}sec-websocket-version: 8\r\n{KEY}")).await, "426");
    assert_eq!(ask("GET", format!("{UPGRADE}{KEY}")).await, "426");
    let short = "sec-websocket-key: c2hvcnQ=\r\n";
    assert_eq!(ask("GET", format!("{UPGRADE}{VERSION}{short}")).await, "400");
    assert_eq!(ask("GET", format!("{UPGRADE}{VERSION}")).await, "400");
    assert_eq!(ask("GET", format!("connection: close\r\n{VERSION}{KEY}")).await, "400");
    assert_eq!(ask("POST", format!("{UPGRADE}{VERSION}{KEY}")).await, "400");
}

#[tokio::test]
async fn a_device_token_with_a_longer_scope_is_no_key_to_other_paths() {
    let bench = Bench::new().await;
    let post = async |resource: &str| {
        let token = Bench::token(&bench.key, resource, None);
        let request = format!(
            "POST /devices/d/messages/events?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\n\
             connection: close\r\nauthorization: {token}\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        bench.http(request.as_bytes()).await.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(post("localhost/devices/d").await, "204");
    assert_eq!(post("localhost/devices/d/messages/events").await, "204");
    assert_eq!(post("localhost/devices/d/api-version=2016-11-14").await, "401");
    assert_eq!(post("localhost/devices/d/messages/devicebound").await, "401");
}

#[tokio::test]
async fn a_bulk_call_with_something_else_than_objects_changes_nothing() {
    let bench = Bench::new().await;
    let key = bench.hub.policy_key("iothubowner").unwrap();
    let token = Bench::token(&key, "localhost", Some("iothubowner"));
    let ask = async |method: &str, path: &str, body: &str| {
        let request = format!(
            "{method} {path}?api-version=2021-04-12 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\
             authorization: {token}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        bench.http(request.as_bytes()).await
    };
    let answer = ask("POST", "/devices", r#"[{"id":"new"},1,null]"#).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("Item 1 of the bulk operation is no JSON object"), "{answer}");
    assert!(ask("GET", "/devices/new", "").await.starts_with("HTTP/1.1 404"));
    assert!(ask("POST", "/devices", r#"[{"id":"new"}]"#).await.starts_with("HTTP/1.1 200"));
}
