//! RSA public keys: reading, fingerprints, and the one signature scheme of the protocol.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Sha256Hash = [u8; 32];

/// An RSA public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Big-endian, without leading zeros.
    modulus: Vec<u8>,
    /// Big-endian, without leading zeros.
    exponent: Vec<u8>,
}

impl PublicKey {
    /// A key of big-endian numbers; `None` when one of them is 0.
    #[must_use]
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let trimmed = |bytes: &[u8]| {
            let first = bytes.iter().position(|byte| *byte != 0)?;
            bytes.get(first..).map(<[u8]>::to_vec)
        };
        Some(Self { modulus: trimmed(modulus)?, exponent: trimmed(exponent)? })
    }

    /// A key of texts in any form of base64; `None` when they are none.
    #[must_use]
    pub fn from_base64(modulus: &str, exponent: &str) -> Option<Self> {
        Self::new(&any_base64(modulus)?, &any_base64(exponent)?)
    }

    /// Whether `signature` is the key's RSA PKCS#1 v1.5 signature of the SHA-256 of `message`:
    /// RS256. Keys under 2048 bits sign nothing.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }

    /// SHA-256 of the PKCS#1 `RSAPublicKey` in DER: what `disabledSigningKeys` names
    /// (ADU-SIG-018).
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Hash {
        let numbers = [der_number(&self.modulus), der_number(&self.exponent)].concat();
        Sha256::digest(der(0x30, &numbers)).into()
    }

    /// SHA-256 of the modulus, big-endian without leading zeros.
    #[must_use]
    pub fn modulus_hash(&self) -> Sha256Hash {
        Sha256::digest(&self.modulus).into()
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        let unused = self.modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        (self.modulus.len() * 8).saturating_sub(unused)
    }
}

/// A positive number in DER.
fn der_number(bytes: &[u8]) -> Vec<u8> {
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let sign: &[u8] = if negative { &[0] } else { &[] };
    der(0x02, &[sign, bytes].concat())
}

/// A DER element.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut element = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => element.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
            let significant = bytes.get(first..).unwrap_or_default();
            element.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            element.extend_from_slice(significant);
        }
    }
    element.extend_from_slice(content);
    element
}

/// Decodes standard base64 or base64url, with or without padding; `None` for anything else.
pub(super) fn any_base64(text: &str) -> Option<Vec<u8>> {
    let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    engines.iter().find_map(|engine| engine.decode(text).ok())
}

/// Decodes base64url without padding; `None` for anything else.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Root keys by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootKeys(BTreeMap<String, PublicKey>);

impl RootKeys {
    /// No root key: nothing verifies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The two production root keys (device-update-manifests.md § 4).
    #[must_use]
    pub fn production() -> Self {
        let key = |(id, modulus): &(&str, &str)| {
            Some(((*id).to_owned(), PublicKey::from_base64(modulus, "AQAB")?))
        };
        Self(PRODUCTION.iter().filter_map(key).collect())
    }

    /// Adds a key, or replaces the one of this id.
    pub fn insert(&mut self, id: impl Into<String>, key: PublicKey) {
        self.0.insert(id.into(), key);
    }

    /// The key called `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.get(id)
    }

    /// All keys with their ids, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.0.iter().map(|(id, key)| (id.as_str(), key))
    }
}

impl FromIterator<(String, PublicKey)> for RootKeys {
    fn from_iter<I: IntoIterator<Item = (String, PublicKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// Ids and moduli of the production root keys, base64url; device-update-manifests.md § 4.
const PRODUCTION: &[(&str, &str)] = &[
    (
        "ADU.200702.R",
        concat!(
            "ANVCLq8RVKNQZYeiTVu6GvupMt_pmV8FRcivvTUdiegnJ1ijqO7FxR5P95KmEgZ9PX2wB_Ysf95tKvW8SbwV7_CB",
            "yz-ITycdiHEoYAi2GdLSOdAFHzx2hnG7WVi8sYh7q1YovzFzRDIQ_T3Tllz_Tlyza_-LhJuLgLhJ0H361kBYdk3A",
            "cid1y5ovm7SfDyXxHMUbC1owfS-476cmWFOv1R1VAVEN6RuiDz_X6R0gQabmFAqu_vIcKtbkBHv2FH7sD5eD-lj6",
            "gTYhuaMr-tlhCxqU98G-f0AUSsn6NX_vZnAAsf3b12ENO1h0Z5SJdXaWfJGH0o4Rl-57h2yaL0XYZT9ScJgqy8gE",
            "Y_XJR89w9O1kp3SlI4-27fcc07AcZFcSWqmBhB-g51AZlrSCsaxI4-EygstAH6zEWbwQNFGC-SiNqB6b9XlFdbLc",
            "mhFDCL5hzJrEy3c2_4PdqHFPUY4Oe036eZiNvvyCfkBIqRIBqNl-86Ub8fuQdz5AhxjJq9n3eQ",
        ),
    ),
    (
        "ADU.200703.R",
        concat!(
            "ALKjsnQW-rsg-VJ25ic-gEHG_s8w-ciW9VkKqoHnUYOKxPUXOi8q5lfUcc6KPe-aVXY-meLCrkzuLbh49aJOKPKc",
            "TjllvOzkDeXjOKhZqwikG7T0oFKjOLNGIRPMPGgG3v4AppJu3kxHENYcnCT1zXDh9Wp8aBMd4cX2qE8hn4Z8RMWK",
            "mRzF0wabWnGdCRzDZDFqxReVHV0q8VXHZtTo9dmpW4yibGJgBTfXMrBzy_dLNickIYw4CrgY_vUVYDWLNe8eD4im",
            "E417fe-z57DJphxwe8zyKYuH972dtohvrHP_cvLvSCeWcoYGolzjfc6wnuXC2U7E8394B0tliEUMEeWWVjSILRYO",
            "WULS99ntHe3JN3dEfuOENp9YE-9v5MNE1HcGis9byIAcophlCzXcc8hp0F7oJUOe9tirBa9RKSNVQFgQ6rjizV15",
            "zOzftFuYx_rj0mwmzi4sVuDPje79kxIvAEmNHII4VqZdeURKGvPcFhCzwS0nEf4bmAXko2AxmQ",
        ),
    ),
];
