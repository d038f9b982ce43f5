//! Root key packages, right ones and others.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{KeyPair, Scheme};

/// Which text of `protected` is signed where it holds a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedForm {
    /// Slashes as `\/`: what C agents write.
    Escaped,
    /// Slashes as they are.
    Plain,
}

/// What a root key package is made of. As [`super::Authority::package`] gives it, it is right.
#[derive(Clone, Debug)]
pub struct PackageRecipe<'a> {
    /// `isTest`; left out when `None`.
    pub is_test: Option<bool>,
    /// `version`.
    pub version: u64,
    /// `published`, seconds since 1970-01-01 UTC.
    pub published: u64,
    /// Ids of root keys that are to sign no more manifests.
    pub disabled_root_keys: Vec<String>,
    /// Texts of hashes of signing keys that are to sign no more manifests.
    pub disabled_signing_keys: Vec<String>,
    /// The root keys, in order.
    pub root_keys: Vec<&'a KeyPair>,
    /// What signs, in order: the name given to the algorithm, the algorithm, the key.
    pub signers: Vec<(&'a str, Scheme, &'a KeyPair)>,
    /// Members of `protected`, or `signatures`, that are left out.
    pub omitted: Vec<&'a str>,
    /// Which text is signed.
    pub form: SignedForm,
}

impl<'a> PackageRecipe<'a> {
    pub(super) fn new(roots: &'a [KeyPair], version: u64) -> Self {
        Self {
            is_test: None,
            version,
            published: 1_700_000_000,
            disabled_root_keys: Vec::new(),
            disabled_signing_keys: Vec::new(),
            root_keys: roots.iter().collect(),
            signers: roots.iter().map(|key| ("RS256", Scheme::Rs256, key)).collect(),
            omitted: Vec::new(),
            form: SignedForm::Escaped,
        }
    }

    /// Makes the package.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn make(&self) -> io::Result<String> {
        let plain = self.protected();
        // Between the members of JSON there is no slash, so this is the escaping of the strings.
        let escaped = plain.replace('/', "\\/");
        let signed = match self.form {
            SignedForm::Escaped => &escaped,
            SignedForm::Plain => &plain,
        };
        let mut signatures = Vec::new();
        for (name, scheme, key) in &self.signers {
            let signature = key.sign(*scheme, signed.as_bytes())?;
            signatures.push(json!({ "alg": name, "sig": URL_SAFE_NO_PAD.encode(signature) }));
        }
        if self.omitted.contains(&"signatures") {
            return Ok(format!(r#"{{"protected":{escaped}}}"#));
        }
        Ok(format!(r#"{{"protected":{escaped},"signatures":{}}}"#, Value::from(signatures)))
    }

    /// `protected`, its members in the order of genuine packages.
    fn protected(&self) -> String {
        let disabled: Vec<Value> = self
            .disabled_signing_keys
            .iter()
            .map(|hash| json!({ "alg": "SHA256", "hash": hash }))
            .collect();
        let root_keys: Vec<String> = self.root_keys.iter().map(|key| root_key(key)).collect();
        let members = [
            ("isTest", self.is_test.map(|flag| flag.to_string())),
            ("version", Some(self.version.to_string())),
            ("published", Some(self.published.to_string())),
            ("disabledRootKeys", Some(json!(self.disabled_root_keys).to_string())),
            ("disabledSigningKeys", Some(json!(disabled).to_string())),
            ("rootKeys", Some(format!("{{{}}}", root_keys.join(",")))),
        ];
        let kept = members.into_iter().filter(|(name, _)| !self.omitted.contains(name));
        let texts: Vec<String> =
            kept.filter_map(|(name, text)| Some(format!(r#""{name}":{}"#, text?))).collect();
        format!("{{{}}}", texts.join(","))
    }
}

fn root_key(key: &KeyPair) -> String {
    let modulus = URL_SAFE_NO_PAD.encode(key.modulus());
    format!(r#"{}:{{"keyType":"RSA","n":"{modulus}","e":65537}}"#, Value::from(key.id()))
}
