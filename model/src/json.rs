//! Reading JSON the way the service does.
//!
//! `serde_json` is the reader; this module adds what it loses: an integer literal beyond 64 bits
//! silently becomes a fraction there, while the service's integer range must refuse it
//! (HUB-VALI-007).

use serde_json::Value;

use crate::error::{ErrorCode, Refusal};

/// Parses a request body.
///
/// # Errors
/// [`ErrorCode::IotHubFormatError`] for text that is not JSON, [`ErrorCode::ArgumentInvalid`] for
/// an integer literal that no 64-bit integer holds.
pub fn parse(text: &[u8]) -> Result<Value, Refusal> {
    let value = serde_json::from_slice(text).map_err(|error| {
        Refusal::new(ErrorCode::IotHubFormatError, format!("Cannot read the body as JSON: {error}"))
    })?;
    match oversized_integer(text) {
        None => Ok(value),
        Some(digits) => Err(Refusal::invalid(format!(
            "Integer value of Property or Tag is out of range: {digits}"
        ))),
    }
}

/// The first integer literal of 20 or more digits outside strings: more than 64 bits hold.
///
/// `text` must be valid JSON.
fn oversized_integer(text: &[u8]) -> Option<String> {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'"' => rest = after_string(tail),
            b'-' | b'0'..=b'9' => {
                let (literal, tail) = rest.split_at(literal_length(rest));
                if literal.len() > 19 && literal.iter().all(|b| *b == b'-' || b.is_ascii_digit()) {
                    let fits = std::str::from_utf8(literal).is_ok_and(|l| l.parse::<i64>().is_ok());
                    if !fits {
                        return Some(String::from_utf8_lossy(literal).into_owned());
                    }
                }
                rest = tail;
            }
            _ => rest = tail,
        }
    }
    None
}

fn literal_length(text: &[u8]) -> usize {
    let in_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    text.iter().position(|byte| !in_number(byte)).unwrap_or(text.len())
}

fn after_string(mut text: &[u8]) -> &[u8] {
    loop {
        match text {
            [] => return text,
            [b'"', tail @ ..] => return tail,
            [b'\\', _, tail @ ..] | [_, tail @ ..] => text = tail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_beyond_64_bits_are_refused_and_not_rounded() {
        let refusal = parse(br#"{"n":1234567890123456789012345}"#).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ArgumentInvalid);
        assert!(refusal.message.contains("1234567890123456789012345"));
    }

    #[test]
    fn long_digits_inside_strings_and_fractions_are_fine() {
        let text = br#"{"s\"1":"12345678901234567890123","f":1.2345678901234567890123,"e":1e20}"#;
        assert!(parse(text).is_ok());
    }

    #[test]
    fn nesting_of_ten_thousand_is_an_error_and_no_stack_overflow() {
        let text = "[".repeat(10_000);
        assert_eq!(parse(text.as_bytes()).unwrap_err().code, ErrorCode::IotHubFormatError);
    }

    #[test]
    fn lone_surrogates_are_refused() {
        assert!(parse(br#"{"s":"\ud800"}"#).is_err());
    }
}
