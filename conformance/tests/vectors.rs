//! The golden vectors: valid by their schemas, and in step with the model.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use twinspec::{ambiguity, requirement, vectors};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn cases(file: &Value) -> &Vec<Value> {
    file["cases"].as_array().expect("a vector file has cases")
}

#[test]
fn no_published_byte_differs_from_what_would_be_written() {
    let made = vectors::make(&folder()).unwrap();
    assert_eq!(vectors::compare(&folder(), &made).unwrap(), Vec::<String>::new());
}

#[test]
fn every_file_is_valid_by_its_schema() {
    for family in vectors::FAMILIES {
        let name = format!("{}.json", family.name);
        let schema = read(&folder().join("schema").join(&name));
        jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("schema {name}: {e}"));
        let validator = jsonschema::validator_for(&schema).unwrap();
        for path in [folder().join(&name), folder().join("authored").join(&name)] {
            let problems: Vec<String> = validator
                .iter_errors(&read(&path))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
        }
    }
}

#[test]
fn ids_are_unique_and_references_resolve() {
    let mut ids = BTreeSet::new();
    for family in vectors::FAMILIES {
        for case in cases(&read(&folder().join(format!("{}.json", family.name)))) {
            let id = case["id"].as_str().unwrap().to_owned();
            for name in case["requirements"].as_array().unwrap() {
                assert!(requirement::find(name.as_str().unwrap()).is_some(), "{id}: {name}");
            }
            if let Some(point) = case.get("ambiguity") {
                assert!(ambiguity::find(point.as_str().unwrap()).is_some(), "{id}: {point}");
            }
            assert!(ids.insert(id.clone()), "{id} is there twice");
        }
    }
}

#[test]
fn there_are_two_hundred_vectors_and_a_third_is_authored() {
    let made = vectors::make(&folder()).unwrap();
    let authored: usize = made.iter().map(|family| family.authored).sum();
    let all: usize = made.iter().map(|family| family.authored + family.generated).sum();
    assert!(all >= 200 && authored * 3 >= all, "{authored} of {all}");
}

#[test]
fn an_authored_expectation_that_the_model_contradicts_is_found_and_nothing_is_written() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contradicted");
    std::fs::create_dir_all(scratch.join("authored")).unwrap();
    for family in vectors::FAMILIES {
        let name = format!("{}.json", family.name);
        let text = std::fs::read_to_string(folder().join("authored").join(&name)).unwrap();
        let wrong = text.replacen(r#""result": {"#, r#""result": {"wrong": 1, "#, 1);
        std::fs::write(scratch.join("authored").join(&name), wrong).unwrap();
        std::fs::write(scratch.join(&name), "before").unwrap();
    }
    let made = vectors::make(&scratch).unwrap();
    let problems = vectors::write(&scratch, &made).unwrap();
    assert!(problems.iter().any(|p| p.contains("twin-patch-a0")), "{problems:#?}");
    let after = std::fs::read_to_string(scratch.join("twin-patch.json")).unwrap();
    assert_eq!(after, "before");
    let problems = vectors::compare(&folder(), &made).unwrap();
    assert!(problems.iter().any(|p| p.contains("drift")), "{problems:#?}");
}
