//! Root key packages: which root keys there are, which keys are disabled, and who says so
//! (device-update-manifests.md § 5).

use std::collections::BTreeSet;

use super::flaw::{Document, Flaw, Reason};
use super::key::{PublicKey, RootKeys, Sha256Hash, base64url};
use super::ordered::Ordered;
use super::read::Spot;
use super::result_code::ExtendedResultCode;
use super::signature::listed_hash;

/// A parsed root key package. Nothing in it can be trusted before [`Self::verify`].
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// Its version, not 0.
    pub version: u64,
    /// When it was made, seconds since 1970-01-01 UTC, not 0.
    pub published: u64,
    /// Whether it is for test agents.
    pub is_test: bool,
    disabled_root_keys: BTreeSet<String>,
    disabled_signing_keys: BTreeSet<Sha256Hash>,
    /// In the order of the text, which is that of the signatures.
    root_keys: Vec<(String, PublicKey)>,
    signatures: Vec<PackageSignature>,
    /// `protected` as an agent writes it: what is signed.
    signed: String,
    /// The whole package as an agent writes it: what is stored and compared.
    text: String,
}

#[derive(Clone, Debug, PartialEq)]
struct PackageSignature {
    algorithm: String,
    bytes: Vec<u8>,
}

/// Which packages an agent takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Packages that are not marked as test.
    Production,
    /// Packages that are.
    Test,
}

impl Package {
    /// Reads a package.
    ///
    /// # Errors
    /// The first member that is missing, empty where it must not be, or unreadable (ADU-SIG-024).
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let ordered: Ordered = serde_json::from_str(text).map_err(|error| {
            Flaw::new(Document::Package, Reason::NotJson, "", format!("is not JSON: {error}"))
        })?;
        let value = ordered.to_value();
        let root = Spot::root(&value, Document::Package)?;
        let protected = root.member("protected")?;
        protected.object()?;
        let is_test = match protected.optional("isTest")? {
            None => false,
            Some(spot) => spot.flag()?,
        };
        let signed = ordered.get("protected").map(ToString::to_string).unwrap_or_default();
        let order = ordered.get("protected").and_then(|protected| protected.get("rootKeys"));
        let order: Vec<&str> = order.map(|keys| keys.names().collect()).unwrap_or_default();
        Ok(Self {
            version: positive(&protected, "version")?,
            published: positive(&protected, "published")?,
            is_test,
            disabled_root_keys: disabled_root_keys(&protected.member("disabledRootKeys")?)?,
            disabled_signing_keys: disabled_signing_keys(&protected)?,
            root_keys: root_keys(&protected.member("rootKeys")?, &order)?,
            signatures: signatures(&root.member("signatures")?)?,
            signed,
            text: ordered.to_string(),
        })
    }

    /// Checks that the package is for this `build`, and signed by every root key built into the
    /// agent, disabled ones included; further signatures are passed over (ADU-SIG-014,
    /// ADU-SIG-017). The signature of a root key has the position that the key has in `rootKeys`
    /// (ADU-SIG-015).
    ///
    /// # Errors
    /// [`Reason::TestPackage`], [`Reason::ProductionPackage`], [`Reason::Algorithm`] or
    /// [`Reason::PackageSignature`].
    pub fn verify(&self, roots: &RootKeys, build: Build) -> Result<(), Flaw> {
        match (build, self.is_test) {
            (Build::Production, true) => {
                let message = "is true, a production agent takes no test package";
                return Err(flaw(Reason::TestPackage, "protected.isTest", message));
            }
            (Build::Test, false) => {
                let message = "is not true, a test agent takes only test packages";
                return Err(flaw(Reason::ProductionPackage, "protected.isTest", message));
            }
            (Build::Production, false) | (Build::Test, true) => {}
        }
        if roots.iter().next().is_none() {
            let message = "no root key is built in, so nothing vouches for a package";
            return Err(flaw(Reason::PackageSignature, "signatures", message));
        }
        roots.iter().try_for_each(|(id, key)| self.verify_one(id, key))
    }

    fn verify_one(&self, id: &str, key: &PublicKey) -> Result<(), Flaw> {
        let Some(position) = self.root_keys.iter().position(|(listed, _)| listed == id) else {
            let message = format!("does not hold the built-in root key {id:?}");
            return Err(flaw(Reason::PackageSignature, "protected.rootKeys", message));
        };
        let place = format!("signatures[{position}]");
        let Some(signature) = self.signatures.get(position) else {
            let message = format!("is missing: it must be that of the root key {id:?}");
            return Err(flaw(Reason::PackageSignature, &place, message));
        };
        if signature.algorithm != "RS256" {
            let message = format!("is {:?}, allowed is \"RS256\"", signature.algorithm);
            return Err(flaw(Reason::Algorithm, &format!("{place}.alg"), message));
        }
        if key.verifies(self.signed.as_bytes(), &signature.bytes) {
            return Ok(());
        }
        let message = format!("is not the signature of the root key {id:?}");
        Err(flaw(Reason::PackageSignature, &place, message))
    }

    /// Whether manifests under the root key called `id` are refused (ADU-SIG-016).
    #[must_use]
    pub fn disables_root_key(&self, id: &str) -> bool {
        self.disabled_root_keys.contains(id)
    }

    /// Whether manifests signed with `key` are refused (ADU-SIG-018).
    #[must_use]
    pub fn disables_signing_key(&self, key: &PublicKey) -> bool {
        self.disabled_signing_keys.contains(&key.fingerprint())
    }

    /// The root key called `id`.
    #[must_use]
    pub fn root_key(&self, id: &str) -> Option<&PublicKey> {
        self.root_keys.iter().find(|(listed, _)| listed == id).map(|(_, key)| key)
    }

    /// The package as an agent stores it: compact, members in their order, slashes escaped.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What becomes of the stored package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The fetched package takes its place.
    Replaced,
    /// The fetched one is the same.
    Unchanged,
}

impl Renewal {
    /// The informational code that agents report.
    #[must_use]
    pub fn code(self) -> ExtendedResultCode {
        match self {
            Self::Replaced => ExtendedResultCode::ROOT_KEYS_CHANGED,
            Self::Unchanged => ExtendedResultCode::ROOT_KEYS_UNCHANGED,
        }
    }
}

/// Decides what becomes of the stored package when `fetched`, which was verified, has come.
///
/// # Errors
/// [`Reason::Rollback`] when its version is lower than that of the stored one, which would undo
/// what that disabled (ADU-SIG-021, a CHOICE: A-D17).
pub fn renew(stored: Option<&Package>, fetched: &Package) -> Result<Renewal, Flaw> {
    let Some(stored) = stored else {
        return Ok(Renewal::Replaced);
    };
    if fetched.version < stored.version {
        let message = format!("is {}, the stored package has {}", fetched.version, stored.version);
        return Err(flaw(Reason::Rollback, "protected.version", message));
    }
    if fetched.text == stored.text {
        return Ok(Renewal::Unchanged);
    }
    Ok(Renewal::Replaced)
}

fn flaw(reason: Reason, place: &str, message: impl Into<String>) -> Flaw {
    Flaw::new(Document::Package, reason, place, message)
}

fn positive(protected: &Spot<'_>, name: &str) -> Result<u64, Flaw> {
    let spot = protected.member(name)?;
    match spot.number()? {
        0 => Err(spot.flaw(Reason::Value, "is 0, allowed are numbers from 1 on")),
        number => Ok(number),
    }
}

fn disabled_root_keys(spot: &Spot<'_>) -> Result<BTreeSet<String>, Flaw> {
    spot.elements()?.map(|id| id.text().map(str::to_owned)).collect()
}

fn disabled_signing_keys(protected: &Spot<'_>) -> Result<BTreeSet<Sha256Hash>, Flaw> {
    let mut hashes = BTreeSet::new();
    for key in protected.member("disabledSigningKeys")?.elements()? {
        let algorithm = key.member("alg")?;
        if algorithm.text()? != "SHA256" {
            let message = format!("is {}, allowed is \"SHA256\"", algorithm.value);
            return Err(algorithm.flaw(Reason::Value, message));
        }
        let spot = key.member("hash")?;
        let hash = listed_hash(spot.text()?).ok_or_else(|| {
            spot.flaw(Reason::Hash, format!("is {}, allowed is base64 of 32 bytes", spot.value))
        })?;
        hashes.insert(hash);
    }
    Ok(hashes)
}

fn root_keys(spot: &Spot<'_>, order: &[&str]) -> Result<Vec<(String, PublicKey)>, Flaw> {
    if order.is_empty() && spot.object().is_ok() {
        return Err(spot.flaw(Reason::Count, "is empty, allowed is one key or more"));
    }
    spot.object()?;
    order.iter().map(|id| Ok(((*id).to_owned(), root_key(&spot.member(id)?)?))).collect()
}

fn root_key(spot: &Spot<'_>) -> Result<PublicKey, Flaw> {
    let kind = spot.member("keyType")?;
    if kind.text()? != "RSA" {
        return Err(kind.flaw(Reason::Value, format!("is {}, allowed is \"RSA\"", kind.value)));
    }
    let modulus = spot.member("n")?;
    let bytes = base64url(modulus.text()?)
        .ok_or_else(|| modulus.flaw(Reason::Value, "is no base64url without padding"))?;
    let exponent = exponent(&spot.member("e")?)?;
    PublicKey::new(&bytes, &exponent).ok_or_else(|| spot.flaw(Reason::Value, "has a number 0"))
}

/// A number as in genuine packages, or base64url as in the newest schema text (A-D15).
fn exponent(spot: &Spot<'_>) -> Result<Vec<u8>, Flaw> {
    let exponent = match spot.value.as_str() {
        Some(text) => base64url(text),
        None => Some(spot.number()?.to_be_bytes().to_vec()),
    };
    exponent.ok_or_else(|| spot.flaw(Reason::Value, "is neither a number nor base64url"))
}

fn signatures(spot: &Spot<'_>) -> Result<Vec<PackageSignature>, Flaw> {
    let mut signatures = Vec::new();
    for signature in spot.some_elements(1..=usize::MAX)? {
        let text = signature.member("sig")?;
        let bytes = base64url(text.text()?)
            .ok_or_else(|| text.flaw(Reason::Value, "is no base64url without padding"))?;
        let algorithm = signature.member("alg")?.text()?.to_owned();
        signatures.push(PackageSignature { algorithm, bytes });
    }
    Ok(signatures)
}
