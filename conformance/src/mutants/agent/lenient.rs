//! Validations that are laxer or stricter than the right one in one point.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use twinspec_harness::agent::{Config, Effect, Overlay};
use twinspec_harness::signing::block;
use twinspec_model::agent::{
    Generation, Input, Order, Outcome, Output, Plan, Validation, extended,
};
use twinspec_model::update::Flaw;
use twinspec_model::update::key::RootKeys;
use twinspec_model::update::manifest::Manifest;
use twinspec_model::update::root_key::{self, Build, Package, Renewal};
use twinspec_model::update::signature::{self, Store, Trust};

/// The exponent of every key.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// What is being validated.
pub(super) struct Attempt<'a> {
    pub(super) manifest: Option<&'a str>,
    pub(super) signature: Option<&'a str>,
    pub(super) package: Option<&'a str>,
    pub(super) roots: &'a RootKeys,
}

/// Validates in place of the right verifier.
pub(super) struct Lenient {
    roots: RootKeys,
    generation: Generation,
    /// Flaws of root key packages that are passed over.
    package: fn(&Flaw, &Attempt<'_>) -> bool,
    /// Flaws of signatures that are passed over.
    signature: fn(&Flaw, &Attempt<'_>) -> bool,
    /// What is read in place of a manifest.
    manifest: Option<fn(&mut Value)>,
    /// What is refused although it is right.
    refuses: fn(&Attempt<'_>) -> bool,
    /// Whether a package that is refused is kept.
    keeps_refused: bool,
}

impl Lenient {
    fn new() -> Self {
        Self {
            roots: RootKeys::new(),
            generation: Generation::Three,
            package: |_, _| false,
            signature: |_, _| false,
            manifest: None,
            refuses: |_| false,
            keeps_refused: false,
        }
    }

    /// Passes over some flaws of root key packages.
    pub(super) fn package(forgives: fn(&Flaw, &Attempt<'_>) -> bool) -> Self {
        Self { package: forgives, ..Self::new() }
    }

    /// Passes over some flaws of signatures.
    pub(super) fn signature(forgives: fn(&Flaw, &Attempt<'_>) -> bool) -> Self {
        Self { signature: forgives, ..Self::new() }
    }

    /// Reads something else in place of a manifest that was signed.
    pub(super) fn manifest(rewrites: fn(&mut Value)) -> Self {
        Self { manifest: Some(rewrites), ..Self::new() }
    }

    /// Refuses what is right.
    pub(super) fn refuses(refuses: fn(&Attempt<'_>) -> bool) -> Self {
        Self { refuses, ..Self::new() }
    }

    /// Keeps a root key package that it refuses.
    pub(super) fn keeping_refused() -> Self {
        Self { keeps_refused: true, ..Self::new() }
    }

    fn validate(&self, order: &Order, package: Option<&str>, stored: Option<&str>) -> Validation {
        let attempt = Attempt {
            manifest: order.manifest.as_deref(),
            signature: order.signature.as_deref(),
            package,
            roots: &self.roots,
        };
        let (mut store, mut notes, mut verified) = (None, Vec::new(), None);
        if self.generation.has_root_key_package() {
            match self.renew(&attempt, stored) {
                Ok(Some((package, renewal))) => {
                    store = (renewal == Renewal::Replaced).then(|| package.text().to_owned());
                    notes.push(renewal.code());
                    verified = Some(package);
                }
                Ok(None) => {}
                Err(flaw) => {
                    let store = package.filter(|_| self.keeps_refused).map(str::to_owned);
                    return Validation { store, ..Validation::refused(flaw.into()) };
                }
            }
        }
        let plan = self.plan(order, &attempt, verified.as_ref());
        Validation { store, notes, plan }
    }

    /// The package in force from now on; none when one was taken that cannot be read.
    fn renew(
        &self,
        attempt: &Attempt<'_>,
        stored: Option<&str>,
    ) -> Result<Option<(Package, Renewal)>, Flaw> {
        let forgive = |flaw: Flaw| if (self.package)(&flaw, attempt) { Ok(()) } else { Err(flaw) };
        let package = match Package::parse(attempt.package.unwrap_or_default()) {
            Ok(package) => package,
            Err(flaw) => return forgive(flaw).map(|()| None),
        };
        package.verify(&self.roots, Build::Production).or_else(forgive)?;
        let stored = stored.and_then(|text| Package::parse(text).ok());
        let renewal = match root_key::renew(stored.as_ref(), &package) {
            Ok(renewal) => renewal,
            Err(flaw) => forgive(flaw).map(|()| Renewal::Replaced)?,
        };
        Ok(Some((package, renewal)))
    }

    fn plan(
        &self,
        order: &Order,
        attempt: &Attempt<'_>,
        package: Option<&Package>,
    ) -> Result<Plan, Outcome> {
        let store = package.map_or(Store::Empty, Store::Package);
        let trust = Trust { roots: &self.roots, store };
        if let Err(flaw) = signature::verify(attempt.manifest, attempt.signature, &trust)
            && !(self.signature)(&flaw, attempt)
        {
            return Err(flaw.into());
        }
        if (self.refuses)(attempt) {
            return Err(Outcome::failure(extended::BAD_MANIFEST, "refused without a reason"));
        }
        let text = attempt.manifest.unwrap_or_default();
        let rewritten = self.manifest.and_then(|rewrites| {
            let mut value = serde_json::from_str(text).ok()?;
            rewrites(&mut value);
            Some(value.to_string())
        });
        let manifest = Manifest::parse(rewritten.as_deref().unwrap_or(text));
        Plan::of(&manifest.map_err(Outcome::from)?, order.urls.clone(), self.generation)
    }
}

impl Overlay for Lenient {
    fn config(&mut self, config: &mut Config) {
        self.roots = config.root_keys.clone();
        self.generation = config.generation;
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        match output {
            Output::Validate { job, order, package, stored } => {
                let validation = self.validate(&order, package.as_deref(), stored.as_deref());
                let validation = Box::new(validation);
                vec![Effect::Feed(Input::Validated { job, validation })]
            }
            output => vec![Effect::Do(output)],
        }
    }
}

/// A signature taken apart: the signed text, and the header, payload and signature in it.
pub(super) struct Parts {
    pub(super) signed: String,
    pub(super) header: Value,
    pub(super) payload: Value,
    pub(super) signature: Vec<u8>,
}

impl Parts {
    pub(super) fn of(jws: &str) -> Option<Self> {
        let mut parts = jws.split('.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        Some(Self {
            signed: format!("{header}.{payload}"),
            header: serde_json::from_slice(&decode(header)?).ok()?,
            payload: serde_json::from_slice(&decode(payload)?).ok()?,
            signature: decode(signature)?,
        })
    }

    pub(super) fn member<'a>(object: &'a Value, name: &str) -> &'a str {
        object.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the hash stands anywhere in the block.
    pub(super) fn holds_loosely(&self, modulus: &[u8]) -> bool {
        let block = block(modulus, &EXPONENT, &self.signature).unwrap_or_default();
        let hash = Sha256::digest(&self.signed);
        block.windows(hash.len()).any(|window| window == hash.as_slice())
    }
}

impl Attempt<'_> {
    /// The signature of the manifest.
    pub(super) fn outer(&self) -> Option<Parts> {
        Parts::of(self.signature?)
    }

    /// The root's signature of the signing key.
    pub(super) fn nested(&self) -> Option<Parts> {
        Parts::of(Parts::member(&self.outer()?.header, "sjwk"))
    }

    /// The modulus of the signing key.
    pub(super) fn modulus(&self) -> Option<Vec<u8>> {
        let nested = self.nested()?;
        let text = Parts::member(&nested.payload, "n");
        STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
    }

    /// The modulus of the root key that is named.
    pub(super) fn root_modulus(&self) -> Option<Vec<u8>> {
        let nested = self.nested()?;
        let id = Parts::member(&nested.header, "kid");
        let package = self.package_value()?;
        let key = package.get("protected")?.get("rootKeys")?.get(id)?;
        URL_SAFE_NO_PAD.decode(Parts::member(key, "n")).ok()
    }

    /// What the root key package says.
    pub(super) fn package_value(&self) -> Option<Value> {
        serde_json::from_str(self.package?).ok()
    }

    /// The manifest as JSON.
    pub(super) fn manifest_value(&self) -> Option<Value> {
        serde_json::from_str(self.manifest?).ok()
    }
}
