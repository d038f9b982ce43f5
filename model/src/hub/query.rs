//! `POST /devices/query`: pages of a query's result (query.md § 8).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::service::Reply;
use super::twin::take;
use super::{Entity, Hub};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::query::ast::Expr;
use crate::query::{Collection, Query, Row};
use crate::time::Time;

/// How many rows a page asks for.
const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");

/// Where the next page begins.
pub(super) const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");

/// What the rows are.
pub(super) const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");

/// Rows a page has at most (query.md § 10).
const PAGE_MAX: usize = 100;

/// Rows that are fetched from memory at the same time; more do not fit the nearest cache.
const ROWS_AT_ONCE: usize = 64;

/// Names a row within its collection, in the order of the rows: device and module for twins, job
/// and device for rows of jobs.
pub(super) type Key<'a> = (&'a str, Option<&'a str>);

/// Where a page begins; clients carry it from page to page as text they do not read.
#[derive(Clone, Debug, Default, PartialEq)]
struct Position {
    /// Rows on the pages before.
    rows: usize,
    /// The first row that may be on the page; none where rows of the result stand for many.
    from: Option<(String, Option<String>)>,
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
        let size = page_size(headers, None)?;
        let begin = match header(headers, &CONTINUATION) {
            None | Some("") => Position::default(),
            Some(token) => Position::read(token, &text).ok_or_else(|| {
                Refusal::invalid("The continuation token does not belong to this query")
            })?,
        };
        let (rows, next) = match query.from {
            Collection::Devices => page(&query, &begin, size, self.twins(false, &begin)),
            Collection::Modules => page(&query, &begin, size, self.twins(true, &begin)),
            Collection::Jobs => {
                page(&query, &begin, size, self.jobs.rows_from(begin.from.as_ref()))
            }
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

    /// The devices that meet `condition`, all without one, in their order.
    pub(super) fn devices_that_match(&self, condition: Option<&Expr>) -> Vec<Identity> {
        let devices = self.entities.iter().filter(|(identity, _)| identity.module.is_none());
        let meets = |entity: &Entity| condition.is_none_or(|condition| condition.holds(entity));
        devices.filter(|(_, entity)| meets(entity)).map(|(identity, _)| identity.clone()).collect()
    }

    /// The twins of modules, or of devices, from the beginning of a page on.
    fn twins<'a>(
        &'a self,
        of_modules: bool,
        begin: &Position,
    ) -> impl Iterator<Item = (Key<'a>, &'a Entity)> + use<'a> {
        let rest = match begin.identity() {
            None => self.entities.range::<Identity, _>(..),
            Some(first) => self.entities.range(first..),
        };
        rest.filter(move |(identity, _)| identity.module.is_some() == of_modules).map(
            |(identity, entity)| ((identity.device.as_str(), identity.module.as_deref()), entity),
        )
    }
}

/// The page that begins at `begin`; `rows` begin there too.
fn page<'a, R: Row>(
    query: &Query,
    begin: &Position,
    size: usize,
    rows: impl Iterator<Item = (Key<'a>, R)>,
) -> Page {
    let rows = fetched(query, rows);
    if query.is_aggregate() {
        gathered_page(query, begin, size, rows.map(|(_, row)| row))
    } else {
        plain_page(query, begin, size, rows)
    }
}

/// The same rows, touched some at a time where `query` looks first: what scans a large fleet mostly
/// waits for memory.
fn fetched<'a, R: Row>(
    query: &Query,
    mut rows: impl Iterator<Item = (Key<'a>, R)>,
) -> impl Iterator<Item = (Key<'a>, R)> {
    let path = query.first_path().and_then(|path| path.segments.split_first());
    let chunks = std::iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(ROWS_AT_ONCE);
        chunk.extend(rows.by_ref().take(ROWS_AT_ONCE));
        if let Some((root, rest)) = path {
            for depth in 0..=rest.len() {
                let touch = |(_, row): &(Key<'a>, R)| row.touch(root, rest, depth);
                std::hint::black_box(chunk.iter().map(touch).fold(0, usize::wrapping_add));
            }
        }
        (!chunk.is_empty()).then_some(chunk)
    });
    chunks.flatten()
}

/// A page whose rows stand for one row of the collection each. The next page goes on with the row
/// that was found to match it: no row is looked at for two pages, and a fleet that changes between
/// them shows nothing twice.
fn plain_page<'a, R: Row>(
    query: &Query,
    begin: &Position,
    size: usize,
    rows: impl Iterator<Item = (Key<'a>, R)>,
) -> Page {
    let left = query.top_or_all().saturating_sub(begin.rows);
    let mut shown = Vec::new();
    if left == 0 {
        return (shown, None);
    }
    for ((name, second), row) in rows {
        if !query.matches(&row) {
            continue;
        }
        if shown.len() == size {
            let from = (name.to_owned(), second.map(str::to_owned));
            let rows = begin.rows.saturating_add(size);
            return (shown, Some(Position { rows, from: Some(from) }));
        }
        shown.push(query.project(&row));
        if shown.len() == left {
            break;
        }
    }
    (shown, None)
}

/// A page of rows that stand for many: all are gathered again, for the fleet may have changed.
fn gathered_page<R: Row>(
    query: &Query,
    begin: &Position,
    size: usize,
    rows: impl Iterator<Item = R>,
) -> Page {
    let mut rows = query.rows(rows).into_iter().skip(begin.rows);
    let page: Vec<Value> = rows.by_ref().take(size).collect();
    let next = Position { rows: begin.rows.saturating_add(page.len()), from: None };
    let has_more = rows.next().is_some();
    (page, has_more.then_some(next))
}

impl Position {
    /// The identity of the first row, where rows are twins.
    fn identity(&self) -> Option<Identity> {
        self.from.clone().map(|(device, module)| Identity { device, module })
    }

    /// The position as an opaque token that is good for the query `text` only (A-Q15).
    fn token(&self, text: &str) -> String {
        let token = json!([fingerprint(text), self.rows, self.from]);
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn read(token: &str, text: &str) -> Option<Self> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (query, rows, from) = serde_json::from_slice::<(String, _, _)>(&token).ok()?;
        (query == fingerprint(text)).then_some(Self { rows, from })
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

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// How many rows a page has: what the header or else the `parameter` asks for, within 1 and
/// [`PAGE_MAX`] however large or small the number is (A-Q16).
pub(super) fn page_size(headers: &HeaderMap, parameter: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = header(headers, &MAX_ITEM_COUNT).or(parameter) else { return Ok(PAGE_MAX) };
    let asked = text.trim();
    let (is_negative, digits) = match asked.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, asked.strip_prefix('+').unwrap_or(asked)),
    };
    if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(Refusal::invalid(format!(
            "x-ms-max-item-count must be a whole number, found {text:?}"
        )));
    }
    let number = digits.parse().unwrap_or(PAGE_MAX);
    Ok(if is_negative { 1 } else { number.clamp(1, PAGE_MAX) })
}
