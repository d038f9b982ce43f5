//! Laws on generated texts and documents.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::detached;
use super::identity::Version;
use super::import::ImportManifest;
use super::key::RootKeys;
use super::manifest::{Manifest, Step};
use super::ordered::Ordered;
use super::result_code::{ExtendedResultCode, ExtendedResultCodes, conclude};
use super::root_key::{Build, Package};
use super::signature::{Store, Trust, verify};

/// JSON of any kind, with the names and texts that the documents know.
fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        prop::sample::select(vec!["4", "5.0", "reference", "inline", "f01", "1.2", "RSA", "AQAB"])
            .prop_map(str::to_owned),
        "[a-zA-Z0-9+/=._:é\\\\\" -]{0,50}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Fractions that every reader reads exactly.
        any::<i16>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "manifestVersion",
        "updateId",
        "steps",
        "files",
        "f01",
        "hashes",
        "sha256",
        "fileName",
        "type",
        "handler",
        "protected",
        "signatures",
        "rootKeys",
        "n",
        "e",
        "alg",
        "a/b",
    ];
    prop_oneof![prop::sample::select(known).prop_map(str::to_owned), "[a-z./\"\\\\é]{0,6}"]
}

fn manifest() -> Value {
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let file =
        json!({ "fileName": "a", "filename": "a", "sizeInBytes": 1, "hashes": { "sha256": hash } });
    json!({
        "manifestVersion": "5",
        "updateId": { "provider": "P", "name": "N", "version": "1.2" },
        "compatibility": [{ "model": "m" }],
        "instructions": { "steps": [
            { "handler": "p/n:1", "files": ["f01"] },
            { "type": "reference", "detachedManifestFileId": "f01" },
        ] },
        "files": { "f01": file },
        "createdDateTime": "2031-05-04T10:11:12Z",
    })
}

/// Places of a manifest that are given another value.
fn place() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/manifestVersion",
        "/updateId",
        "/updateId/version",
        "/compatibility",
        "/compatibility/0",
        "/instructions",
        "/instructions/steps",
        "/instructions/steps/0",
        "/instructions/steps/0/handler",
        "/instructions/steps/0/files",
        "/instructions/steps/1",
        "/instructions/steps/1/type",
        "/files",
        "/files/f01",
        "/files/f01/hashes",
        "/files/f01/hashes/sha256",
        "/files/f01/sizeInBytes",
        "/createdDateTime",
    ])
}

fn parse_as_everything(text: &str) {
    let roots = RootKeys::production();
    let trust = Trust { roots: &roots, store: Store::Unreadable };
    let _either_way = (
        Manifest::parse(text).map_err(|flaw| (flaw.to_string(), flaw.reported())),
        ImportManifest::parse(text).map_err(|flaw| flaw.to_string()),
        detached::parse(text.as_bytes()),
        Package::parse(text).and_then(|package| package.verify(&roots, Build::Production)),
        text.parse::<ExtendedResultCodes>(),
    );
    assert!(verify(Some(text), Some(text), &trust).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,200}", bytes in any::<Vec<u8>>()) {
        parse_as_everything(&text);
        let _either_way = detached::parse(&bytes);
    }

    #[test]
    fn no_document_makes_a_reader_panic(value in value()) {
        parse_as_everything(&value.to_string());
    }

    #[test]
    fn a_manifest_that_is_taken_has_steps_whose_files_are_there(
        place in place(),
        value in value(),
    ) {
        let mut document = manifest();
        if let Some(spot) = document.pointer_mut(place) {
            *spot = value;
        }
        parse_as_everything(&document.to_string());
        let Ok(manifest) = Manifest::parse(&document.to_string()) else { return Ok(()) };
        prop_assert!((1..=10).contains(&manifest.steps.len()));
        for step in &manifest.steps {
            match step {
                Step::Inline(step) => {
                    prop_assert!(!step.files.is_empty() && !step.handler.is_empty());
                    prop_assert!(step.files.iter().all(|id| manifest.files.contains_key(id)));
                }
                Step::Reference { detached_manifest_file_id } => {
                    prop_assert!(manifest.files.contains_key(detached_manifest_file_id));
                }
            }
        }
        let installed = manifest.update_id.to_string();
        let state = super::result_code::State::Idle;
        prop_assert_eq!(
            conclude(state, Some(&installed), &manifest.update_id),
            super::result_code::Conclusion::Succeeded
        );
    }

    #[test]
    fn versions_compare_like_their_numbers(
        left in prop::collection::vec(0..2_147_483_648_u32, 2..=4),
        right in prop::collection::vec(0..12_u32, 2..=4),
        zeros in 0..3_usize,
    ) {
        let parse = |numbers: &[u32]| {
            let texts: Vec<String> =
                numbers.iter().map(|n| format!("{}{n}", "0".repeat(zeros))).collect();
            Version::parse(&texts.join(".")).unwrap()
        };
        let (l, r) = (parse(&left), parse(&right));
        prop_assert_eq!(l.cmp(&r), left.cmp(&right));
        prop_assert_eq!(Version::parse(&l.to_string()).unwrap(), l);
    }

    #[test]
    fn extended_result_codes_survive_every_way_of_writing(code in any::<u32>()) {
        let code = ExtendedResultCode(code);
        prop_assert_eq!(code.to_string().parse(), Ok(code));
        prop_assert_eq!(ExtendedResultCode::from_signed(code.signed()), code);
        let parts = u32::from(code.facility()) << 28
            | u32::from(code.component()) << 20
            | code.value();
        prop_assert_eq!(parts, code.0);
    }

    #[test]
    fn what_is_written_in_order_reads_back_the_same(value in value()) {
        let ordered: Ordered = serde_json::from_str(&value.to_string()).unwrap();
        prop_assert_eq!(ordered.to_value(), value);
        let again: Ordered = serde_json::from_str(&ordered.to_string()).unwrap();
        prop_assert_eq!(again.to_string(), ordered.to_string());
    }
}
