//! What is made right verifies, and what is made wrong is refused for the point that is wrong.

use twinspec_model::update::root_key::{Build, Package, renew};
use twinspec_model::update::signature::{Store, Trust, verify};
use twinspec_model::update::{Flaw, Reason};

use super::*;

const MANIFEST: &str = r#"{"manifestVersion":"5","note":"küche \/ ofen"}"#;

fn authority() -> &'static Authority {
    Authority::shared().unwrap()
}

fn judge(signature: &str, store: Store<'_>) -> Result<(), Flaw> {
    let roots = authority().root_keys();
    verify(Some(MANIFEST), Some(signature), &Trust { roots: &roots, store }).map(|_| ())
}

#[track_caller]
fn refused(signature: &str, reason: Reason) {
    assert_eq!(judge(signature, Store::Empty).unwrap_err().reason, reason);
}

fn package(recipe: &PackageRecipe<'_>) -> Result<Package, Flaw> {
    let package = Package::parse(&recipe.make().unwrap())?;
    package.verify(&authority().root_keys(), Build::Production).map(|()| package)
}

#[test]
fn a_signature_under_either_root_key_holds_in_both_spellings_of_the_key() {
    for root in &authority().roots {
        for base64 in [Base64::Standard, Base64::Url] {
            let root_id = root.id().to_owned();
            let recipe = SignatureRecipe { root, root_id, base64, ..authority().recipe() };
            assert_eq!(judge(&recipe.make(MANIFEST).unwrap(), Store::Empty), Ok(()));
        }
    }
}

#[test]
fn every_forgery_is_refused_for_the_point_that_is_forged() {
    assert_eq!(judge(&authority().sign(MANIFEST).unwrap(), Store::Empty), Ok(()));
    for forgery in Forgery::ALL {
        let reason = match forgery {
            Forgery::WrongSigner
            | Forgery::BentSignature
            | Forgery::BentPayload
            | Forgery::TrailingData => Reason::Signature,
            Forgery::WrongRoot | Forgery::BentKeySignature | Forgery::KeyTrailingData => {
                Reason::KeySignature
            }
            Forgery::UnknownRoot => Reason::RootKeyUnknown,
            Forgery::OtherManifest => Reason::HashMismatch,
            Forgery::TwoParts | Forgery::FourParts => Reason::Structure,
            Forgery::AlgorithmNone
            | Forgery::AlgorithmHs256
            | Forgery::NoAlgorithm
            | Forgery::KeyAlgorithmNone
            | Forgery::Rs384
            | Forgery::Rs512
            | Forgery::KeyRs512 => Reason::Algorithm,
            Forgery::NoNestedKey | Forgery::NoRootId => Reason::HeaderMember,
            Forgery::NoHash | Forgery::ShortHash => Reason::Payload,
        };
        refused(&authority().forge(MANIFEST, forgery).unwrap(), reason);
    }
}

#[test]
fn a_right_package_holds_and_may_disable_keys() {
    let signature = authority().sign(MANIFEST).unwrap();
    let plain = package(&authority().package(1)).unwrap();
    assert_eq!(judge(&signature, Store::Package(&plain)), Ok(()));

    let hash = authority().signing.pkcs1_hash().unwrap();
    for base64 in [Base64::Standard, Base64::Url] {
        let disabled_signing_keys = vec![base64.encode(&hash)];
        let recipe = PackageRecipe { disabled_signing_keys, ..authority().package(2) };
        let refusal = judge(&signature, Store::Package(&package(&recipe).unwrap())).unwrap_err();
        assert_eq!(refusal.reason, Reason::SigningKeyDisabled);
    }

    let other = vec![Base64::Url.encode(&authority().signing.spki_hash().unwrap())];
    let recipe = PackageRecipe { disabled_signing_keys: other, ..authority().package(2) };
    assert_eq!(judge(&signature, Store::Package(&package(&recipe).unwrap())), Ok(()));

    let disabled_root_keys = vec![authority().roots[0].id().to_owned()];
    let recipe = PackageRecipe { disabled_root_keys, ..authority().package(2) };
    let refusal = judge(&signature, Store::Package(&package(&recipe).unwrap())).unwrap_err();
    assert_eq!(refusal.reason, Reason::RootKeyDisabled);
}

#[test]
fn a_package_needs_the_signature_of_every_root_key_in_its_place() {
    let refused = |recipe: &PackageRecipe<'_>| package(recipe).unwrap_err().reason;
    assert!(package(&authority().package(1)).is_ok());

    let mut swapped = authority().package(1);
    swapped.signers.swap(0, 1);
    assert_eq!(refused(&swapped), Reason::PackageSignature);

    let mut one = authority().package(1);
    one.signers.truncate(1);
    assert_eq!(refused(&one), Reason::PackageSignature);

    let mut stranger = authority().package(1);
    stranger.signers[1].2 = &authority().stranger;
    assert_eq!(refused(&stranger), Reason::PackageSignature);

    let mut relabelled = authority().package(1);
    relabelled.signers[1].0 = "RS512";
    assert_eq!(refused(&relabelled), Reason::Algorithm);

    let test = PackageRecipe { is_test: Some(true), ..authority().package(1) };
    assert_eq!(refused(&test), Reason::TestPackage);

    let mut both = authority().package(1);
    both.root_keys.push(&authority().stranger);
    both.signers.push(("RS256", Scheme::Rs256, &authority().roots[0]));
    assert!(package(&both).is_ok(), "a signature that nobody asks for does not matter");
}

#[test]
fn a_slash_is_signed_in_its_escaped_form() {
    // The bytes FF give slashes in standard base64.
    let disabled_signing_keys = vec![Base64::Standard.encode(&[0xFF; 32])];
    let escaped = PackageRecipe { disabled_signing_keys, ..authority().package(1) };
    assert!(package(&escaped).is_ok());
    let plain = PackageRecipe { form: SignedForm::Plain, ..escaped };
    assert_eq!(package(&plain).unwrap_err().reason, Reason::PackageSignature);
}

#[test]
fn an_older_package_replaces_nothing() {
    let made = |version| package(&authority().package(version)).unwrap();
    assert!(renew(Some(&made(3)), &made(5)).is_ok());
    assert_eq!(renew(Some(&made(5)), &made(3)).unwrap_err().reason, Reason::Rollback);
}

#[test]
fn a_kept_key_is_the_same_key() {
    let key = &authority().signing;
    let again = KeyPair::from_pem(key.id(), &key.to_pem().unwrap()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    let fingerprint = key.public_key().unwrap().fingerprint();
    assert_eq!(fingerprint.to_vec(), key.pkcs1_hash().unwrap());
}

/// `text` with each of its bits changed in turn, as long as it stays ASCII.
fn bent_everywhere(text: &str) -> impl Iterator<Item = (String, String)> {
    let places = (0..text.len()).flat_map(|at| (0..7).map(move |bit| (at, bit)));
    places.map(|(at, bit)| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1 << bit;
        (format!("byte {at}, bit {bit}"), String::from_utf8(bytes).unwrap())
    })
}

#[test]
fn one_changed_bit_anywhere_in_a_signature_is_refused() {
    let good = authority().sign(MANIFEST).unwrap();
    assert_eq!(judge(&good, Store::Empty), Ok(()));
    for (place, bent) in bent_everywhere(&good) {
        assert!(judge(&bent, Store::Empty).is_err(), "{place}");
    }
}

#[test]
fn one_changed_bit_anywhere_in_a_manifest_is_refused() {
    let roots = authority().root_keys();
    let trust = Trust { roots: &roots, store: Store::Empty };
    let manifest = r#"{"manifestVersion":"5","files":{}}"#;
    let signature = authority().sign(manifest).unwrap();
    assert!(verify(Some(manifest), Some(&signature), &trust).is_ok());
    for (place, bent) in bent_everywhere(manifest) {
        let flaw = verify(Some(&bent), Some(&signature), &trust).unwrap_err();
        assert_eq!(flaw.reason, Reason::HashMismatch, "{place}");
    }
}

#[test]
fn one_changed_bit_anywhere_in_a_package_is_refused() {
    let hash = Base64::Standard.encode(&[0xFF; 32]);
    let recipe = PackageRecipe {
        is_test: Some(false),
        disabled_root_keys: vec!["old".to_owned()],
        disabled_signing_keys: vec![hash],
        ..authority().package(12)
    };
    assert!(package(&recipe).is_ok());
    let roots = authority().root_keys();
    for (place, bent) in bent_everywhere(&recipe.make().unwrap()) {
        let judged = Package::parse(&bent).and_then(|p| p.verify(&roots, Build::Production));
        assert!(judged.is_err(), "{place}");
    }
}

#[test]
fn the_block_of_a_signature_ends_in_its_hash_unless_data_follow() {
    let key = &authority().signing;
    let hash = digest(&SHA256, b"message");
    let block = |scheme| {
        let signature = key.sign(scheme, b"message").unwrap();
        block(&key.modulus(), &[1, 0, 1], &signature).unwrap()
    };
    assert!(block(Scheme::Rs256).ends_with(hash.as_ref()));
    let loose = block(Scheme::TrailingData);
    assert!(loose.windows(32).any(|window| window == hash.as_ref()));
    assert!(!loose.ends_with(hash.as_ref()));
    assert_eq!(super::block(&[], &[1, 0, 1], &[1]), None);
}
