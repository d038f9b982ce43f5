//! Keys and signatures of a run (device-update-manifests.md § 3 to 5), and every way to forge them.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use twinspec_harness::key::SigningKey;

/// Bits of a key; the genuine ones have 3072, which take longer to make.
const BITS: usize = 2048;

/// The exponent as JWK writes it.
const EXPONENT: &str = "AQAB";

/// The keys of a run: what the agent trusts, what signs, and what a stranger has.
pub struct Keys {
    /// The two roots that the agent under test is given.
    pub roots: [Root; 2],
    /// Signs manifests.
    pub signer: SigningKey,
    /// Signs manifests too.
    pub other_signer: SigningKey,
    /// A root that the agent was never given.
    pub stranger: Root,
}

/// A root key with its name.
pub struct Root {
    /// Key id.
    pub kid: String,
    /// The key.
    pub key: SigningKey,
}

impl Keys {
    /// New keys.
    ///
    /// # Errors
    /// When none can be made.
    pub fn new() -> io::Result<Self> {
        let root = |kid: &str| {
            Ok::<_, io::Error>(Root { kid: kid.to_owned(), key: SigningKey::generate(BITS)? })
        };
        Ok(Self {
            roots: [root("TWINSPEC.A.R")?, root("TWINSPEC.B.R")?],
            signer: SigningKey::generate(BITS)?,
            other_signer: SigningKey::generate(BITS)?,
            stranger: root("TWINSPEC.X.R")?,
        })
    }

    /// The member `rootKeys` of a package, for the agent to be given.
    #[must_use]
    pub fn root_keys(&self) -> Value {
        let keys = self.roots.iter().map(|root| (root.kid.clone(), root_key(&root.key)));
        Value::Object(keys.collect::<Map<_, _>>())
    }
}

fn root_key(key: &SigningKey) -> Value {
    json!({ "keyType": "RSA", "n": url(key.modulus()), "e": 65537 })
}

/// base64url without padding.
#[must_use]
pub fn url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Standard base64.
#[must_use]
pub fn standard(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The parts of a manifest's signature; a case may change any of them before it is made.
#[derive(Clone)]
pub struct Signature<'a> {
    /// Header of the outer JWS; `sjwk` is added.
    pub header: Value,
    /// Payload of the outer JWS.
    pub payload: Value,
    /// Header of the nested JWS.
    pub nested_header: Value,
    /// Payload of the nested JWS: the signing key.
    pub nested_payload: Value,
    /// Signs the outer JWS.
    pub signer: &'a SigningKey,
    /// Signs the nested JWS.
    pub root: &'a SigningKey,
}

impl<'a> Signature<'a> {
    /// The right signature of `manifest` by the first root.
    #[must_use]
    pub fn of(manifest: &str, keys: &'a Keys) -> Self {
        let [root, _] = &keys.roots;
        Self {
            header: json!({ "alg": "RS256" }),
            payload: json!({ "sha256": standard(sha256(manifest)) }),
            nested_header: json!({ "alg": "RS256", "kid": root.kid }),
            nested_payload: jwk(&keys.signer, &standard(keys.signer.modulus())),
            signer: &keys.signer,
            root: &root.key,
        }
    }

    /// The same under another root.
    #[must_use]
    pub fn under(mut self, root: &'a Root) -> Self {
        self.nested_header = json!({ "alg": "RS256", "kid": root.kid });
        self.root = &root.key;
        self
    }

    /// The same by another signing key.
    #[must_use]
    pub fn by(mut self, signer: &'a SigningKey) -> Self {
        self.nested_payload = jwk(signer, &standard(signer.modulus()));
        self.signer = signer;
        self
    }

    /// The nested JWS.
    ///
    /// # Errors
    /// When nothing can be signed.
    pub fn nested(&self) -> io::Result<String> {
        jws(&self.nested_header, &self.nested_payload, self.root)
    }

    /// The compact JWS.
    ///
    /// # Errors
    /// When nothing can be signed.
    pub fn compact(&self) -> io::Result<String> {
        self.compact_with(&self.nested()?)
    }

    /// The compact JWS around any nested one.
    ///
    /// # Errors
    /// When nothing can be signed.
    pub fn compact_with(&self, nested: &str) -> io::Result<String> {
        let mut header = self.header.clone();
        if let Some(members) = header.as_object_mut() {
            members.insert("sjwk".to_owned(), json!(nested));
        }
        jws(&header, &self.payload, self.signer)
    }
}

/// A signing key as JWK, its modulus in the given text.
#[must_use]
pub fn jwk(_: &SigningKey, modulus: &str) -> Value {
    json!({ "kty": "RSA", "n": modulus, "e": EXPONENT, "alg": "RS256", "kid": "TWINSPEC.S" })
}

/// `header.payload.signature`.
///
/// # Errors
/// When nothing can be signed.
pub fn jws(header: &Value, payload: &Value, key: &SigningKey) -> io::Result<String> {
    let signed = format!("{}.{}", url(header.to_string()), url(payload.to_string()));
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", url(signature)))
}

/// A root key package; a case may change any part before it is made.
#[derive(Clone)]
pub struct Package {
    /// `version`.
    pub version: u64,
    /// `published`.
    pub published: u64,
    /// `isTest`.
    pub is_test: bool,
    /// `disabledRootKeys`.
    pub disabled_roots: Vec<String>,
    /// `disabledSigningKeys`.
    pub disabled_signers: Vec<Value>,
}

impl Default for Package {
    fn default() -> Self {
        Self {
            version: 7,
            published: 1_700_000_007,
            is_test: false,
            disabled_roots: Vec::new(),
            disabled_signers: Vec::new(),
        }
    }
}

impl Package {
    /// The text of `protected`, in the member order of genuine packages.
    #[must_use]
    pub fn protected(&self, keys: &Keys) -> String {
        let list = |values: &[Value]| Value::Array(values.to_vec()).to_string();
        let roots: Vec<Value> = self.disabled_roots.iter().map(|kid| json!(kid)).collect();
        let keys: Vec<String> = keys
            .roots
            .iter()
            .map(|root| format!("{}:{}", json!(root.kid), root_key(&root.key)))
            .collect();
        format!(
            "{{\"isTest\":{},\"version\":{},\"published\":{},\"disabledRootKeys\":{},\
             \"disabledSigningKeys\":{},\"rootKeys\":{{{}}}}}",
            self.is_test,
            self.version,
            self.published,
            list(&roots),
            list(&self.disabled_signers),
            keys.join(",")
        )
    }

    /// The package, signed by both roots.
    ///
    /// # Errors
    /// When nothing can be signed.
    pub fn signed(&self, keys: &Keys) -> io::Result<String> {
        let protected = self.protected(keys);
        Ok(enclose(&protected, &signatures(&protected, keys)?))
    }
}

/// The signatures of `protected` by both roots, in the order of the package.
///
/// # Errors
/// When nothing can be signed.
pub fn signatures(protected: &str, keys: &Keys) -> io::Result<Vec<Value>> {
    let sign = |root: &Root| signature(protected, &root.key);
    keys.roots.iter().map(sign).collect()
}

/// One signature of a package.
///
/// # Errors
/// When nothing can be signed.
pub fn signature(protected: &str, key: &SigningKey) -> io::Result<Value> {
    Ok(json!({ "alg": "RS256", "sig": url(key.sign(protected.as_bytes())?) }))
}

/// A package of its two parts.
#[must_use]
pub fn enclose(protected: &str, signatures: &[Value]) -> String {
    format!("{{\"protected\":{protected},\"signatures\":{}}}", json!(signatures))
}
