//! What golden vectors do not show: messages, codes of our choice, and the built-in keys.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::key::{PublicKey, RootKeys};
use super::manifest::Manifest;
use super::ordered::Ordered;
use super::result_code::{ExtendedResultCode, ExtendedResultCodes, ResultCode, State};
use super::root_key::{Build, Package};
use super::signature::{Store, Trust, verify};
use super::{Document, Flaw, Reason, UpdateId};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_production_root_keys_have_the_published_fingerprints() {
    // device-update-manifests.md § 4.
    let expected = [
        (
            "ADU.200702.R",
            "6242c8e6385f174d8ab5c896d99deb334e0700c8d7ba84dcf655668d60e8de66",
            "dIFtrupfeMI2inXqVb93rnvthQw10TQiQZhAW5n76xM",
        ),
        (
            "ADU.200703.R",
            "6c7546350919e4e605bc94f9ab297af60ed5cfc1e291a2ac7b8dd3d6f276c09c",
            "o0Ynh0Y30QzVAGYbBHgu6kXUKKcAj-GSsdyMG9DMlbI",
        ),
    ];
    let keys = RootKeys::production();
    assert_eq!(keys.iter().count(), expected.len());
    for (id, modulus, key) in expected {
        let production = keys.get(id).unwrap();
        assert_eq!(hex(&production.modulus_hash()), modulus);
        assert_eq!(URL_SAFE_NO_PAD.encode(production.fingerprint()), key);
        assert_eq!(production.bits(), 3072);
    }
}

#[test]
fn a_refusal_names_what_was_wrong_where_and_what_is_allowed() {
    let text = json!({ "manifestVersion": "6" }).to_string();
    let flaw = Manifest::parse(&text).unwrap_err();
    let said =
        "update manifest, manifestVersion: is \"6\", allowed are the strings \"4\" and \"5\"";
    assert_eq!(flaw.to_string(), said);

    let text = json!({ "manifestVersion": "5", "updateId": { "provider": "P", "name": 7 } });
    let flaw = Manifest::parse(&text.to_string()).unwrap_err();
    let said = "update manifest, updateId.name: is a number, allowed is a string";
    assert_eq!(flaw.to_string(), said);
}

#[test]
fn a_member_that_is_no_text_is_told_apart() {
    for value in [None, Some(&json!(null)), Some(&json!({ "manifestVersion": "5" }))] {
        let flaw = Manifest::from_member(value).unwrap_err();
        assert_eq!((flaw.reason, flaw.reported().to_string()), (Reason::NoText, "80300001".into()));
    }
}

#[test]
fn every_flaw_has_a_code_to_report_and_words_are_unique() {
    let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    assert_eq!(words.len(), Reason::ALL.len());
    let documents = [
        Document::Manifest,
        Document::Child,
        Document::Import,
        Document::Signature,
        Document::Package,
        Document::File,
    ];
    for document in documents {
        for reason in Reason::ALL {
            let flaw = Flaw::new(document, *reason, "", "");
            assert_ne!(flaw.reported(), ExtendedResultCode::NONE, "{document:?} {reason:?}");
        }
    }
}

#[test]
fn codes_have_the_names_of_their_parts() {
    let code = ExtendedResultCode(0xA020_0004);
    assert_eq!(code.facility_name(), Some("infrastructure"));
    assert_eq!(code.component_name(), Some("JWS"));
    assert_eq!(ExtendedResultCode(0xB000_0000).facility_name(), None);
    assert_eq!(ResultCode::APPLIED.meaning(), Some("apply success"));
    assert_eq!(ResultCode(12).meaning(), None);
    assert_eq!(State::from_number(255).map(State::number), Some(255));
    assert_eq!(State::from_number(5), None);
}

#[test]
fn more_informational_codes_than_a_report_carries_are_left_out() {
    let many = [ExtendedResultCode::ROOT_KEYS_UNCHANGED; 12];
    let codes = ExtendedResultCodes::new(ExtendedResultCode::NONE, &many);
    assert_eq!(codes.informational.len(), 8);
    assert_eq!(codes.to_string().parse(), Ok(codes));
}

#[test]
fn an_installed_update_id_has_its_keys_in_order_and_its_version_as_written() {
    let id = json!({ "version": "4.02", "name": "Lathe", "provider": "Fabrikam" });
    let id = UpdateId::from_value(&id).unwrap();
    assert_eq!(id.to_string(), r#"{"provider":"Fabrikam","name":"Lathe","version":"4.02"}"#);
    assert_eq!(id.version.to_string(), "4.2");
}

#[test]
fn a_member_that_is_there_twice_is_refused_in_what_is_signed() {
    assert!(serde_json::from_str::<Ordered>(r#"{"a":1,"b":2}"#).is_ok());
    assert!(serde_json::from_str::<Ordered>(r#"{"a":1,"a":2}"#).is_err());
}

#[test]
fn text_is_written_as_agents_write_it() {
    let text = r#" { "b" : [ 1.0, 1e2, -0.5 ] , "a\/" : "\u0001\u0041\n\\\"é" } "#;
    let ordered: Ordered = serde_json::from_str(text).unwrap();
    assert_eq!(ordered.to_string(), r#"{"b":[1,100,-0.5],"a\/":"\u0001A\n\\\"é"}"#);
}

#[test]
fn an_agent_without_root_keys_trusts_nobody() {
    let none = RootKeys::new();
    let package = r#"{"protected":{"version":1,"published":1,"disabledRootKeys":[],
        "disabledSigningKeys":[],"rootKeys":{"k":{"keyType":"RSA","n":"AQAB","e":3}}},
        "signatures":[{"alg":"RS256","sig":"AAAA"}]}"#;
    let package = Package::parse(package).unwrap();
    let flaw = package.verify(&none, Build::Production).unwrap_err();
    assert_eq!(flaw.reason, Reason::PackageSignature);
    let trust = Trust { roots: &none, store: Store::Empty };
    assert!(verify(Some(""), Some("a.b.c"), &trust).is_err());
}

#[test]
fn keys_of_zeros_are_none_and_small_ones_verify_nothing() {
    assert_eq!(PublicKey::new(&[0, 0], &[3]), None);
    let small = PublicKey::new(&[0xC5], &[3]).unwrap();
    assert!(!small.verifies(b"", &[1]));
}
