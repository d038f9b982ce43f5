//! Defects of how signatures are looked at (device-update-manifests.md § 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use twinspec_harness::agent::Effect;
use twinspec_model::agent::Output;
use twinspec_model::update::{Flaw, Reason};

use super::Defect;
use super::lenient::{Attempt, Lenient, Parts};
use super::rewrite::Outputs;

pub(super) const DEFECTS: &[Defect] = &[
    defect!(
        "agent-signature-signs-itself",
        "A signature that names no signing key is accepted.",
        ["ADU-SIG-001"],
        Lenient::signature(|flaw, _| is(flaw, Reason::HeaderMember, "header"))
    ),
    defect!(
        "agent-signature-outer-unchecked",
        "The signing key's signature is not checked.",
        ["ADU-SIG-002"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::Signature)
    ),
    defect!(
        "agent-signature-chain-unchecked",
        "The root key's signature of the signing key is not checked.",
        ["ADU-SIG-002", "ADU-SIG-005"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::KeySignature)
    ),
    defect!(
        "agent-signature-not-needed",
        "A deployment without a signature is carried out.",
        ["ADU-SIG-003"],
        Lenient::signature(|flaw, attempt| {
            flaw.reason == Reason::NoText && attempt.signature.is_none()
        })
    ),
    defect!(
        "agent-signature-may-be-empty",
        "A deployment with an empty signature is carried out.",
        ["ADU-SIG-003"],
        Lenient::signature(|_, attempt| attempt.signature == Some(""))
    ),
    defect!(
        "agent-signature-any-root",
        "A signing key under an unknown root is accepted.",
        ["ADU-SIG-004"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::RootKeyUnknown)
    ),
    defect!(
        "agent-signature-no-root",
        "A signing key that names no root is accepted.",
        ["ADU-SIG-004"],
        Lenient::signature(|flaw, _| is(flaw, Reason::HeaderMember, "sjwk"))
    ),
    defect!(
        "agent-signature-any-algorithm",
        "Any algorithm of the manifest's signature is accepted.",
        ["ADU-SIG-006"],
        Lenient::signature(|flaw, _| is(flaw, Reason::Algorithm, "header"))
    ),
    defect!(
        "agent-signature-algorithm-none",
        "The algorithm none is accepted.",
        ["ADU-SIG-006"],
        Lenient::signature(|flaw, attempt| {
            let outer = attempt.outer();
            flaw.reason == Reason::Algorithm
                && outer.is_some_and(|outer| Parts::member(&outer.header, "alg") == "none")
        })
    ),
    defect!(
        "agent-signature-algorithm-missing",
        "A signature that names no algorithm is taken for one of RS256.",
        ["ADU-SIG-006"],
        Lenient::signature(|flaw, attempt| {
            let outer = attempt.outer();
            is(flaw, Reason::Algorithm, "header")
                && outer.is_some_and(|outer| outer.header.get("alg").is_none())
        })
    ),
    defect!(
        "agent-signature-key-algorithm-none",
        "The algorithm none is accepted for the signing key.",
        ["ADU-SIG-006"],
        Lenient::signature(|flaw, attempt| {
            let nested = attempt.nested();
            is(flaw, Reason::Algorithm, "sjwk")
                && nested.is_some_and(|nested| Parts::member(&nested.header, "alg") == "none")
        })
    ),
    defect!(
        "agent-signature-without-blanks",
        "The hash is taken of a manifest without its blanks.",
        ["ADU-SIG-002"],
        Lenient::signature(|flaw, attempt| {
            let outer = attempt.outer();
            let bare: String = attempt.manifest.unwrap_or_default().split_whitespace().collect();
            let hash = STANDARD.encode(Sha256::digest(bare));
            flaw.reason == Reason::HashMismatch
                && outer.is_some_and(|outer| Parts::member(&outer.payload, "sha256") == hash)
        })
    ),
    defect!(
        "agent-signature-any-key-algorithm",
        "Any algorithm of the root key's signature is accepted.",
        ["ADU-SIG-006"],
        Lenient::signature(|flaw, _| is(flaw, Reason::Algorithm, "sjwk"))
    ),
    defect!(
        "agent-signature-no-standard-base64",
        "A modulus in standard base64 is refused.",
        ["ADU-SIG-007"],
        Lenient::refuses(|attempt| has_modulus_with(attempt, &['+', '/', '=']))
    ),
    defect!(
        "agent-signature-no-url-base64",
        "A modulus in base64url is refused.",
        ["ADU-SIG-007"],
        Lenient::refuses(|attempt| !has_modulus_with(attempt, &['+', '/', '=']))
    ),
    defect!(
        "agent-signature-any-parts",
        "A signature need not have three parts.",
        ["ADU-SIG-008"],
        Lenient::signature(|flaw, attempt| {
            let has_text = attempt.signature.is_some_and(|text| !text.is_empty());
            flaw.reason == Reason::Structure && has_text
        })
    ),
    defect!(
        "agent-signature-of-escapes",
        "The hash is taken of a text in which letters beyond ASCII are escaped.",
        ["ADU-SIG-009"],
        Outputs(|mut output| {
            if let Output::Validate { order, .. } = &mut output
                && let Some(text) = &mut order.manifest
            {
                *text = escaped(text);
            }
            vec![Effect::Do(output)]
        })
    ),
    defect!(
        "agent-signature-no-hash",
        "A signed payload without a right hash is accepted.",
        ["ADU-SIG-010"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::Payload)
    ),
    defect!(
        "agent-signature-of-another",
        "A signature for another manifest is accepted.",
        ["ADU-SIG-011", "ADU-SIG-002"],
        Lenient::signature(|flaw, _| flaw.reason == Reason::HashMismatch)
    ),
    defect!(
        "agent-signature-minds-header",
        "Further members of the header are refused, as by another product.",
        ["ADU-SIG-012"],
        Lenient::refuses(|attempt| {
            let outer = attempt.outer();
            let header = outer.as_ref().and_then(|outer| outer.header.as_object());
            header.is_some_and(|header| header.keys().any(|name| name != "alg" && name != "sjwk"))
        })
    ),
    defect!(
        "agent-signature-loose-padding",
        "Data behind the hash in an RSA block is passed over.",
        ["ADU-SIG-013"],
        Lenient::signature(holds_loosely)
    ),
    defect!(
        "agent-signature-first-root-only",
        "Only the first root signs manifests.",
        ["ADU-SIG-025"],
        Lenient::refuses(|attempt| {
            let nested = attempt.nested();
            let root = nested.as_ref().map(|nested| Parts::member(&nested.header, "kid"));
            let first = attempt.roots.iter().next().map(|(id, _)| id.to_owned());
            root.map(str::to_owned) != first
        })
    ),
];

/// The flaw has this reason, at a place that begins so.
fn is(flaw: &Flaw, reason: Reason, place: &str) -> bool {
    flaw.reason == reason && flaw.place.starts_with(place)
}

fn has_modulus_with(attempt: &Attempt<'_>, letters: &[char]) -> bool {
    let nested = attempt.nested();
    nested.is_some_and(|nested| Parts::member(&nested.payload, "n").contains(letters))
}

/// `text` with everything beyond ASCII as JSON escapes.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

/// Whether a signature that does not hold has the right hash somewhere in its block.
fn holds_loosely(flaw: &Flaw, attempt: &Attempt<'_>) -> bool {
    match flaw.reason {
        Reason::Signature => {
            let (Some(outer), Some(modulus)) = (attempt.outer(), attempt.modulus()) else {
                return false;
            };
            outer.holds_loosely(&modulus)
        }
        Reason::KeySignature => {
            let (Some(nested), Some(modulus)) = (attempt.nested(), attempt.root_modulus()) else {
                return false;
            };
            nested.holds_loosely(&modulus)
        }
        _ => false,
    }
}
