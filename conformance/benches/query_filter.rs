//! Queries over a fleet against SQLite, on the same documents.
//!
//! Ours is the whole hub in process: `Hub::handle` with `POST /devices/query`, page after page with
//! its tokens, signatures checked and answers written as JSON. SQLite has the documents of the same
//! twins in memory, once as text, which is what they are, and once turned into its own binary form
//! beforehand; no side has an index.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on fails"
)]

#[expect(dead_code, reason = "this benchmark needs no server")]
mod peers;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use rusqlite::Connection;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use twinspec_model::auth;
use twinspec_model::hub::{ConnectionId, ExchangeId, Hub, HubConfig, Input, Output};
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{Connect, Packet, Publish};

const HOST: &str = "hub.example";
const TWINS: usize = 100_000;
const RUNS: usize = 9;

/// The same question in both languages.
struct Question {
    name: &'static str,
    ours: &'static str,
    /// `{text}` stands for a document as text.
    theirs: &'static str,
}

const QUESTIONS: [Question; 2] = [
    Question {
        name: "filter, 100 rows match",
        ours: "SELECT * FROM devices \
               WHERE tags.site.region = 'r3' AND properties.reported.rate >= 990",
        theirs: "SELECT {text} FROM twins WHERE doc ->> '$.tags.site.region' = 'r3' \
                 AND doc ->> '$.properties.reported.rate' >= 990",
    },
    Question {
        name: "group",
        ours: "SELECT tags.site.region AS region, COUNT() AS n, \
               AVG(properties.reported.rate) AS rate FROM devices GROUP BY tags.site.region",
        theirs: "SELECT json_object('region', doc ->> '$.tags.site.region', 'n', count(*), \
                 'rate', CAST(avg(doc ->> '$.properties.reported.rate') AS INT)) FROM twins \
                 GROUP BY doc ->> '$.tags.site.region'",
    },
];

fn main() {
    let mut hub = Fleet::new();
    let database = Connection::open_in_memory().unwrap();
    hub.copy_to(&database);
    for question in &QUESTIONS {
        let theirs = |table: &str, text: &str| {
            let sql = question.theirs.replace("{text}", text);
            sql.replace("FROM twins", &format!("FROM {table}"))
        };
        let (text, jsonb) = (theirs("text_twins", "doc"), theirs("jsonb_twins", "json(doc)"));
        let (mut our_rates, mut text_rates, mut jsonb_rates) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let began = Instant::now();
            let ours = hub.rows(question.ours);
            our_rates.push(TWINS as f64 / began.elapsed().as_secs_f64());
            for (sql, rates) in [(&text, &mut text_rates), (&jsonb, &mut jsonb_rates)] {
                let began = Instant::now();
                let theirs = rows(&database, sql);
                rates.push(TWINS as f64 / began.elapsed().as_secs_f64());
                assert_eq!(sorted(&ours), sorted(&theirs), "both sides found the same");
            }
        }
        let ratio = |theirs: &[f64]| {
            let ratios = our_rates.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
            peers::median(ratios.collect())
        };
        println!(
            "query over {TWINS} twins, {}: ours {:.0} rows/s; SQLite {:.0} rows/s over text, ratio \
             {:.2}; {:.0} rows/s over JSONB, ratio {:.2} (medians of {RUNS})",
            question.name,
            peers::median(our_rates.clone()),
            peers::median(text_rates.clone()),
            ratio(&text_rates),
            peers::median(jsonb_rates.clone()),
            ratio(&jsonb_rates),
        );
    }
}

/// What SQLite answers.
fn rows(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare_cached(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Rows as values in an order of their own.
fn sorted(rows: &[String]) -> Vec<String> {
    let spelled = |row: &String| serde_json::from_str::<Value>(row).unwrap().to_string();
    let mut rows: Vec<String> = rows.iter().map(spelled).collect();
    rows.sort();
    rows
}

/// A hub with its twins.
struct Fleet {
    hub: Hub,
    now: Time,
}

impl Fleet {
    fn new() -> Self {
        let now = Time::from_unix_seconds(1_900_000_000);
        let mut fleet = Self { hub: Hub::new(HubConfig::new(HOST, [7; 32])), now };
        let host_token = fleet.token();
        for n in 0..TWINS {
            fleet.make_twin(n, &host_token);
        }
        fleet
    }

    fn token(&self) -> String {
        let policy = self.hub.policies().iter().find(|p| p.name == "iothubowner").unwrap();
        let expiry = self.now.after(Duration::from_secs(3600));
        auth::sign(&policy.primary_key, HOST, expiry, Some(&policy.name)).unwrap()
    }

    fn ask(&mut self, request: http::request::Builder, body: &str) -> http::Response<Bytes> {
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let outputs = self.hub.handle(self.now, Input::Request(ExchangeId(0), request));
        match outputs.into_iter().last() {
            Some(Output::Respond(_, response)) if response.status().is_success() => response,
            other => panic!("no good answer but {other:?}"),
        }
    }

    /// A device that has reported something, as a back end and the device itself would write it.
    fn make_twin(&mut self, n: usize, token: &str) {
        let request = |method, path: &str| {
            let uri = format!("{path}?api-version=2021-04-12");
            http::Request::builder().method(method).uri(uri).header("authorization", token)
        };
        let device = format!("device-{n:06}");
        let answer = self.ask(request(Method::PUT, &format!("/devices/{device}")), "{}");
        let identity: Value = serde_json::from_slice(answer.body()).unwrap();
        let key = identity["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap();
        let body = json!({
            "tags": { "kind": "pump", "site": { "region": format!("r{}", n % 10), "bay": n % 7 } },
            "properties": { "desired": { "rate": n % 50, "config": { "id": "a1", "on": true } } },
        });
        self.ask(request(Method::PATCH, &format!("/twins/{device}")), &body.to_string());
        let expiry = self.now.after(Duration::from_secs(3600));
        let mut connect = Connect::new(&device);
        connect.user_name = Some(format!("{HOST}/{device}/?api-version=2021-04-12"));
        let password = auth::sign(key, &format!("{HOST}/devices/{device}"), expiry, None);
        connect.password = password.map(Into::into);
        let body = json!({ "rate": n % 1000, "link": "wifi", "firmware": { "version": "1.2.3" } });
        let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
        let report = Publish::at_most_once(topic.to_owned(), body.to_string());
        let connection = ConnectionId(n as u64);
        for input in [
            Input::Opened(connection, None),
            Input::Packet(connection, Packet::Connect(Box::new(connect))),
            Input::Packet(connection, Packet::Publish(report)),
            Input::Closed(connection),
        ] {
            self.hub.handle(self.now, input);
        }
    }

    /// The rows of all pages of `query`, as text.
    fn rows(&mut self, query: &str) -> Vec<String> {
        let body = json!({ "query": query }).to_string();
        let token = self.token();
        let mut continuation = None;
        let mut pages = Vec::new();
        loop {
            let mut request = http::Request::builder()
                .method(Method::POST)
                .uri("/devices/query?api-version=2021-04-12")
                .header("authorization", &token);
            if let Some(continuation) = continuation {
                request = request.header("x-ms-continuation", continuation);
            }
            let response = self.ask(request, &body);
            continuation = response.headers().get("x-ms-continuation").cloned();
            pages.push(response.into_body());
            if continuation.is_none() {
                break;
            }
        }
        let rows = |page: &Bytes| serde_json::from_slice::<Vec<Box<RawValue>>>(page).unwrap();
        pages.iter().flat_map(rows).map(|row| row.get().to_owned()).collect()
    }

    /// Puts all twins into tables.
    fn copy_to(&mut self, database: &Connection) {
        let tables = "CREATE TABLE text_twins (doc TEXT); CREATE TABLE jsonb_twins (doc BLOB);";
        database.execute_batch(&format!("{tables} BEGIN;")).unwrap();
        for twin in self.rows("SELECT * FROM devices") {
            database.execute("INSERT INTO text_twins VALUES (?)", [&twin]).unwrap();
            database.execute("INSERT INTO jsonb_twins VALUES (jsonb(?))", [&twin]).unwrap();
        }
        database.execute_batch("COMMIT;").unwrap();
        let count = |sql| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM text_twins"), TWINS as i64);
    }
}
