//! Defects of how root key packages are looked at (device-update-manifests.md § 5).

use std::collections::BTreeMap;

use serde_json::Value;
use twinspec_harness::agent::{Effect, Overlay};
use twinspec_model::agent::{Input, Output, Persisted};
use twinspec_model::update::key::RootKeys;
use twinspec_model::update::root_key::{Build, Package};
use twinspec_model::update::{Flaw, Reason};

use super::Defect;
use super::lenient::{Attempt, Lenient, Parts};
use super::rewrite::With;

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-package-one-signature",
        "A package needs the signature of one root key.",
        ["ADU-SIG-014"],
        Lenient::package(|flaw, attempt| {
            flaw.reason == Reason::PackageSignature
                && attempt.roots.iter().any(|(id, key)| {
                    let one: RootKeys = [(id.to_owned(), key.clone())].into_iter().collect();
                    verifies(attempt.package.unwrap_or_default(), &one)
                })
        })
    ),
    defect!(
        "agent-package-last-signature",
        "A package needs the signature of the last root key only.",
        ["ADU-SIG-014"],
        Lenient::package(|flaw, attempt| {
            flaw.reason == Reason::PackageSignature
                && attempt.roots.iter().last().is_some_and(|(id, key)| {
                    let one: RootKeys = [(id.to_owned(), key.clone())].into_iter().collect();
                    verifies(attempt.package.unwrap_or_default(), &one)
                })
        })
    ),
    defect!(
        "agent-package-unsigned",
        "A package with too few signatures is accepted.",
        ["ADU-SIG-014"],
        Lenient::package(|flaw, attempt| has_fewer_signatures(attempt) && is_about_signatures(flaw))
    ),
    defect!(
        "agent-package-any-position",
        "A signature of a package may stand at any position.",
        ["ADU-SIG-015"],
        Lenient::package(|flaw, attempt| {
            let turned = attempt.package.and_then(with_signatures_turned);
            flaw.reason == Reason::PackageSignature
                && turned.is_some_and(|turned| verifies(&turned, attempt.roots))
        })
    ),
    defect!(
        "agent-package-disabled-root",
        "A root that the package disables signs manifests all the same.",
        ["ADU-SIG-016"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::RootKeyDisabled)
    ),
    defect!(
        "agent-package-second-root-stays",
        "The second root cannot be disabled.",
        ["ADU-SIG-016"],
        Lenient::signature(|flaw, attempt| {
            let named = attempt.nested();
            let named = named.as_ref().map(|parts| Parts::member(&parts.header, "kid"));
            let second = attempt.roots.iter().last().map(|(id, _)| id);
            flaw.reason == Reason::RootKeyDisabled && named == second
        })
    ),
    defect!(
        "agent-package-one-disabled-root",
        "Of several roots that the package disables none is.",
        ["ADU-SIG-016"],
        Lenient::signature(|flaw, attempt| {
            let count = count(attempt, "/protected/disabledRootKeys");
            flaw.reason == Reason::RootKeyDisabled && count > 1
        })
    ),
    defect!(
        "agent-package-one-disabled-signer",
        "Of several signing keys that the package disables none is.",
        ["ADU-SIG-018"],
        Lenient::signature(|flaw, attempt| {
            let count = count(attempt, "/protected/disabledSigningKeys");
            flaw.reason == Reason::SigningKeyDisabled && count > 1
        })
    ),
    defect!(
        "agent-package-kept-by-url",
        "A package that came from the same URL before is not fetched again.",
        ["ADU-SIG-026"],
        With {
            state: Kept::default(),
            input: |kept: &mut Kept, input| {
                if let Input::RootKeys { job, outcome: Ok(text) } = &input
                    && let Some(url) = kept.asked.remove(job)
                {
                    kept.packages.insert(url, text.clone());
                }
                vec![input]
            },
            output: |kept, output| {
                let Output::FetchRootKeys { job, url } = &output else {
                    return vec![Effect::Do(output)];
                };
                match kept.packages.get(url) {
                    Some(text) => {
                        let outcome = Ok(text.clone());
                        vec![Effect::Feed(Input::RootKeys { job: *job, outcome })]
                    }
                    None => {
                        kept.asked.insert(*job, url.clone());
                        vec![Effect::Do(output)]
                    }
                }
            },
        }
    ),
    defect!(
        "agent-package-forgets",
        "The package in force is forgotten when the agent ends.",
        ["ADU-SIG-021"],
        Forgets
    ),
    defect!(
        "agent-package-disabled-signs-no-package",
        "A package that disables a root key is refused, for its signature no longer counts.",
        ["ADU-SIG-017"],
        Lenient::refuses(|attempt| lists(attempt, "/protected/disabledRootKeys"))
    ),
    defect!(
        "agent-package-disabled-signer",
        "A signing key that the package disables signs all the same.",
        ["ADU-SIG-018"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::SigningKeyDisabled)
    ),
    defect!(
        "agent-package-any-hash",
        "Whatever hash a package lists disables the signing key.",
        ["ADU-SIG-019"],
        Lenient::refuses(|attempt| lists(attempt, "/protected/disabledSigningKeys"))
    ),
    defect!(
        "agent-package-test",
        "A package that is marked as a test is accepted.",
        ["ADU-SIG-020"],
        Lenient::package(|flaw, _| flaw.reason == Reason::TestPackage)
    ),
    defect!(
        "agent-package-keeps-refused",
        "A package that is refused takes the place of the one in force.",
        ["ADU-SIG-022"],
        Lenient::keeping_refused()
    ),
    defect!(
        "agent-package-best-effort",
        "After a package that is refused the deployment goes on without it.",
        ["ADU-SIG-023"],
        Lenient::package(|_, _| true)
    ),
    defect!(
        "agent-package-members-missing",
        "A package may lack version, published, rootKeys and signatures.",
        ["ADU-SIG-024"],
        Lenient::package(|flaw, _| flaw.reason == Reason::Missing)
    ),
    defect!(
        "agent-package-any-algorithm",
        "A package may be signed with RS384 or RS512.",
        ["ADU-SIG-028"],
        Lenient::package(|flaw, _| flaw.reason == Reason::Algorithm)
    ),
];

fn verifies(package: &str, roots: &RootKeys) -> bool {
    let package = Package::parse(package);
    package.is_ok_and(|package| package.verify(roots, Build::Production).is_ok())
}

fn is_about_signatures(flaw: &Flaw) -> bool {
    matches!(flaw.reason, Reason::PackageSignature | Reason::Count)
}

fn has_fewer_signatures(attempt: &Attempt<'_>) -> bool {
    let package = attempt.package_value().unwrap_or_default();
    let count = package.get("signatures").and_then(Value::as_array).map_or(0, Vec::len);
    count < attempt.roots.iter().count()
}

/// Whether the package has something in the list at `pointer`.
fn lists(attempt: &Attempt<'_>, pointer: &str) -> bool {
    count(attempt, pointer) > 0
}

/// How much the package has in the list at `pointer`.
fn count(attempt: &Attempt<'_>, pointer: &str) -> usize {
    let package = attempt.package_value().unwrap_or_default();
    package.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len)
}

/// Packages by the URL from which they came.
#[derive(Default)]
struct Kept {
    asked: BTreeMap<u64, String>,
    packages: BTreeMap<String, String>,
}

/// Begins without a package each time.
struct Forgets;

impl Overlay for Forgets {
    fn persisted(&mut self, persisted: &mut Persisted) {
        persisted.root_keys = None;
    }
}

/// The package with its signatures in the other order; what they sign stays as it is written.
fn with_signatures_turned(package: &str) -> Option<String> {
    let (signed, signatures) = package.rsplit_once(",\"signatures\":")?;
    let mut signatures: Vec<Value> = serde_json::from_str(signatures.strip_suffix('}')?).ok()?;
    signatures.reverse();
    Some(format!("{signed},\"signatures\":{}}}", Value::from(signatures)))
}
