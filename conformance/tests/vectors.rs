//! The golden vectors: valid by their schemas, and in step with the model.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

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
fn the_open_points_are_published_with_every_mark_among_them() {
    let schema = read(&folder().join("schema/ambiguities.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let file = read(&folder().join("ambiguities.json"));
    assert!(validator.is_valid(&file), "{:?}", validator.iter_errors(&file).next());
    let points = file["ambiguities"].as_array().unwrap();
    let points: BTreeSet<&str> = points.iter().map(|point| point["id"].as_str().unwrap()).collect();
    for family in vectors::FAMILIES {
        for case in cases(&read(&folder().join(format!("{}.json", family.name)))) {
            let mark = case.get("ambiguity").and_then(Value::as_str);
            assert!(mark.is_none_or(|mark| points.contains(mark)), "{}: {mark:?}", case["id"]);
        }
    }
}

#[test]
fn open_points_that_are_out_of_date_are_found() {
    let scratch = changed("points", "topic", |text| format!("{text}\n"));
    std::fs::write(scratch.join("ambiguities.json"), "before").unwrap();
    let made = vectors::make(&scratch).unwrap();
    let problems = vectors::compare(&scratch, &made).unwrap();
    let told = |problem: &String| problem.contains("ambiguities.json: drift at line 1");
    assert!(problems.iter().any(told), "{problems:#?}");
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

/// The authored files in a folder of their own, those of `family` after `change`, and published
/// files that say nothing.
fn changed(name: &str, family: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(scratch.join("authored")).unwrap();
    for made in vectors::FAMILIES {
        let name = format!("{}.json", made.name);
        let mut text = std::fs::read_to_string(folder().join("authored").join(&name)).unwrap();
        if made.name == family {
            let before = text.clone();
            text = change(&text);
            assert_ne!(text, before, "{family} was not changed");
        }
        std::fs::write(scratch.join("authored").join(&name), text).unwrap();
        std::fs::write(scratch.join(&name), "before").unwrap();
    }
    scratch
}

#[test]
fn an_authored_case_that_hides_an_open_point_is_found() {
    let unmark = |text: &str| text.replacen(r#""ambiguity": "A-J04","#, "", 1);
    let made = vectors::make(&changed("unmarked", "job-transition", unmark)).unwrap();
    let problems = vectors::compare(&folder(), &made).unwrap();
    let told = |p: &String| p.starts_with("job-transition-a0") && p.contains("A-J04");
    assert!(problems.iter().any(told), "{problems:#?}");
}

#[test]
fn an_input_that_is_there_twice_is_found() {
    let again = |text: &str| {
        let first = text.find("    {").unwrap();
        let end = text.find("\n    },").unwrap() + "\n    },".len();
        let case = text[first..end].replace("-a001", "-a999");
        format!("{}{case}\n{}", &text[..first], &text[first..])
    };
    let made = vectors::make(&changed("twice", "twin-replace", again)).unwrap();
    let problems = vectors::compare(&folder(), &made).unwrap();
    let told = |p: &String| p.starts_with("twin-replace-a001") && p.contains("same input");
    assert!(problems.iter().any(told), "{problems:#?}");
}

/// Equal inputs with different marks or expectations cannot be published: no input is there twice.
#[test]
fn no_input_is_published_twice() {
    const HEAD: &[&str] =
        &["id", "title", "requirements", "provenance", "source", "ambiguity", "expect"];
    for family in vectors::FAMILIES {
        let mut inputs = BTreeSet::new();
        for case in cases(&read(&folder().join(format!("{}.json", family.name)))) {
            let mut input = case.clone();
            input.as_object_mut().unwrap().retain(|name, _| !HEAD.contains(&name.as_str()));
            assert!(inputs.insert(input.to_string()), "{} asks what another asks", case["id"]);
        }
    }
}

/// Numbers of generated cases that were published once, with what they are about.
#[test]
fn generated_numbers_keep_their_meaning() {
    for (family, id, words) in [
        ("firmware", "firmware-g178", None),
        ("firmware", "firmware-g179", Some("direct-method tutorial-2016, downloading")),
        ("device-job-2016", "device-job-2016-g001", None),
        ("topic", "topic-g012", Some("The filter topic")),
        ("import-manifest", "import-manifest-g011", Some("10 steps")),
        ("twin-validation", "twin-validation-g027", Some("a space in tags")),
    ] {
        let file = read(&folder().join(format!("{family}.json")));
        let case = cases(&file).iter().find(|case| case["id"] == id);
        let title = case.map(|case| case["title"].as_str().unwrap());
        match words {
            None => assert_eq!(title, None, "{id}"),
            Some(words) => assert!(title.unwrap_or_default().contains(words), "{id}: {title:?}"),
        }
    }
}

#[test]
fn an_authored_expectation_that_the_model_contradicts_is_found_and_nothing_is_written() {
    let wrong = |text: &str| text.replacen(r#""result": {"#, r#""result": {"wrong": 1, "#, 1);
    let scratch = changed("contradicted", "twin-patch", wrong);
    let made = vectors::make(&scratch).unwrap();
    let problems = vectors::write(&scratch, &made).unwrap();
    assert!(problems.iter().any(|p| p.contains("twin-patch-a0")), "{problems:#?}");
    let after = std::fs::read_to_string(scratch.join("twin-patch.json")).unwrap();
    assert_eq!(after, "before");
    let problems = vectors::compare(&folder(), &made).unwrap();
    assert!(problems.iter().any(|p| p.contains("drift")), "{problems:#?}");
}
