//! Percent-encoding as the service uses it: no `+` for blanks, unreserved characters left alone.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `text` with every reserved character escaped, in upper-case hex.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `text` with its escapes resolved once; `None` when the result is not UTF-8.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The `key=value` pairs of a query or property bag, decoded, in order.
///
/// A pair without `=` has no value. `None` when an escape does not decode.
#[must_use]
pub fn decode_pairs(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((key, value)) => Some((decode(key)?, Some(decode(value)?))),
        None => Some((decode(pair)?, None)),
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}
