//! Family `twin-validation`: what a section takes.

use serde_json::{Map, Value, json};

use super::twin_stage::{Name, mode, refused, start, stored, write_text};
use super::{Input, number, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let section = Name::read(case)?;
    let before = match (case.get("stored"), case.get("stored_fill")) {
        (None, None) => json!({}),
        (Some(stored), None) => stored.clone(),
        (None, Some(fill)) => filled(fill)?,
        (Some(_), Some(_)) => return Err("stored and stored_fill exclude each other".to_owned()),
    };
    let mut twin = stored(section, &before)?;
    let written = write_text(&mut twin, section, mode(case)?, &body(case)?, start());
    Ok(match written {
        Ok(_) => json!({ "accepted": true }),
        Err(refusal) => refused(&refusal),
    })
}

/// The body of a case as JSON text, in whichever form it is given.
fn body(case: &Value) -> Result<String, String> {
    if let Some(body) = case.get("body") {
        return Ok(body.to_string());
    }
    if case.get("text").is_some() {
        return text(case, "text").map(str::to_owned);
    }
    if let Some(fill) = case.get("fill") {
        return filled(fill).map(|body| body.to_string());
    }
    let depth = number(case, "depth")?;
    Ok(nested(depth).to_string())
}

/// `count` members of `length` equal characters each.
fn filled(fill: &Value) -> Result<Value, String> {
    let prefix = text(fill, "prefix")?;
    let length = usize::try_from(number(fill, "length")?).map_err(|error| error.to_string())?;
    let value = text(fill, "character")?.repeat(length);
    let member = |index| (format!("{prefix}{index}"), Value::from(value.clone()));
    Ok(Value::Object((0..number(fill, "count")?).map(member).collect::<Map<_, _>>()))
}

/// `depth` objects below the section's root, a scalar at the end.
fn nested(depth: u64) -> Value {
    (0..depth).fold(json!({ "leaf": 1 }), |inner, _| json!({ "n": inner }))
}

/// Depths around the limit, and every kind of forbidden character in every section.
pub(super) fn inputs() -> Vec<Input> {
    let input = |title: String, requirement, section: &str, body: (&'static str, Value)| Input {
        title,
        requirements: vec![requirement],
        members: vec![("section", json!(section)), ("operation", json!("patch")), body],
    };
    let mut inputs = Vec::new();
    for section in ["desired", "reported", "tags"] {
        for depth in [1, 9, 10, 11, 12, 40] {
            let title = format!("{depth} nested objects in {section}.");
            let requirement = if depth <= 10 { "HUB-VALI-008" } else { "HUB-VALI-009" };
            inputs.push(input(title, requirement, section, ("depth", json!(depth))));
        }
        for (name, key) in [("a full stop", "a.b"), ("a dollar sign", "a$b"), ("a space", "a b")] {
            let title = format!("A nested key with {name} in {section}.");
            let body = json!({ "outer": { key: 1 } });
            inputs.push(input(title, "HUB-VALI-001", section, ("body", body)));
        }
    }
    inputs
}
