//! Whether an order may be carried out: root key package, signature, manifest
//! (device-update-agent.md § 6.2 steps 3 and 4).
//!
//! It stands beside the machine, so that the costly part is nobody's state: the shell calls it for
//! [`super::Output::Validate`].

use super::order::Order;
use super::outcome::{Outcome, extended};
use super::plan::Plan;
use super::profile::Generation;
use crate::update::key::RootKeys;
use crate::update::manifest::Manifest;
use crate::update::result_code::ExtendedResultCode;
use crate::update::root_key::{self, Build, Package, Renewal};
use crate::update::signature::{self, Store, Trust};

/// Knows what to trust.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The generation spoken.
    pub generation: Generation,
    /// The root keys built in.
    pub roots: RootKeys,
    /// Which root key packages are taken.
    pub build: Build,
}

/// What validating an order came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// The root key package to keep from now on, even when the order is refused.
    pub store: Option<String>,
    /// Informational codes for the final report.
    pub notes: Vec<ExtendedResultCode>,
    /// The plan, or why the order is refused.
    pub plan: Result<Plan, Outcome>,
}

impl Validation {
    /// A refusal before anything was learned.
    #[must_use]
    pub fn refused(outcome: Outcome) -> Self {
        Self { store: None, notes: Vec::new(), plan: Err(outcome) }
    }
}

impl Verifier {
    /// Validates `order`. `fetched` is the root key package that came with it, `stored` the one in
    /// force.
    #[must_use]
    pub fn validate(
        &self,
        order: &Order,
        fetched: Option<&str>,
        stored: Option<&str>,
    ) -> Validation {
        if !self.generation.has_root_key_package() {
            let plan = self.plan(order, Store::Empty);
            return Validation { store: None, notes: Vec::new(), plan };
        }
        // One that can no longer be read gives way to the fetched one, which is verified anew.
        let stored = stored.and_then(|text| Package::parse(text).ok());
        let (package, renewal) = match self.renew(fetched, stored.as_ref()) {
            Ok(renewed) => renewed,
            Err(outcome) => return Validation::refused(outcome),
        };
        let store = match renewal {
            Renewal::Replaced => Some(package.text().to_owned()),
            Renewal::Unchanged => None,
        };
        let plan = self.plan(order, Store::Package(&package));
        Validation { store, notes: vec![renewal.code()], plan }
    }

    /// The package in force from now on: the fetched one, when it holds (ADU-SIG-022).
    fn renew(
        &self,
        fetched: Option<&str>,
        stored: Option<&Package>,
    ) -> Result<(Package, Renewal), Outcome> {
        let text = fetched.ok_or_else(|| {
            let details = "root key package: there is none";
            Outcome::failure(extended::ROOT_KEYS_HTTP, details)
        })?;
        let package = Package::parse(text).map_err(Outcome::from)?;
        package.verify(&self.roots, self.build).map_err(Outcome::from)?;
        let renewal = root_key::renew(stored, &package).map_err(Outcome::from)?;
        Ok((package, renewal))
    }

    fn plan(&self, order: &Order, store: Store<'_>) -> Result<Plan, Outcome> {
        let trust = Trust { roots: &self.roots, store };
        let (manifest, signature) = (order.manifest.as_deref(), order.signature.as_deref());
        signature::verify(manifest, signature, &trust).map_err(|flaw| self.refusal(flaw.into()))?;
        let manifest = Manifest::parse(manifest.unwrap_or_default()).map_err(Outcome::from)?;
        Plan::of(&manifest, order.urls.clone(), self.generation)
    }

    /// Generations without root key packages know one code for all that is wrong with a signature
    /// (device-update-manifests.md § 3.1).
    fn refusal(&self, outcome: Outcome) -> Outcome {
        if self.generation.has_root_key_package() {
            return outcome;
        }
        Outcome { extended: ExtendedResultCode::MANIFEST_VALIDATION.0, ..outcome }
    }
}
