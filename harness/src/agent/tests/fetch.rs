use std::fs;
use std::time::Duration;

use ring::digest;
use twinspec_model::agent::{FetchOrder, Fetched};
use twinspec_model::update::files::Algorithm;

use super::Folder;
use crate::agent::fetch::Fetcher;
use crate::content::{ContentServer, Manner};
use crate::tls::Trust;

const CONTENT: &[u8] = b"0123456789abcdefghij";

struct Bench {
    server: ContentServer,
    folder: Folder,
    order: FetchOrder,
    /// How long nothing may come.
    stall: Duration,
}

impl Bench {
    async fn new(manner: Manner) -> Self {
        let server = ContentServer::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        server.put("file", CONTENT.to_vec(), manner);
        let order = FetchOrder {
            workflow: "w".to_owned(),
            folder: "0".to_owned(),
            name: "image".to_owned(),
            url: format!("http://{}/file?sig=secret", server.address()),
            size: 20,
            algorithm: Algorithm::Sha256,
            hash: digest::digest(&digest::SHA256, CONTENT).as_ref().to_vec(),
            wants_text: false,
        };
        Self { server, folder: Folder::new(), order, stall: Duration::from_secs(10) }
    }

    async fn fetch(&self) -> Fetched {
        let trust = Trust::machine().unwrap();
        let fetcher = Fetcher::new(&trust, self.stall, 3);
        let (folder, parts) = (self.folder.path().join("0"), self.folder.path().join("parts"));
        fetcher.file(&self.order, &folder, &parts).await
    }

    fn complete(&self) -> Fetched {
        Fetched::Complete { size: 20, hash: self.order.hash.clone(), text: None }
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.server.hits("").into_iter().map(|hit| hit.range).collect()
    }
}

#[tokio::test]
async fn a_file_comes_and_is_not_fetched_again() {
    let bench = Bench::new(Manner::Whole).await;
    assert_eq!(bench.fetch().await, bench.complete());
    assert_eq!(bench.fetch().await, bench.complete());
    assert_eq!(bench.ranges(), [None]);
    assert_eq!(fs::read(bench.folder.path().join("0/image")).unwrap(), CONTENT);
}

#[tokio::test]
async fn a_file_that_was_changed_is_fetched_anew() {
    let bench = Bench::new(Manner::Whole).await;
    bench.fetch().await;
    fs::write(bench.folder.path().join("0/image"), b"other").unwrap();
    assert_eq!(bench.fetch().await, bench.complete());
    assert_eq!(bench.ranges(), [None, None]);
}

#[tokio::test]
async fn a_download_that_broke_off_is_taken_up_where_it_was() {
    let bench = Bench::new(Manner::CutFirst(8)).await;
    assert_eq!(bench.fetch().await, bench.complete());
    assert_eq!(bench.ranges(), [None, Some("bytes=8-".to_owned())]);
}

#[tokio::test]
async fn what_came_before_a_kill_is_not_fetched_again() {
    let bench = Bench::new(Manner::CutAfter(3)).await;
    assert!(matches!(bench.fetch().await, Fetched::Failed(_)));
    bench.server.set_manner("file", Manner::Whole);
    assert_eq!(bench.fetch().await, bench.complete());
    let last = bench.ranges().pop().unwrap().unwrap();
    assert_ne!(last, "bytes=0-", "{last}");
}

#[tokio::test]
async fn halves_of_two_files_are_not_put_together() {
    let bench = Bench::new(Manner::CutAfter(3)).await;
    bench.fetch().await;
    let parts = bench.folder.path().join("parts");
    let part = fs::read_dir(parts).unwrap().next().unwrap().unwrap().path();
    fs::write(part, b"XXXX").unwrap();
    bench.server.set_manner("file", Manner::Whole);
    assert_eq!(bench.fetch().await, bench.complete());
}

#[tokio::test]
async fn a_stalled_download_is_given_up_in_the_end() {
    let mut bench = Bench::new(Manner::StallAfter(3)).await;
    bench.stall = Duration::from_millis(300);
    let Fetched::Failed(why) = bench.fetch().await else {
        panic!("it came");
    };
    assert!(why.contains("stalled"), "{why}");
    assert_eq!(bench.ranges().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_final_and_a_passing_trouble_is_not() {
    let bench = Bench::new(Manner::Refused(404)).await;
    assert_eq!(bench.fetch().await, Fetched::Status(404));
    assert_eq!(bench.ranges().len(), 1);
    let bench = Bench::new(Manner::RefusedFirst(503, 2)).await;
    assert_eq!(bench.fetch().await, bench.complete());
    assert_eq!(bench.ranges().len(), 3);
}

#[tokio::test]
async fn a_wrong_file_is_told_as_it_is() {
    let bench = Bench::new(Manner::Changed).await;
    let Fetched::Complete { size, hash, .. } = bench.fetch().await else {
        panic!("nothing came");
    };
    assert_eq!(size, 20);
    assert_ne!(hash, bench.order.hash);
    let mut bench = Bench::new(Manner::Short(8)).await;
    assert!(matches!(bench.fetch().await, Fetched::Complete { size: 8, .. }));
    // A file that is longer than announced is not read to its end, which may never come.
    bench = Bench::new(Manner::Whole).await;
    bench.order.size = 5;
    assert!(matches!(bench.fetch().await, Fetched::Complete { size: 20, .. }));
}

#[tokio::test]
async fn what_stands_in_the_place_of_a_file_gives_way() {
    let bench = Bench::new(Manner::Whole).await;
    fs::create_dir_all(bench.folder.path().join("0/image/inside")).unwrap();
    assert_eq!(bench.fetch().await, bench.complete());
}

#[tokio::test]
async fn a_manifest_is_handed_over_as_text() {
    let mut bench = Bench::new(Manner::Whole).await;
    bench.order.wants_text = true;
    let Fetched::Complete { text, .. } = bench.fetch().await else {
        panic!("nothing came");
    };
    assert_eq!(text.as_deref(), Some("0123456789abcdefghij"));
}
