//! Defects of how root key packages are looked at (device-update-manifests.md § 5).

use serde_json::Value;
use twinspec_model::update::key::RootKeys;
use twinspec_model::update::root_key::{Build, Package};
use twinspec_model::update::{Flaw, Reason};

use super::Defect;
use super::lenient::{Attempt, Lenient};

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
    let package = attempt.package_value().unwrap_or_default();
    let listed = package.pointer(pointer).and_then(Value::as_array);
    listed.is_some_and(|listed| !listed.is_empty())
}

/// The package with its signatures in the other order; what they sign stays as it is written.
fn with_signatures_turned(package: &str) -> Option<String> {
    let (signed, signatures) = package.rsplit_once(",\"signatures\":")?;
    let mut signatures: Vec<Value> = serde_json::from_str(signatures.strip_suffix('}')?).ok()?;
    signatures.reverse();
    Some(format!("{signed},\"signatures\":{}}}", Value::from(signatures)))
}
