//! The root keys that an agent is built with, read from a file.

use std::io;
use std::path::Path;

use serde_json::Value;
use twinspec_model::update::key::{PublicKey, RootKeys};

/// Reads root keys: the member `rootKeys` of a root key package, or a whole package.
///
/// # Errors
/// When the file cannot be read or a key in it cannot be used; the message names file and key.
pub fn read_root_keys(path: &Path) -> io::Result<RootKeys> {
    let problem = |what: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
    };
    let text = std::fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))?;
    let keys = value.pointer("/protected/rootKeys").unwrap_or(&value);
    let expected =
        "expected {\"<kid>\": {\"keyType\": \"RSA\", \"n\": \"<base64url>\", \"e\": 65537}}";
    let keys = keys.as_object().ok_or_else(|| problem(expected.to_owned()))?;
    let key = |(id, member): (&String, &Value)| {
        let key = public_key(member).ok_or_else(|| problem(format!("{id:?}: {expected}")))?;
        Ok((id.clone(), key))
    };
    keys.iter().map(key).collect()
}

fn public_key(member: &Value) -> Option<PublicKey> {
    let modulus = member.get("n")?.as_str()?;
    // The number 65537 in genuine packages; newer descriptions write it as text.
    let exponent = match member.get("e")? {
        Value::Number(number) if number.as_u64() == Some(65537) => "AQAB",
        Value::String(text) if text == "65537" => "AQAB",
        Value::String(text) => text,
        _ => return None,
    };
    PublicKey::from_base64(modulus, exponent)
}
