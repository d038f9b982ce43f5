//! Uploads logs into a storage container.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::timeout;
use twinspec_model::agent::Upload;
use url::Url;

use super::Log;
use crate::client::{HttpClient, chain, http_client};
use crate::tls::Trust;

/// The most bytes of one kind of logs: the newest files count.
const BYTES_MAX: u64 = 10 << 20;

/// How storage is told that the whole blob comes at once.
const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");

/// Uploads for one agent.
#[derive(Clone)]
pub(super) struct Uploader {
    client: HttpClient<Full<Bytes>>,
    /// Files or folders by the name of what writes them.
    logs: Arc<Vec<(String, PathBuf)>>,
    /// `device` or `device/module`: the first part of every blob's name.
    owner: String,
    wait: Duration,
    log: Log,
}

impl Uploader {
    pub(super) fn new(
        trust: &Trust,
        logs: Vec<(String, PathBuf)>,
        owner: String,
        wait: Duration,
        log: Log,
    ) -> Self {
        Self { client: http_client(trust), logs: Arc::new(logs), owner, wait, log }
    }

    /// Uploads everything; the log says what went wrong, without the URL: it is a secret.
    pub(super) async fn run(&self, operation: &str, url: &str) -> Upload {
        let Some(container) = Url::parse(url).ok().filter(|url| url.has_host()) else {
            return Upload::BadUrl;
        };
        if self.logs.is_empty() {
            return Upload::NotConfigured;
        }
        let mut count = 0;
        for (name, path) in self.logs.iter() {
            let files = match newest(path) {
                Ok(files) => files,
                Err(error) => {
                    self.log.line(format!("logs of {name}: {error}"));
                    return Upload::Failed;
                }
            };
            for file in files {
                if let Err(why) = self.put(&container, operation, name, &file).await {
                    self.log.line(format!("log {}: {why}", file.display()));
                    return Upload::Failed;
                }
                count += 1;
            }
        }
        if count == 0 { Upload::NoLogs } else { Upload::Done }
    }

    async fn put(
        &self,
        container: &Url,
        operation: &str,
        name: &str,
        file: &Path,
    ) -> Result<(), String> {
        let content = fs::read(file).map_err(|error| error.to_string())?;
        let leaf = file.file_name().unwrap_or_default().to_string_lossy();
        let mut blob = container.clone();
        let segments = self.owner.split('/').chain([operation, name, &leaf]);
        // It has a host, so it has a path.
        blob.path_segments_mut().map_err(|()| "no path")?.pop_if_empty().extend(segments);
        let request = Request::put(blob.as_str()).header(BLOB_TYPE, "BlockBlob");
        let request = request.body(Full::new(content.into())).map_err(|error| error.to_string())?;
        let answer = timeout(self.wait, self.client.request(request)).await;
        let answer = answer.map_err(|_| format!("no answer within {:?}", self.wait))?;
        let status = answer.map_err(|error| chain(&error))?.status();
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(()),
            status => Err(format!("the storage answered {status}")),
        }
    }
}

/// The newest files at `path` that fit together, a single one whatever its size.
fn newest(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
        Ok(entry) if entry.is_file() => return Ok(vec![path.to_owned()]),
        Ok(_) => {}
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            found.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    found.sort();
    let (mut files, mut total) = (Vec::new(), 0);
    for (_, length, path) in found.into_iter().rev() {
        total += length;
        if total > BYTES_MAX && !files.is_empty() {
            break;
        }
        files.push(path);
    }
    Ok(files)
}
