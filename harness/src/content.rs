//! HTTP file server for update payloads and root key packages, which can also fail on purpose, and
//! a place for uploads.
//!
//! It answers ranges, logs every request, and serves each path as it is told: whole, cut short,
//! changed, stalling, refused.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

use crate::listen::accept;

/// How long a client may take to send a request.
const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// The largest upload that is taken, in bytes.
const UPLOAD_MAX: usize = 16 << 20;

/// Requests kept in the log; more are only counted.
const LOG_MAX: usize = 10_000;

/// Bytes sent at a time.
const CHUNK: usize = 16 * 1024;

/// How a file is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it is.
    #[default]
    Whole,
    /// Only its first bytes, although all are announced; then the connection closes.
    CutAfter(usize),
    /// Only its first bytes, and only these are announced.
    Short(usize),
    /// With one byte changed.
    Changed,
    /// Its first bytes; the rest never comes, and the connection stays open.
    StallAfter(usize),
    /// Its first bytes; the rest comes after a pause.
    PauseAfter(usize, Duration),
    /// Not at all: this status is answered.
    Refused(u16),
    /// The first so many requests are answered with this status.
    RefusedFirst(u16, usize),
    /// The first request gets only the first bytes; later ones get what they ask for.
    CutFirst(usize),
}

/// How a folder takes what is uploaded into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// With 201.
    Taken,
    /// With 201 when the URL has a query, which stands for a token; else with 403.
    TakenWithToken,
    /// Not at all: this status is answered.
    Refused(u16),
    /// It never answers.
    Stalled,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The path, without the leading slash.
    pub path: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// The status that was answered.
    pub status: u16,
    /// When it arrived.
    pub at: Instant,
}

/// A running server; it stops when dropped.
pub struct ContentServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Dropping the set ends the listener and all connections.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Folders that take uploads, and how.
    folders: BTreeMap<String, Intake>,
    hits: Vec<Hit>,
}

struct File {
    content: Bytes,
    manner: Manner,
    served: usize,
}

impl ContentServer {
    /// Starts serving at `listen`; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be bound; the message names it.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
        };
        let listener = TcpListener::bind(listen).await.map_err(named)?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        let serving = Arc::clone(&shared);
        tasks.spawn(accept(listener, move |tcp| serve(tcp, Arc::clone(&serving))));
        Ok(Self { shared, address, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `content` at `path` (without a leading slash) from now on.
    pub fn put(&self, path: &str, content: impl Into<Bytes>, manner: Manner) {
        let file = File { content: content.into(), manner, served: 0 };
        self.state().files.insert(path.to_owned(), file);
    }

    /// Takes uploads (PUT) below `folder` from now on.
    pub fn take_uploads(&self, folder: &str, intake: Intake) {
        self.state().folders.insert(format!("{folder}/"), intake);
    }

    /// Serves what is at `path` in another manner from now on.
    pub fn set_manner(&self, path: &str, manner: Manner) {
        if let Some(file) = self.state().files.get_mut(path) {
            file.manner = manner;
            file.served = 0;
        }
    }

    /// Forgets all files and requests whose path begins with `prefix`.
    pub fn forget(&self, prefix: &str) {
        let mut state = self.state();
        state.files.retain(|path, _| !path.starts_with(prefix));
        state.folders.retain(|path, _| !path.starts_with(prefix));
        state.hits.retain(|hit| !hit.path.starts_with(prefix));
    }

    /// The requests so far whose path begins with `prefix`, oldest first.
    #[must_use]
    pub fn hits(&self, prefix: &str) -> Vec<Hit> {
        let state = self.state();
        state.hits.iter().filter(|hit| hit.path.starts_with(prefix)).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(tcp: TcpStream, shared: Arc<Shared>) {
    let _latency_only_if_this_fails = tcp.set_nodelay(true);
    let answer = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            if *request.method() == Method::PUT {
                return Ok::<_, Infallible>(shared.take(request).await);
            }
            Ok(shared.answer(&request))
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(REQUEST_WAIT);
    // A file that is cut short ends in an error, which is what was asked for.
    let _ended = server.serve_connection(TokioIo::new(tcp), answer).await;
}

impl Shared {
    /// Takes an upload, or does not.
    async fn take(&self, request: Request<Incoming>) -> Response<Part> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let has_token = request.uri().query().is_some_and(|query| !query.is_empty());
        let intake = {
            let state = lock(&self.state);
            let mut folders = state.folders.iter();
            folders.find(|(folder, _)| path.starts_with(*folder)).map(|(_, intake)| *intake)
        };
        let body = Limited::new(request.into_body(), UPLOAD_MAX).collect();
        let is_whole = timeout(REQUEST_WAIT, body).await.is_ok_and(|body| body.is_ok());
        let status = match intake {
            Some(Intake::Refused(status)) => status,
            None => 404,
            Some(Intake::TakenWithToken) if !has_token => 403,
            Some(_) if !is_whole => 400,
            Some(_) => 201,
        };
        self.note(Hit { path, range: None, status, at: Instant::now() });
        if intake == Some(Intake::Stalled) {
            // It ends with the connection.
            std::future::pending::<()>().await;
        }
        refused(status)
    }

    fn note(&self, hit: Hit) {
        let mut state = lock(&self.state);
        if state.hits.len() < LOG_MAX {
            state.hits.push(hit);
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Part> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
        let mut state = lock(&self.state);
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        let response = match state.files.get_mut(&path) {
            _ if !is_read => empty(StatusCode::METHOD_NOT_ALLOWED),
            None => empty(StatusCode::NOT_FOUND),
            Some(file) => file.answer(range),
        };
        drop(state);
        let (status, range) = (response.status().as_u16(), range.map(str::to_owned));
        self.note(Hit { path, range, status, at: Instant::now() });
        response
    }
}

impl File {
    fn answer(&mut self, range: Option<&str>) -> Response<Part> {
        self.served += 1;
        let whole = self.content.clone();
        match self.manner {
            Manner::Whole => part(whole, range, End::Complete),
            Manner::CutAfter(bytes) => part(whole, range, End::Cut(bytes)),
            Manner::Short(bytes) => {
                part(whole.slice(..bytes.min(whole.len())), range, End::Complete)
            }
            Manner::Changed => part(changed(&whole), range, End::Complete),
            Manner::StallAfter(bytes) => part(whole, range, End::Stall(bytes)),
            Manner::PauseAfter(bytes, pause) => part(whole, range, End::Pause(bytes, pause)),
            Manner::Refused(status) => refused(status),
            Manner::RefusedFirst(status, count) if self.served <= count => refused(status),
            Manner::CutFirst(bytes) if self.served == 1 => part(whole, range, End::Cut(bytes)),
            Manner::RefusedFirst(..) | Manner::CutFirst(_) => part(whole, range, End::Complete),
        }
    }
}

fn changed(content: &Bytes) -> Bytes {
    let mut content = content.to_vec();
    if let Some(last) = content.last_mut() {
        *last ^= 1;
    }
    Bytes::from(content)
}

fn refused(status: u16) -> Response<Part> {
    empty(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

fn empty(status: StatusCode) -> Response<Part> {
    let mut response = Response::new(Part::new(Bytes::new(), End::Complete));
    *response.status_mut() = status;
    response
}

/// The asked part of `content`; a range that makes no sense is ignored, as HTTP allows.
fn part(content: Bytes, range: Option<&str>, end: End) -> Response<Part> {
    let length = content.len();
    let wanted = range.and_then(|text| parse_range(text, length));
    if wanted.is_some_and(|(first, _)| first >= length) {
        let mut response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
        set(&mut response, CONTENT_RANGE, format!("bytes */{length}"));
        return response;
    }
    let (status, first, after) = match wanted {
        None => (StatusCode::OK, 0, length),
        Some((first, last)) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
    };
    let rest = content.slice(first..after);
    let mut response = empty(status);
    set(&mut response, CONTENT_LENGTH, rest.len().to_string());
    set(&mut response, ACCEPT_RANGES, "bytes".to_owned());
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, CONTENT_RANGE, format!("bytes {first}-{}/{length}", after - 1));
    }
    *response.body_mut() = Part::new(rest, end);
    response
}

fn set(response: &mut Response<Part>, name: http::HeaderName, value: String) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// First and last byte of `bytes=F-L`, `bytes=F-` or `bytes=-N`.
fn parse_range(text: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    match (first.trim(), last.trim()) {
        ("", count) => Some((length.saturating_sub(count.parse().ok()?), end)),
        (first, "") => Some((first.parse().ok()?, end)),
        (first, last) => {
            let (first, last) = (first.parse().ok()?, last.parse::<usize>().ok()?.min(end));
            (first <= last || first > end).then_some((first, last))
        }
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After the last byte.
    Complete,
    /// With an error after so many bytes.
    Cut(usize),
    /// Never, after so many bytes.
    Stall(usize),
    /// After the last byte, with a pause after so many.
    Pause(usize, Duration),
}

/// A body that may not reach its end.
struct Part {
    rest: Bytes,
    end: End,
    /// Whether what was handed over before had time to be sent.
    is_flushed: bool,
    /// The pause, once it began.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Part {
    fn new(rest: Bytes, end: End) -> Self {
        Self { rest, end, is_flushed: false, pause: None }
    }
}

impl Body for Part {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let End::Pause(0, pause) = self.end {
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(pause)));
            ready!(pause.as_mut().poll(context));
            self.end = End::Complete;
        }
        let allowed = match self.end {
            End::Complete => self.rest.len(),
            End::Cut(bytes) | End::Stall(bytes) | End::Pause(bytes, _) => {
                bytes.min(self.rest.len())
            }
        };
        if allowed > 0 {
            let length = allowed.min(CHUNK);
            let chunk = self.rest.split_to(length);
            if let End::Cut(left) | End::Stall(left) | End::Pause(left, _) = &mut self.end {
                *left -= length;
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match self.end {
            // Shorter than what comes before the pause.
            End::Complete | End::Pause(..) => Poll::Ready(None),
            // The server sends what it holds before it asks again.
            End::Cut(_) if !self.is_flushed => {
                self.is_flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Cut(_) => Poll::Ready(Some(Err(io::Error::other("cut short on purpose")))),
            // Nobody is to wake this up: the connection ends when the client or the server goes.
            End::Stall(_) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.end == End::Complete
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    async fn server() -> ContentServer {
        ContentServer::start("127.0.0.1:0".parse().unwrap()).await.unwrap()
    }

    const WAIT: Duration = Duration::from_secs(10);

    async fn ask(server: &ContentServer, path: &str, range: &str) -> TcpStream {
        let mut tcp = TcpStream::connect(server.address()).await.unwrap();
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{range}\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        tcp
    }

    /// Everything the server sends until it closes.
    async fn get(server: &ContentServer, path: &str, range: &str) -> String {
        let mut tcp = ask(server, path, range).await;
        let mut text = Vec::new();
        let read = tcp.read_to_end(&mut text);
        // A connection that breaks off ends too.
        let _ended_either_way = timeout(WAIT, read).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What the server sends up to `end`, after which nothing comes.
    async fn get_stalled(server: &ContentServer, path: &str, end: &str) -> String {
        let mut tcp = ask(server, path, "").await;
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let read = timeout(WAIT, tcp.read_buf(&mut text)).await;
            assert!(read.unwrap().unwrap() > 0, "{}", text.escape_ascii());
        }
        let more = timeout(Duration::from_millis(500), tcp.read_buf(&mut text)).await;
        assert!(more.is_err(), "{}", text.escape_ascii());
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn files_are_served_whole_and_in_parts() {
        let server = server().await;
        server.put("a/f", "0123456789", Manner::Whole);
        let answer = get(&server, "a/f", "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n0123456789"));
        let answer = get(&server, "a/f", "Range: bytes=4-\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 206") && answer.ends_with("\r\n456789"), "{answer}");
        assert!(answer.contains("bytes 4-9/10"), "{answer}");
        assert!(get(&server, "a/f", "Range: bytes=10-\r\n").await.starts_with("HTTP/1.1 416"));
        assert!(get(&server, "a/f", "Range: bytes=-2\r\n").await.ends_with("\r\n89"));
        assert!(get(&server, "a/g", "").await.starts_with("HTTP/1.1 404"));
        assert_eq!(server.hits("a/f").len(), 4);
        assert_eq!(server.hits("a/").last().unwrap().status, 404);
    }

    #[tokio::test]
    async fn files_fail_in_every_manner() {
        let server = server().await;
        let cases = [
            (Manner::CutAfter(3), "012", true),
            (Manner::PauseAfter(3, Duration::from_millis(50)), "0123456789", true),
            (Manner::PauseAfter(30, Duration::from_secs(60)), "0123456789", true),
            (Manner::Short(3), "012", false),
            (Manner::Changed, "0123456788", false),
        ];
        for (manner, body, announces_all) in cases {
            server.put("f", "0123456789", manner);
            let answer = get(&server, "f", "").await;
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{manner:?} {answer}");
            let length = if announces_all { 10 } else { body.len() };
            assert!(answer.contains(&format!("content-length: {length}")), "{manner:?} {answer}");
        }
        server.put("f", "0123456789", Manner::StallAfter(3));
        let answer = get_stalled(&server, "f", "\r\n\r\n012").await;
        assert!(answer.contains("content-length: 10"), "{answer}");
    }

    #[tokio::test]
    async fn only_first_requests_fail_where_that_is_asked_for() {
        let server = server().await;
        server.put("f", "0123456789", Manner::RefusedFirst(503, 1));
        assert!(get(&server, "f", "").await.starts_with("HTTP/1.1 503"));
        assert!(get(&server, "f", "").await.starts_with("HTTP/1.1 200"));
        server.set_manner("f", Manner::CutFirst(2));
        assert!(get(&server, "f", "").await.ends_with("\r\n01"));
        assert!(get(&server, "f", "Range: bytes=2-\r\n").await.ends_with("\r\n23456789"));
    }
}
