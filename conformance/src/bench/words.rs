//! Values in findings, in the words of people: no `Some(…)`, no names of types.

use std::fmt::Debug;
use std::iter::Peekable;
use std::str::Chars;

/// `value` in people's words: `none` for what is missing, the content alone of what only wraps it,
/// `at most once` for `AtMostOnce`. Text keeps its quotes.
#[must_use]
pub fn words(value: &(impl Debug + ?Sized)) -> String {
    let text = format!("{value:?}");
    let mut characters = text.chars().peekable();
    let mut words = String::with_capacity(text.len());
    // For each open parenthesis, whether it belongs to a wrapper.
    let mut wrappers = Vec::new();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted(&mut characters, &mut words),
            '(' => {
                wrappers.push(false);
                words.push('(');
            }
            ')' => {
                if !wrappers.pop().unwrap_or(false) {
                    words.push(')');
                }
            }
            letter if letter.is_ascii_uppercase() && starts_name(&words) => {
                let name = name(letter, &mut characters);
                if characters.next_if_eq(&'(').is_some() {
                    wrappers.push(true);
                } else if !opens_list(&mut characters) {
                    words.push_str(&spaced(&name));
                }
            }
            other => words.push(other),
        }
    }
    words
}

/// Copies text up to its closing quote.
fn quoted(characters: &mut Peekable<Chars<'_>>, words: &mut String) {
    words.push('"');
    while let Some(character) = characters.next() {
        words.push(character);
        match character {
            '\\' => words.extend(characters.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Whether a name can start after `words`: not within one, such as a number's exponent.
fn starts_name(words: &str) -> bool {
    !words.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | '.' | '-'))
}

fn name(first: char, characters: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::from(first);
    while let Some(next) = characters.next_if(|next| next.is_alphanumeric() || *next == '_') {
        name.push(next);
    }
    name
}

/// Whether a name is that of a map or list, whose bracket follows after a blank.
fn opens_list(characters: &mut Peekable<Chars<'_>>) -> bool {
    let mut ahead = characters.clone();
    let opens = ahead.next() == Some(' ') && matches!(ahead.next(), Some('{' | '['));
    if opens {
        characters.next();
    }
    opens
}

/// `AtMostOnce` as `at most once`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use twinspec_model::wire::mqtt::Qos;

    use super::*;

    #[test]
    fn values_are_said_in_words() {
        for (said, expected) in [
            (words(&None::<u8>), "none"),
            (words(&Some(3)), "3"),
            (words(&Some("Some(3) said \"None\"")), r#""Some(3) said \"None\"""#),
            (words(&vec![Some(Qos::AtMostOnce), None]), "[at most once, none]"),
            (words(&(1, Some("a"))), r#"(1, "a")"#),
            (words(&Some((1, Some(2)))), "(1, 2)"),
            (words(&json!({ "a": [1, null, true, "B(c)"] })), r#"{"a": [1, null, true, "B(c)"]}"#),
            (words(&Some(&json!(null))), "null"),
            (words(&1.5e300), "1.5e300"),
            (words(&-7), "-7"),
            (words(&Duration::from_millis(1500)), "1.5s"),
        ] {
            assert_eq!(said, expected);
        }
    }
}
