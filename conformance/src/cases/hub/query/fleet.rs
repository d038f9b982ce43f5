//! A few devices of a case's own, told from all others by a tag.

use http::header::HeaderName;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use tokio::time::Instant;
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use crate::bench::{Bench, VISIBLE, words};
use crate::verdict::Checked;

/// Where queries go.
pub(in crate::cases::hub) const PATH: &str = "/devices/query";

/// Names the page size.
pub(in crate::cases::hub) const MAX_ITEM_COUNT: &str = "x-ms-max-item-count";

/// Names the next page.
pub(in crate::cases::hub) const CONTINUATION: &str = "x-ms-continuation";

/// Names what the rows are.
pub(in crate::cases::hub) const ITEM_TYPE: &str = "x-ms-item-type";

/// Devices with one mark.
pub(in crate::cases::hub) struct Fleet {
    /// What their tag `mark` holds.
    pub(in crate::cases::hub) mark: String,
    /// Their ids.
    pub(in crate::cases::hub) ids: Vec<String>,
}

impl Fleet {
    /// Registers a device for each of `twins` (tags and desired properties).
    pub(in crate::cases::hub) async fn new(
        bench: &mut Bench,
        twins: &[(Value, Value)],
    ) -> Checked<Self> {
        let mark = bench.new_name();
        let mut ids = Vec::new();
        for (tags, desired) in twins {
            let identity = bench.device().await?.identity;
            let mut tags = tags.clone();
            if let Some(tags) = tags.as_object_mut() {
                tags.insert("mark".to_owned(), json!(mark));
            }
            let body = json!({ "tags": tags, "properties": { "desired": desired } });
            bench.patch_twin(&identity, &body).await?;
            ids.push(identity.device);
        }
        Ok(Self { mark, ids })
    }

    /// One of them.
    pub(super) fn identity(&self, number: usize) -> Option<Identity> {
        self.ids.get(number).map(Identity::device)
    }

    /// The query for all of them that `condition` selects.
    pub(in crate::cases::hub) fn query(&self, condition: &str) -> String {
        format!("SELECT * FROM devices WHERE tags.mark = '{}' AND ({condition})", self.mark)
    }

    /// Demands that `condition` selects exactly these devices, by their numbers.
    pub(in crate::cases::hub) async fn selects(
        &self,
        bench: &mut Bench,
        requirement: &'static str,
        condition: &str,
        expected: &[usize],
    ) -> Checked {
        let mut expected: Vec<&str> =
            expected.iter().filter_map(|index| self.ids.get(*index)).map(String::as_str).collect();
        expected.sort_unstable();
        let query = self.query(condition);
        let answer = settled(bench, &query, |rows| devices(rows) == expected).await?;
        let rows = answer.json();
        let holds = answer.status.as_u16() == 200 && devices(&rows) == expected;
        let seen = if answer.status.as_u16() == 200 {
            format!("{condition}: {}", words(&devices(&rows)))
        } else {
            format!("{condition}: {answer}")
        };
        bench.demand(requirement, holds, format!("{condition}: {}", words(&expected)), seen);
        Ok(())
    }
}

/// Whether a query was answered with rows, as far as the status says.
pub(super) fn is_done(answer: &Answer) -> bool {
    answer.status.as_u16() == 200
}

/// The devices of the rows, in order.
pub(in crate::cases::hub) fn devices(rows: &Value) -> Vec<&str> {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut devices: Vec<&str> = rows.iter().filter_map(|row| row["deviceId"].as_str()).collect();
    devices.sort_unstable();
    devices
}

/// Asks once, with further headers.
pub(in crate::cases::hub) async fn ask(
    bench: &mut Bench,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Checked<Answer> {
    let mut request = bench.request(Method::POST, PATH, Some(&json!({ "query": query })));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            let text = value.to_str().unwrap_or_default().to_owned();
            request.headers.push((HeaderName::from_static(name), text));
        }
    }
    bench.exchange(&request).await
}

/// Asks until the rows are as expected or the budget is used up: results may lag behind twins
/// (query.md § 9).
pub(in crate::cases::hub) async fn settled(
    bench: &mut Bench,
    query: &str,
    shows: impl Fn(&Value) -> bool,
) -> Checked<Answer> {
    let deadline = Instant::now() + bench.budget(VISIBLE);
    loop {
        let answer = ask(bench, query, &[]).await?;
        let is_refused = answer.status.is_client_error();
        if is_refused || shows(&answer.json()) || Instant::now() >= deadline {
            return Ok(answer);
        }
        bench.look_again().await;
    }
}
