//! Makes what the service signs: root keys, signing keys, manifest signatures and root key packages.
//! And makes them wrong in one point, as a forger would.
//!
//! Nothing is verified here: that is the model's, with another library.

use std::fmt;
use std::io;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{Algorithm as DigestAlgorithm, SHA256, SHA384, SHA512, digest};
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Map, Value, json};
use twinspec_model::update::key::{PublicKey, RootKeys};

mod package;

pub use package::{PackageRecipe, SignedForm};

/// Size of the keys that are made by the process itself.
const BITS: usize = 2048;

/// An RSA key with its id.
pub struct KeyPair {
    id: String,
    private: RsaPrivateKey,
}

impl KeyPair {
    /// Makes a key of `bits` with the exponent 65537. Agents with fixed buffers take 3072 only.
    ///
    /// # Errors
    /// When the size is not possible.
    pub fn generate(id: impl Into<String>, bits: usize) -> io::Result<Self> {
        let private = RsaPrivateKey::new(&mut OsRng, bits).map_err(io::Error::other)?;
        Ok(Self { id: id.into(), private })
    }

    /// Reads a key that was kept, so that agents can be built with its public half: PKCS#8, PEM.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn from_pem(id: impl Into<String>, pem: &str) -> io::Result<Self> {
        let private = RsaPrivateKey::from_pkcs8_pem(pem).map_err(io::Error::other)?;
        Ok(Self { id: id.into(), private })
    }

    /// The key as PKCS#8, PEM.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_pem(&self) -> io::Result<String> {
        let pem = self.private.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
        Ok(pem.to_string())
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> Vec<u8> {
        self.private.n().to_bytes_be()
    }

    /// The public half; `None` when a number of it is 0.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        PublicKey::new(&self.modulus(), &self.private.e().to_bytes_be())
    }

    /// SHA-256 of the PKCS#1 `RSAPublicKey`: what root key packages disable.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn pkcs1_hash(&self) -> io::Result<Vec<u8>> {
        let der = self.private.to_public_key().to_pkcs1_der().map_err(io::Error::other)?;
        Ok(digest(&SHA256, der.as_bytes()).as_ref().to_vec())
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`: what must disable nothing.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn spki_hash(&self) -> io::Result<Vec<u8>> {
        let der = self.private.to_public_key().to_public_key_der().map_err(io::Error::other)?;
        Ok(digest(&SHA256, der.as_bytes()).as_ref().to_vec())
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// When the key is too small.
    pub fn sign(&self, scheme: Scheme, message: &[u8]) -> io::Result<Vec<u8>> {
        let (algorithm, prefix) = scheme.parts();
        let hash = digest(algorithm, message);
        if scheme == Scheme::TrailingData {
            return Ok(self.sign_loosely(prefix, hash.as_ref()));
        }
        let padding =
            Pkcs1v15Sign { hash_len: Some(hash.as_ref().len()), prefix: prefix.to_vec().into() };
        self.private.sign(padding, hash.as_ref()).map_err(io::Error::other)
    }

    /// PKCS#1 v1.5 with the shortest padding and data behind the hash: what a verifier accepts that
    /// only reads from the left.
    fn sign_loosely(&self, prefix: &[u8], hash: &[u8]) -> Vec<u8> {
        let size = self.private.size();
        let mut block = vec![0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 0];
        block.extend_from_slice(prefix);
        block.extend_from_slice(hash);
        block.resize(size, 0x5A);
        let number = BigUint::from_bytes_be(&block);
        let signature = number.modpow(self.private.d(), self.private.n()).to_bytes_be();
        let mut padded = vec![0; size.saturating_sub(signature.len())];
        padded.extend_from_slice(&signature);
        padded
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyPair").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSA PKCS#1 v1.5 with SHA-256: the right one.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RS256 with data behind the hash, inside the block.
    TrailingData,
}

impl Scheme {
    /// The hash, and what stands before it in the block: RFC 8017 § 9.2, note 1.
    fn parts(self) -> (&'static DigestAlgorithm, &'static [u8]) {
        match self {
            Self::Rs256 | Self::TrailingData => (
                &SHA256,
                b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            ),
            Self::Rs384 => (
                &SHA384,
                b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
            ),
            Self::Rs512 => (
                &SHA512,
                b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
            ),
        }
    }

    /// Its name in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 | Self::TrailingData => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }
}

/// Everything a service signs with, and a stranger's key.
#[derive(Debug)]
pub struct Authority {
    /// The root keys that the agent knows: the first signs, the second is the spare.
    pub roots: [KeyPair; 2],
    /// What signs manifests.
    pub signing: KeyPair,
    /// What nobody trusts.
    pub stranger: KeyPair,
}

impl Authority {
    /// Makes all keys anew. Takes seconds.
    ///
    /// # Errors
    /// When the size is not possible.
    pub fn generate(bits: usize) -> io::Result<Self> {
        Ok(Self {
            roots: [
                KeyPair::generate("twinspec.root.1", bits)?,
                KeyPair::generate("twinspec.root.2", bits)?,
            ],
            signing: KeyPair::generate("twinspec.signing.1", bits)?,
            stranger: KeyPair::generate("twinspec.stranger", bits)?,
        })
    }

    /// The keys of this process, made when they are first asked for.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn shared() -> io::Result<&'static Self> {
        static SHARED: OnceLock<Result<Authority, String>> = OnceLock::new();
        let made = SHARED.get_or_init(|| Self::generate(BITS).map_err(|error| error.to_string()));
        made.as_ref().map_err(|error| io::Error::other(error.clone()))
    }

    /// The public halves of the root keys: what an agent is built with.
    #[must_use]
    pub fn root_keys(&self) -> RootKeys {
        let keys = self.roots.iter();
        keys.filter_map(|key| Some((key.id().to_owned(), key.public_key()?))).collect()
    }

    /// Signs a manifest as the service does.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn sign(&self, manifest: &str) -> io::Result<String> {
        self.recipe().make(manifest)
    }

    /// Signs a manifest wrongly.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn forge(&self, manifest: &str, forgery: Forgery) -> io::Result<String> {
        forgery.make(self, manifest)
    }

    /// What makes a right signature, to be changed.
    #[must_use]
    pub fn recipe(&self) -> SignatureRecipe<'_> {
        let [root, _] = &self.roots;
        SignatureRecipe {
            root,
            root_id: root.id().to_owned(),
            named: &self.signing,
            signer: &self.signing,
            base64: Base64::Standard,
            header: json!({ "alg": "RS256" }),
            key_header: json!({ "alg": "RS256" }),
            scheme: Scheme::Rs256,
            key_scheme: Scheme::Rs256,
            payload: None,
        }
    }

    /// What makes a right root key package of this version, to be changed.
    #[must_use]
    pub fn package(&self, version: u64) -> PackageRecipe<'_> {
        PackageRecipe::new(&self.roots, version)
    }
}

/// How a number is written in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64 {
    /// Standard base64, as in genuine signatures.
    Standard,
    /// base64url without padding, as everywhere else.
    Url,
}

impl Base64 {
    /// Writes `bytes`.
    #[must_use]
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Standard => STANDARD.encode(bytes),
            Self::Url => URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

/// What a manifest signature is made of. As [`Authority::recipe`] gives it, it is right.
#[derive(Clone, Debug)]
pub struct SignatureRecipe<'a> {
    /// What signs the signing key.
    pub root: &'a KeyPair,
    /// What the nested header says signed it.
    pub root_id: String,
    /// The key that is named as signing key.
    pub named: &'a KeyPair,
    /// The key that signs the manifest.
    pub signer: &'a KeyPair,
    /// How the modulus of the signing key is written.
    pub base64: Base64,
    /// The header but for `sjwk`; an object.
    pub header: Value,
    /// The nested header but for `kid`; an object.
    pub key_header: Value,
    /// How the manifest is signed.
    pub scheme: Scheme,
    /// How the signing key is signed.
    pub key_scheme: Scheme,
    /// The payload, when it is not the hash of the manifest.
    pub payload: Option<Value>,
}

impl SignatureRecipe<'_> {
    /// Makes the signature.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn make(&self, manifest: &str) -> io::Result<String> {
        let header = with(&self.header, "sjwk", self.nested_key()?);
        let payload = self.payload.clone().unwrap_or_else(
            || json!({ "sha256": STANDARD.encode(digest(&SHA256, manifest.as_bytes())) }),
        );
        jws(&header, &payload, self.signer, self.scheme)
    }

    /// The signing key, signed by the root key.
    ///
    /// # Errors
    /// When the root key cannot sign.
    pub fn nested_key(&self) -> io::Result<String> {
        let header = with(&self.key_header, "kid", self.root_id.clone());
        let exponent = self.named.private.e().to_bytes_be();
        let payload = json!({
            "kty": "RSA",
            "n": self.base64.encode(&self.named.modulus()),
            "e": URL_SAFE_NO_PAD.encode(exponent),
            "alg": "RS256",
            "kid": self.named.id(),
        });
        jws(&header, &payload, self.root, self.key_scheme)
    }
}

/// `object` with one more member.
fn with(object: &Value, name: &str, value: String) -> Value {
    let mut members: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
    members.insert(name.to_owned(), Value::String(value));
    Value::Object(members)
}

/// A compact JWS.
///
/// # Errors
/// When the key cannot sign.
pub fn jws(header: &Value, payload: &Value, key: &KeyPair, scheme: Scheme) -> io::Result<String> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(payload));
    let signature = key.sign(scheme, signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The block inside an RSA signature, from the public numbers of its key, big-endian: what a verifier
/// looks at. `None` when the key has a number 0.
#[must_use]
pub fn block(modulus: &[u8], exponent: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let [modulus, exponent, signature] = [modulus, exponent, signature].map(BigUint::from_bytes_be);
    if modulus == BigUint::default() || exponent == BigUint::default() {
        return None;
    }
    Some(signature.modpow(&exponent, &modulus).to_bytes_be())
}

/// A signature that is wrong in one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Made by a key that the root key did not sign.
    WrongSigner,
    /// The signing key was signed by another key than the root key it names.
    WrongRoot,
    /// The signing key is under a root key that nobody knows.
    UnknownRoot,
    /// Made for another manifest.
    OtherManifest,
    /// One bit of the signature differs.
    BentSignature,
    /// One bit of the payload differs.
    BentPayload,
    /// One bit of the root key's signature differs.
    BentKeySignature,
    /// The last part is missing.
    TwoParts,
    /// There is a part too many.
    FourParts,
    /// `alg` is "none", and there is a signature all the same.
    AlgorithmNone,
    /// `alg` is "HS256".
    AlgorithmHs256,
    /// There is no `alg`, and the signature is right.
    NoAlgorithm,
    /// The `alg` of the signing key's signature is "none", and there is a right one all the same.
    KeyAlgorithmNone,
    /// Made with SHA-384, and says so.
    Rs384,
    /// Made with SHA-512, and says so.
    Rs512,
    /// The signing key was signed with SHA-512, and says so.
    KeyRs512,
    /// The header names no signing key.
    NoNestedKey,
    /// The nested header names no root key.
    NoRootId,
    /// The payload holds no hash.
    NoHash,
    /// The hash in the payload is one byte short.
    ShortHash,
    /// There is data behind the hash in the RSA block.
    TrailingData,
    /// The same in the root key's signature.
    KeyTrailingData,
}

impl Forgery {
    /// Every forgery.
    pub const ALL: [Self; 22] = [
        Self::WrongSigner,
        Self::WrongRoot,
        Self::UnknownRoot,
        Self::OtherManifest,
        Self::BentSignature,
        Self::BentPayload,
        Self::BentKeySignature,
        Self::TwoParts,
        Self::FourParts,
        Self::AlgorithmNone,
        Self::AlgorithmHs256,
        Self::NoAlgorithm,
        Self::KeyAlgorithmNone,
        Self::Rs384,
        Self::Rs512,
        Self::KeyRs512,
        Self::NoNestedKey,
        Self::NoRootId,
        Self::NoHash,
        Self::ShortHash,
        Self::TrailingData,
        Self::KeyTrailingData,
    ];

    fn make(self, authority: &Authority, manifest: &str) -> io::Result<String> {
        let mut recipe = authority.recipe();
        let algorithm = |name: &str| json!({ "alg": name });
        match self {
            Self::WrongSigner => recipe.signer = &authority.stranger,
            Self::WrongRoot => recipe.root = &authority.stranger,
            Self::UnknownRoot => {
                recipe.root = &authority.stranger;
                authority.stranger.id().clone_into(&mut recipe.root_id);
            }
            Self::OtherManifest => return recipe.make(&format!("{manifest} ")),
            Self::BentSignature => return bent(&recipe.make(manifest)?, 2),
            Self::BentPayload => return bent(&recipe.make(manifest)?, 1),
            Self::BentKeySignature => return bent_key(&recipe, manifest),
            Self::TwoParts => {
                let made = recipe.make(manifest)?;
                return Ok(made.rsplit_once('.').map(|(kept, _)| kept.to_owned()).unwrap_or(made));
            }
            Self::FourParts => return Ok(format!("{}.AAAA", recipe.make(manifest)?)),
            Self::AlgorithmNone => recipe.header = algorithm("none"),
            Self::AlgorithmHs256 => recipe.header = algorithm("HS256"),
            Self::NoAlgorithm => recipe.header = json!({}),
            Self::KeyAlgorithmNone => recipe.key_header = algorithm("none"),
            Self::Rs384 => {
                recipe.header = algorithm("RS384");
                recipe.scheme = Scheme::Rs384;
            }
            Self::Rs512 => {
                recipe.header = algorithm("RS512");
                recipe.scheme = Scheme::Rs512;
            }
            Self::KeyRs512 => {
                recipe.key_header = algorithm("RS512");
                recipe.key_scheme = Scheme::Rs512;
            }
            Self::NoNestedKey => return without_nested_key(&recipe, manifest),
            Self::NoRootId => return without_root_id(&recipe, manifest),
            Self::NoHash => recipe.payload = Some(json!({})),
            Self::ShortHash => {
                recipe.payload = Some(json!({ "sha256": STANDARD.encode([7; 31]) }));
            }
            Self::TrailingData => recipe.scheme = Scheme::TrailingData,
            Self::KeyTrailingData => recipe.key_scheme = Scheme::TrailingData,
        }
        recipe.make(manifest)
    }
}

/// Changes one bit of a part's bytes.
fn bent(jws: &str, part: usize) -> io::Result<String> {
    let mut parts: Vec<String> = jws.split('.').map(str::to_owned).collect();
    if let Some(text) = parts.get_mut(part) {
        let mut bytes = URL_SAFE_NO_PAD.decode(&*text).map_err(io::Error::other)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        *text = URL_SAFE_NO_PAD.encode(bytes);
    }
    Ok(parts.join("."))
}

fn bent_key(recipe: &SignatureRecipe<'_>, manifest: &str) -> io::Result<String> {
    let header = with(&recipe.header, "sjwk", bent(&recipe.nested_key()?, 2)?);
    jws(&header, &hash(manifest), recipe.signer, recipe.scheme)
}

fn without_nested_key(recipe: &SignatureRecipe<'_>, manifest: &str) -> io::Result<String> {
    jws(&recipe.header, &hash(manifest), recipe.signer, recipe.scheme)
}

fn without_root_id(recipe: &SignatureRecipe<'_>, manifest: &str) -> io::Result<String> {
    let payload = json!({
        "kty": "RSA",
        "n": STANDARD.encode(recipe.named.modulus()),
        "e": "AQAB",
    });
    let nested = jws(&recipe.key_header, &payload, recipe.root, recipe.key_scheme)?;
    let header = with(&recipe.header, "sjwk", nested);
    jws(&header, &hash(manifest), recipe.signer, recipe.scheme)
}

fn hash(manifest: &str) -> Value {
    json!({ "sha256": STANDARD.encode(digest(&SHA256, manifest.as_bytes())) })
}

#[cfg(test)]
mod tests;
