//! `updateManifestSignature`: a JWS by a signing key, which a root key signed in turn
//! (device-update-manifests.md § 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::flaw::{Document, Flaw, Reason};
use super::key::{PublicKey, RootKeys, Sha256Hash, any_base64, base64url};
use super::root_key::Package;

/// The one algorithm; its name is compared with case (A-D14).
const ALGORITHM: &str = "RS256";

/// The one exponent of signing keys.
const EXPONENT: &str = "AQAB";

/// What an agent trusts.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The root keys it was built with.
    pub roots: &'a RootKeys,
    /// The root key package it stored.
    pub store: Store<'a>,
}

/// The stored root key package.
#[derive(Clone, Copy, Debug)]
pub enum Store<'a> {
    /// None was ever stored, or the agent is of interface 1 and knows none.
    Empty,
    /// There is one, and it cannot be read.
    Unreadable,
    /// This one, verified when it was stored.
    Package(&'a Package),
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Id of the root key.
    pub root: String,
    /// The signing key.
    pub key: PublicKey,
}

/// Verifies that `signature` is a signature of `manifest`: the text in the twin, JSON escapes
/// undone. Members that are absent, null or no string are `None`.
///
/// The checks come in the order of C agents (device-update-manifests.md § 3.1).
///
/// # Errors
/// The first check that fails.
pub fn verify(
    manifest: Option<&str>,
    signature: Option<&str>,
    trust: &Trust<'_>,
) -> Result<Signer, Flaw> {
    let signature = signature.ok_or_else(|| {
        flaw(Reason::NoText, "", "updateManifestSignature is absent, null or no string")
    })?;
    let outer = Jws::split(signature, "")?;
    let header = outer.header("header")?;
    let nested = text_member(&header, "sjwk", "header")?;
    let signer = signing_key(nested, trust)?;
    outer.verify(&header, &signer.key, "", Reason::Signature)?;
    let expected = payload_hash(&outer)?;
    let manifest = manifest
        .ok_or_else(|| flaw(Reason::NoText, "", "updateManifest is absent, null or no string"))?;
    if <Sha256Hash>::from(Sha256::digest(manifest)) != expected {
        let message = "the signature is for a manifest of another SHA-256";
        return Err(flaw(Reason::HashMismatch, "payload.sha256", message));
    }
    Ok(signer)
}

/// Steps 3 to 5: the root key, its signature of the signing key, and whether that is disabled.
fn signing_key(nested: &str, trust: &Trust<'_>) -> Result<Signer, Flaw> {
    let inner = Jws::split(nested, "sjwk")?;
    let header = inner.header("sjwk.header")?;
    let id = text_member(&header, "kid", "sjwk.header")?;
    let root = root_key(id, trust)?;
    inner.verify(&header, root, "sjwk", Reason::KeySignature)?;
    let key = read_key(&inner)?;
    let disabled = match trust.store {
        Store::Package(package) => package.disables_signing_key(&key),
        Store::Empty | Store::Unreadable => false,
    };
    if disabled {
        let message = "the root key package disables this signing key";
        return Err(flaw(Reason::SigningKeyDisabled, "sjwk.payload", message));
    }
    Ok(Signer { root: id.to_owned(), key })
}

/// The root key called `id`: built in, else stored; never one that is disabled.
fn root_key<'a>(id: &str, trust: &Trust<'a>) -> Result<&'a PublicKey, Flaw> {
    let place = "sjwk.header.kid";
    let stored = match trust.store {
        Store::Unreadable => {
            let message = "the stored root key package cannot be read";
            return Err(flaw(Reason::StoreUnreadable, place, message));
        }
        Store::Empty => None,
        Store::Package(package) if package.disables_root_key(id) => {
            let message = format!("the root key package disables the root key {id:?}");
            return Err(flaw(Reason::RootKeyDisabled, place, message));
        }
        Store::Package(package) => package.root_key(id),
    };
    trust.roots.get(id).or(stored).ok_or_else(|| {
        let known: Vec<&str> = trust.roots.iter().map(|(id, _)| id).collect();
        let message = format!("is {id:?}, built in are {}", known.join(", "));
        flaw(Reason::RootKeyUnknown, place, message)
    })
}

/// The signing key in the payload of the nested JWS.
fn read_key(inner: &Jws<'_>) -> Result<PublicKey, Flaw> {
    let refused = |message: &str| flaw(Reason::KeyPayload, "sjwk.payload", message);
    let jwk = inner.payload().ok_or_else(|| refused("is no base64url of a JSON object"))?;
    let member = |name| jwk.get(name).and_then(Value::as_str);
    if member("kty") != Some("RSA") {
        return Err(refused("kty is not \"RSA\""));
    }
    if member("e") != Some(EXPONENT) {
        return Err(refused("e is not \"AQAB\""));
    }
    let modulus = member("n").ok_or_else(|| refused("n is missing or no string"))?;
    PublicKey::from_base64(modulus, EXPONENT).ok_or_else(|| refused("n is no base64"))
}

/// The hash in the payload of the outer JWS.
fn payload_hash(outer: &Jws<'_>) -> Result<Sha256Hash, Flaw> {
    let refused = |place: &str, message: &str| flaw(Reason::Payload, place, message);
    let payload =
        outer.payload().ok_or_else(|| refused("payload", "is no base64url of a JSON object"))?;
    let place = "payload.sha256";
    let text = payload.get("sha256").and_then(Value::as_str);
    let text = text.ok_or_else(|| refused(place, "is missing or no string"))?;
    let bytes = STANDARD.decode(text).unwrap_or_default();
    bytes.try_into().map_err(|_| refused(place, "is not standard base64 of 32 bytes"))
}

fn flaw(reason: Reason, place: &str, message: impl Into<String>) -> Flaw {
    Flaw::new(Document::Signature, reason, place, message)
}

fn text_member<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    place: &str,
) -> Result<&'a str, Flaw> {
    let text = object.get(name).and_then(Value::as_str);
    text.ok_or_else(|| {
        flaw(Reason::HeaderMember, &format!("{place}.{name}"), "is missing or no string")
    })
}

/// A compact JWS, split.
struct Jws<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header, dot and payload: what is signed.
    signed: &'a str,
}

impl<'a> Jws<'a> {
    fn split(text: &'a str, place: &str) -> Result<Self, Flaw> {
        let count = text.split('.').count();
        let message = format!("has {count} parts, allowed are 3, none of them empty");
        let refused = || flaw(Reason::Structure, place, message);
        let Some((signed, signature)) = text.rsplit_once('.') else {
            return Err(refused());
        };
        match signed.split_once('.') {
            Some((header, payload))
                if count == 3
                    && !header.is_empty()
                    && !payload.is_empty()
                    && !signature.is_empty() =>
            {
                Ok(Self { header, payload, signature, signed })
            }
            _ => Err(refused()),
        }
    }

    fn header(&self, place: &str) -> Result<Map<String, Value>, Flaw> {
        object(self.header)
            .ok_or_else(|| flaw(Reason::Header, place, "is no base64url of a JSON object"))
    }

    fn payload(&self) -> Option<Map<String, Value>> {
        object(self.payload)
    }

    fn verify(
        &self,
        header: &Map<String, Value>,
        key: &PublicKey,
        place: &str,
        reason: Reason,
    ) -> Result<(), Flaw> {
        let below = |name: &str| {
            if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
        };
        let algorithm = header.get("alg").and_then(Value::as_str);
        if algorithm != Some(ALGORITHM) {
            let seen = algorithm.map_or("no string".to_owned(), |seen| format!("{seen:?}"));
            let message = format!("is {seen}, allowed is {ALGORITHM:?}");
            return Err(flaw(Reason::Algorithm, &below("header.alg"), message));
        }
        let is_good = base64url(self.signature)
            .is_some_and(|signature| key.verifies(self.signed.as_bytes(), &signature));
        if is_good {
            return Ok(());
        }
        Err(flaw(reason, &below("signature"), "was not made by the key it must be made by"))
    }
}

/// A JSON object in base64url.
fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&base64url(text)?).ok()
}

/// A hash in a list of disabled keys: 32 bytes in any form of base64.
pub(super) fn listed_hash(text: &str) -> Option<Sha256Hash> {
    any_base64(text)?.try_into().ok()
}
