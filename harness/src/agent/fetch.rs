//! Downloads: what is there already is not fetched, what broke off is taken up again.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, RANGE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use ring::digest;
use tokio::time::{sleep, timeout};
use twinspec_model::agent::{FetchOrder, Fetched};
use twinspec_model::update::files::Algorithm;

use crate::client::{HttpClient, chain, http_client};
use crate::tls::Trust;
use crate::trace::hex;

/// The largest root key package that is read, in bytes.
const PACKAGE_BYTES_MAX: usize = 1 << 20;

/// The largest detached manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The pause before a download is taken up again; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Fetches for one agent.
#[derive(Clone)]
pub(super) struct Fetcher {
    client: HttpClient<Empty<Bytes>>,
    stall: Duration,
    tries: u32,
}

/// Why one try of a download gave nothing.
enum Setback {
    /// The server said so.
    Status(StatusCode),
    /// It may go better the next time.
    Broken(String),
    /// It will not.
    Final(String),
}

/// Where a file goes.
struct Places {
    /// The file itself.
    file: PathBuf,
    /// What has come of it so far.
    part: PathBuf,
}

impl Fetcher {
    pub(super) fn new(trust: &Trust, stall: Duration, tries: u32) -> Self {
        Self { client: http_client(trust), stall, tries }
    }

    /// Fetches the root key package; the HTTP status, if any, and words when it does not come.
    pub(super) async fn package(&self, url: &str) -> Result<String, (Option<u16>, String)> {
        let mut last = (None, String::new());
        for attempt in 0..self.tries {
            pause(attempt).await;
            match self.small(url).await {
                Ok(text) => return Ok(text),
                Err(Setback::Status(status)) if !is_passing(status) => {
                    return Err((Some(status.as_u16()), format!("the server answered {status}")));
                }
                Err(Setback::Status(status)) => {
                    last = (Some(status.as_u16()), format!("the server answered {status}"));
                }
                Err(Setback::Broken(why)) => last = (None, why),
                Err(Setback::Final(why)) => return Err((None, why)),
            }
        }
        Err(last)
    }

    async fn small(&self, url: &str) -> Result<String, Setback> {
        let (status, mut body) = self.get(url, 0).await?;
        if status.0 != StatusCode::OK {
            return Err(Setback::Status(status.0));
        }
        let mut content = Vec::new();
        while let Some(chunk) = self.chunk(&mut body).await? {
            content.extend_from_slice(&chunk);
            if content.len() > PACKAGE_BYTES_MAX {
                let why = format!("longer than {PACKAGE_BYTES_MAX} bytes");
                return Err(Setback::Final(why));
            }
        }
        String::from_utf8(content).map_err(|_| Setback::Final("is no UTF-8".to_owned()))
    }

    /// Brings a file into `folder`, its partial content into `parts`.
    pub(super) async fn file(&self, order: &FetchOrder, folder: &Path, parts: &Path) -> Fetched {
        let key = format!("{}-{}.part", order.folder, hex(&order.hash));
        let places = Places { file: folder.join(&order.name), part: parts.join(key) };
        match self.bring(order, &places).await {
            Ok(fetched) => fetched,
            Err(error) => Fetched::Failed(error.to_string()),
        }
    }

    async fn bring(&self, order: &FetchOrder, places: &Places) -> io::Result<Fetched> {
        for place in [&places.file, &places.part] {
            place.parent().map_or(Ok(()), fs::create_dir_all)?;
        }
        // Where a file should be there may be anything, left by a handler.
        match fs::symlink_metadata(&places.file) {
            Ok(found) if found.is_file() => {
                let fetched = complete(order, &places.file).await?;
                if is_right(order, &fetched) {
                    return Ok(fetched);
                }
                fs::remove_file(&places.file)?;
            }
            Ok(found) if found.is_dir() => fs::remove_dir_all(&places.file)?,
            Ok(_) => fs::remove_file(&places.file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let resumed = places.part.exists();
        let mut fetched = self.download(order, places).await?;
        // Two halves that do not fit: the server has another file now.
        if resumed && matches!(fetched, Fetched::Complete { .. }) && !is_right(order, &fetched) {
            fs::remove_file(&places.file)?;
            fetched = self.download(order, places).await?;
        }
        Ok(fetched)
    }

    async fn download(&self, order: &FetchOrder, places: &Places) -> io::Result<Fetched> {
        let mut last = Fetched::Failed("not tried".to_owned());
        for attempt in 0..self.tries {
            pause(attempt).await;
            match self.attempt(order, &places.part).await {
                Ok(()) => {
                    File::open(&places.part)?.sync_all()?;
                    fs::rename(&places.part, &places.file)?;
                    return complete(order, &places.file).await;
                }
                Err(Setback::Status(status)) => {
                    last = Fetched::Status(status.as_u16());
                    if status == StatusCode::RANGE_NOT_SATISFIABLE {
                        fs::remove_file(&places.part)?;
                    } else if !is_passing(status) {
                        return Ok(last);
                    }
                }
                Err(Setback::Broken(why)) => last = Fetched::Failed(why),
                Err(Setback::Final(why)) => return Ok(Fetched::Failed(why)),
            }
        }
        Ok(last)
    }

    /// One request: what it brings is appended to the part.
    async fn attempt(&self, order: &FetchOrder, part: &Path) -> Result<(), Setback> {
        let local = |error: io::Error| Setback::Final(format!("{}: {error}", part.display()));
        let mut file = File::options();
        let mut file = file.create(true).truncate(false).write(true).open(part).map_err(local)?;
        let mut length = file.seek(SeekFrom::End(0)).map_err(local)?;
        if length > 0 && length == order.size {
            return Ok(());
        }
        let ((status, from), mut body) = self.get(&order.url, length).await?;
        match status {
            StatusCode::PARTIAL_CONTENT if from == Some(length) => {}
            StatusCode::OK => {
                file.set_len(0).map_err(local)?;
                length = file.seek(SeekFrom::Start(0)).map_err(local)?;
            }
            StatusCode::PARTIAL_CONTENT => {
                return Err(Setback::Broken("the server sent another range".to_owned()));
            }
            status => return Err(Setback::Status(status)),
        }
        while let Some(chunk) = self.chunk(&mut body).await? {
            file.write_all(&chunk).map_err(local)?;
            length += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if length > order.size {
                // It is wrong already, and could go on for ever.
                break;
            }
        }
        Ok(())
    }

    /// Status, where the content begins, and the content from `offset` on.
    async fn get(
        &self,
        url: &str,
        offset: u64,
    ) -> Result<((StatusCode, Option<u64>), Incoming), Setback> {
        let mut request = Request::get(url);
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| Setback::Final(format!("{url}: {error}")))?;
        let answer = timeout(self.stall, self.client.request(request)).await;
        let answer =
            answer.map_err(|_| Setback::Broken(format!("no answer in {:?}", self.stall)))?;
        let (parts, body) = answer.map_err(|error| Setback::Broken(chain(&error)))?.into_parts();
        let range = parts.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let from = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
        let from = from.and_then(|from| from.parse().ok());
        Ok(((parts.status, from), body))
    }

    async fn chunk(&self, body: &mut Incoming) -> Result<Option<Bytes>, Setback> {
        loop {
            let frame = timeout(self.stall, body.frame()).await;
            let frame =
                frame.map_err(|_| Setback::Broken(format!("stalled for {:?}", self.stall)))?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Setback::Broken(chain(&error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Whether the same request may be answered otherwise later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Nothing before the first attempt.
async fn pause(attempt: u32) {
    if attempt > 0 {
        sleep(PAUSE * 2u32.pow(attempt.min(6) - 1)).await;
    }
}

fn is_right(order: &FetchOrder, fetched: &Fetched) -> bool {
    match fetched {
        Fetched::Complete { hash, .. } => *hash == order.hash,
        Fetched::Status(_) | Fetched::Failed(_) => false,
    }
}

/// What the file at `path` is.
async fn complete(order: &FetchOrder, path: &Path) -> io::Result<Fetched> {
    let (algorithm, wants_text, path) = (order.algorithm, order.wants_text, path.to_owned());
    let read = move || {
        let (size, hash) = hash(&path, algorithm)?;
        let text = match wants_text && size <= MANIFEST_BYTES_MAX {
            true => fs::read_to_string(&path).ok(),
            false => None,
        };
        Ok(Fetched::Complete { size, hash, text })
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

fn hash(path: &Path, algorithm: Algorithm) -> io::Result<(u64, Vec<u8>)> {
    let mut context = digest::Context::new(match algorithm {
        Algorithm::Sha256 => &digest::SHA256,
        Algorithm::Sha384 => &digest::SHA384,
        Algorithm::Sha512 => &digest::SHA512,
    });
    let mut file = File::open(path)?;
    let (mut buffer, mut size) = (vec![0; 1 << 16], 0);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, context.finish().as_ref().to_vec()));
        }
        context.update(buffer.get(..count).unwrap_or_default());
        size += u64::try_from(count).unwrap_or(u64::MAX);
    }
}
