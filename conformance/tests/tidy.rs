//! The house rules that a compiler does not know.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use twinspec::requirement::Level;
use twinspec::{ambiguity, case, mutants, requirement};

/// Longest source file, in lines; tests may be longer.
const FILE_LINES_MAX: usize = 600;
const TEST_LINES_MAX: usize = 800;

/// Families whose MUST and SHOULD all have a case or a stated reason.
const COVERED: &[&str] = &[
    "HUB-CONN",
    "HUB-SESS",
    "HUB-TELE",
    "HUB-TWIN",
    "HUB-MERGE",
    "HUB-META",
    "HUB-NOTI",
    "HUB-CONC",
    "HUB-VALI",
    "HUB-METH",
    "HUB-AUTH",
    "HUB-REG",
    "HUB-CFG",
    "HUB-HTTP",
    "JOB",
    "ADU-AGENT",
    "ADU-MANIFEST",
    "ADU-SIG",
    "DEV-NET",
    "QRY",
    "FW-A",
    "FW-B",
    "FW-C",
    "FW-D",
    "FW-S",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Every source line of `room`'s crate, without comments, with its file and number.
fn code_lines(room: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for path in rust_files(&root().join(room)) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default().to_owned();
            lines.push((format!("{}:{}", path.display(), index + 1), code));
        }
    }
    lines
}

#[track_caller]
fn nowhere(lines: &[(String, String)], words: &[&str], why: &str) {
    for (place, line) in lines {
        for word in words {
            assert!(!line.contains(word), "{place}: {word} ({why})");
        }
    }
}

fn dependencies(room: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn arrows_between_rooms_point_one_way() {
    let model = dependencies("model");
    for foreign in ["twinspec", "twinspec-harness", "tokio", "hyper", "rumqttc", "fastrand"] {
        assert!(!model.contains(foreign), "model must not know {foreign}");
    }
    assert!(!dependencies("harness").contains("twinspec"), "harness must not know conformance");
}

#[test]
fn the_model_is_pure() {
    let own = |(place, _): &(String, String)| place.contains("/src/");
    let lines: Vec<_> = code_lines("model").into_iter().filter(own).collect();
    let impure =
        ["SystemTime", "Instant", "std::net", "std::fs", "std::env", "std::thread", "async "];
    nowhere(&lines, &impure, "the model reads no clock and does no I/O");
    nowhere(&lines, &["HashMap", "HashSet"], "the model is ordered");
}

#[test]
fn nothing_is_unfinished_or_ignored() {
    let unfinished = [
        concat!("to", "do!"),
        concat!("unimpl", "emented!"),
        concat!("#[ig", "nore"),
        concat!("should_", "panic"),
        concat!("thread::", "sleep"),
    ];
    for room in ["model", "harness", "conformance"] {
        nowhere(&code_lines(room), &unfinished, "nothing is left open, ignored or slept through");
    }
    nowhere(&code_lines("conformance/src/cases"), &["sleep"], "cases do not sleep");
}

#[test]
fn cases_take_no_expectation_from_the_model() {
    let semantics = ["model::twin", "model::hub", "model::registry", "model::session"];
    nowhere(&code_lines("conformance/src/cases"), &semantics, "expectations come from outside");
}

#[test]
fn files_stay_small_enough_to_hold_in_mind() {
    for room in ["model", "harness", "conformance"] {
        for path in rust_files(&root().join(room)) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            let is_test =
                path.ends_with("tests.rs") || path.components().any(|c| c.as_os_str() == "tests");
            let max = if is_test { TEST_LINES_MAX } else { FILE_LINES_MAX };
            assert!(lines <= max, "{} has {lines} lines, allowed are {max}", path.display());
        }
    }
}

#[test]
fn case_ids_are_unique_kebab_case_and_begin_with_their_subject() {
    let mut seen = BTreeSet::new();
    for (group, case) in case::all() {
        assert!(seen.insert(case.id), "{} is there twice", case.id);
        assert!(case.id.starts_with(&format!("{}-", group.subject)), "{}", case.id);
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(case.id.chars().all(kebab), "{}", case.id);
    }
}

#[test]
fn requirements_named_by_cases_and_mutants_exist() {
    for (_, case) in case::all() {
        assert!(!case.requirements.is_empty(), "{} checks nothing", case.id);
        for id in case.requirements {
            let exists = requirement::find(id).is_some() || ambiguity::find(id).is_some();
            assert!(exists, "{} names {id}", case.id);
        }
    }
    let mut seen = BTreeSet::new();
    for mutant in mutants::all() {
        assert!(seen.insert(mutant.id), "{} is there twice", mutant.id);
        for id in mutant.requirements {
            let has_case = case::all().any(|(_, case)| case.requirements.contains(id));
            assert!(has_case, "mutant {} breaks {id}, which no case checks", mutant.id);
        }
    }
}

#[test]
fn every_binding_requirement_of_the_covered_families_has_a_case_and_a_mutant_or_a_reason() {
    for (family, requirement) in requirement::all() {
        if !COVERED.contains(&family.family.as_str()) || requirement.level < Level::Should {
            continue;
        }
        let id = requirement.id.as_str();
        let has_case = case::all().any(|(_, case)| case.requirements.contains(&id));
        let has_mutant = mutants::all().any(|mutant| mutant.requirements.contains(&id));
        let is_excused = requirement.untestable.is_some();
        assert!(has_case != is_excused, "{id}: either a case or a reason why there is none");
        assert!(has_mutant || is_excused, "{id}: its cases were never seen to fail");
    }
}
