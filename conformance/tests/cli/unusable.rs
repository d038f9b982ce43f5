//! Hubs that are none: nobody there, silent, speaking garbage, throttling from the start.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::ports::taken_port;
use super::{STRANGER, stderr, twinspec};

/// A server that serves one kind of trouble on a free port, for each connection.
fn troublesome(trouble: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || trouble(stream));
        }
    });
    port
}

fn silent(mut stream: std::net::TcpStream) {
    let mut drop_everything = [0; 1024];
    while stream.read(&mut drop_everything).is_ok_and(|length| length > 0) {}
}

fn garbage(mut stream: std::net::TcpStream) {
    let _may_fail = stream.write_all(b"\xff\xfe\xfdthis is neither MQTT nor HTTP\r\n\r\n");
    silent(stream);
}

fn throttling(mut stream: std::net::TcpStream) {
    let mut request = [0; 1024];
    let _may_fail = stream.read(&mut request);
    let _may_fail = stream.write_all(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\
          Connection: close\r\n\r\n",
    );
}

/// `twinspec test hub` against plain loopback ports: exit 3, soon, with `words` in the message.
#[track_caller]
fn unusable(mqtt: u16, http: u16, words: &str) {
    let began = Instant::now();
    let (mqtt, http) = (format!("mqtt://127.0.0.1:{mqtt}"), format!("http://127.0.0.1:{http}"));
    let arguments =
        ["test", "hub", "--mqtt", &mqtt, "--http", &http, "--connection-string", STRANGER];
    let output = twinspec(&arguments);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_hub_that_is_not_there_is_said_so() {
    let (_kept, mute) = taken_port();
    unusable(mute, mute, "no usable hub at http://127.0.0.1");
}

#[test]
fn a_port_that_accepts_and_stays_silent_is_said_so() {
    let port = troublesome(silent);
    unusable(port, port, "no answer within 5s");
}

#[test]
fn a_port_that_speaks_garbage_is_said_so() {
    let port = troublesome(garbage);
    unusable(port, port, "no usable hub at http://127.0.0.1");
}

#[test]
fn a_hub_that_throttles_from_the_start_is_said_so() {
    let port = troublesome(throttling);
    unusable(port, port, "throttles: it is asked again for up to 150 seconds\n");
    unusable(port, port, "throttles, still after 0 seconds: HTTP 429");
}
