//! `POST /devices/query`: pages of a query's result (query.md § 8).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Hub;
use super::service::Reply;
use super::twin::take;
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::query::{Collection, Query};
use crate::time::Time;

/// How many rows a page asks for.
const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");

/// Where the next page begins.
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");

/// What the rows are.
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");

/// Rows a page has at most (query.md § 10).
const PAGE_MAX: usize = 100;

/// Where a page begins; clients carry it from page to page as text they do not read.
#[derive(Clone, Debug, Default, PartialEq)]
struct Position {
    /// Rows on the pages before.
    rows: usize,
    /// The last identity on them; none where rows stand for no identity.
    after: Option<Identity>,
}

/// Rows, and where the next page begins when there is one.
type Page = (Vec<Value>, Option<Position>);

impl Hub {
    pub(super) fn query(
        &mut self,
        now: Time,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        take(self.config.throttles.queries, &mut self.queries, now)?;
        let text = query_text(&json::parse(body)?)?;
        let query = Query::parse(&text).map_err(|error| Refusal::invalid(error.to_string()))?;
        let size = page_size(headers)?;
        let begin = match header(headers, &CONTINUATION) {
            None | Some("") => Position::default(),
            Some(token) => Position::read(token, &text).ok_or_else(|| {
                Refusal::invalid("The continuation token does not belong to this query")
            })?,
        };
        let (rows, next) = if query.is_aggregate() {
            self.gathered_page(&query, &begin, size)
        } else {
            self.plain_page(&query, &begin, size)
        };
        let mut reply = Reply::ok(Value::Array(rows));
        let item_type = HeaderValue::from_static(query.item_type().name());
        reply.headers.push((ITEM_TYPE, item_type));
        let next = next.map(|next| HeaderValue::from_str(&next.token(&text)));
        if let Some(Ok(token)) = next {
            reply.headers.push((CONTINUATION, token));
        }
        Ok(reply)
    }

    /// A page whose rows stand for one identity each: it goes on after the last one shown, so that
    /// a fleet that changes between pages shows nothing twice.
    fn plain_page(&self, query: &Query, begin: &Position, size: usize) -> Page {
        let top = query.top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX);
        let left = top.saturating_sub(begin.rows);
        let mut rows = Vec::new();
        let mut last = None;
        for (identity, twin) in self.twins_of(query.from, begin.after.as_ref()) {
            if rows.len() == left {
                break;
            }
            if !query.matches(&twin) {
                continue;
            }
            if rows.len() == size {
                let rows_so_far = begin.rows.saturating_add(rows.len());
                return (rows, Some(Position { rows: rows_so_far, after: last }));
            }
            rows.push(query.project(&twin));
            last = Some(identity.clone());
        }
        (rows, None)
    }

    fn gathered_page(&self, query: &Query, begin: &Position, size: usize) -> Page {
        let twins: Vec<Value> = self.twins_of(query.from, None).map(|(_, twin)| twin).collect();
        let mut rows = query.rows(&twins).into_iter().skip(begin.rows);
        let page: Vec<Value> = rows.by_ref().take(size).collect();
        let next = Position { rows: begin.rows.saturating_add(page.len()), after: None };
        let has_more = rows.next().is_some();
        (page, has_more.then_some(next))
    }

    /// The rows of a collection after `after`, with their identities, in the order of identities.
    fn twins_of<'a>(
        &'a self,
        from: Collection,
        after: Option<&'a Identity>,
    ) -> impl Iterator<Item = (&'a Identity, Value)> {
        let is_row = move |identity: &Identity| match from {
            Collection::Devices => identity.module.is_none(),
            Collection::Modules => identity.module.is_some(),
            Collection::Jobs => false,
        };
        let rest = match after {
            None => self.entities.range::<Identity, _>(..),
            Some(after) => {
                self.entities.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            }
        };
        let rows = rest.filter(move |(identity, _)| is_row(identity));
        rows.map(|(identity, entity)| (identity, entity.twin_json()))
    }
}

impl Position {
    /// The position as an opaque token that is good for the query `text` only (A-Q15).
    fn token(&self, text: &str) -> String {
        let (device, module) = match &self.after {
            None => (None, None),
            Some(after) => (Some(&after.device), after.module.as_ref()),
        };
        let token = json!([fingerprint(text), self.rows, device, module]);
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn read(token: &str, text: &str) -> Option<Self> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (query, rows, device, module): (String, usize, Option<String>, Option<String>) =
            serde_json::from_slice(&token).ok()?;
        let after = device.map(|device| match module {
            Some(module) => Identity::module(device, module),
            None => Identity::device(device),
        });
        (query == fingerprint(text)).then_some(Self { rows, after })
    }
}

fn fingerprint(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// The text under `query`, in whatever case the member is written (QRY-003).
fn query_text(body: &Value) -> Result<String, Refusal> {
    let members = body.as_object().into_iter().flatten();
    let mut named = members.filter(|(name, _)| name.eq_ignore_ascii_case("query"));
    match named.next() {
        Some((_, Value::String(text))) => Ok(text.clone()),
        None | Some((_, Value::Null)) => {
            Err(Refusal::new(ErrorCode::ArgumentNull, "BadRequest: the query is missing"))
        }
        Some((_, other)) => Err(Refusal::invalid(format!(
            "query must be a string, found {}",
            crate::twin::kind(other)
        ))),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// How many rows a page has: what was asked for, within 1 and [`PAGE_MAX`] (A-Q16).
fn page_size(headers: &HeaderMap) -> Result<usize, Refusal> {
    let Some(text) = header(headers, &MAX_ITEM_COUNT) else { return Ok(PAGE_MAX) };
    let asked: i64 = text.trim().parse().map_err(|_| {
        Refusal::invalid(format!("x-ms-max-item-count must be a number, found {text:?}"))
    })?;
    Ok(usize::try_from(asked.max(1)).unwrap_or(PAGE_MAX).min(PAGE_MAX))
}
