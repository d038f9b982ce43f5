//! What a run leaves behind, and what takes cases out of it.

use std::path::PathBuf;

use super::{read_json, scratch, stdout, twinspec};

#[test]
fn reports_are_valid_by_the_published_schemas() {
    let (json, junit) = (scratch("report.json"), scratch("report.xml"));
    let traces = scratch("traces");
    let report = |format: &str, path: &PathBuf| format!("{format}={}", path.display());
    let output = twinspec(&[
        "--filter",
        "HUB-TWIN",
        "--seed",
        "7",
        "--report",
        &report("json", &json),
        "--report",
        &report("junit", &junit),
        "--traces",
        &traces.display().to_string(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let report = read_json(&json);
    assert_eq!(report["seed"], 7);
    assert_eq!(report["summary"]["fail"], 0);
    let schema = |name| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    let schema_of = |name| jsonschema::validator_for(&read_json(&schema(name))).unwrap();
    schema_of("report.json").validate(&report).unwrap();
    let trace_schema = schema_of("trace.json");
    let mut lines = 0;
    for entry in std::fs::read_dir(&traces).unwrap() {
        for line in std::fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            trace_schema.validate(&serde_json::from_str(line).unwrap()).unwrap();
            assert!(!line.contains("sig=") || line.contains("sig=[redacted]"), "{line}");
            lines += 1;
        }
    }
    assert!(lines > 50, "{lines} trace lines");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("<testsuite name=\"hub.twin\""));
}

#[test]
fn a_repeated_run_says_so_in_its_report() {
    let json = scratch("repeated.json");
    let report = format!("json={}", json.display());
    let arguments = ["--filter", "twin-get-echoes-rid", "--seed", "1", "--report", &report];
    let run = |more: &[&str]| {
        let output = twinspec(&[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
        (stdout(&output), read_json(&json))
    };
    let (text, report) = run(&["--repeat", "2"]);
    assert!(text.ends_with("2 runs, 0 cases with differing verdicts\n"), "{text}");
    assert!(text.contains("\nCONFORMANT: 1 case against "), "{text}");
    assert_eq!(report["repeated"], serde_json::json!({ "runs": 2, "differing": [] }));
    let schema = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/report.json");
    jsonschema::validator_for(&read_json(&schema)).unwrap().validate(&report).unwrap();
    assert_eq!(run(&[]).1.get("repeated"), None);
}

#[test]
fn published_schemas_are_those_of_the_program() {
    for name in ["report", "trace"] {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.json"));
        let published = std::fs::read_to_string(file).unwrap();
        assert_eq!(published, stdout(&twinspec(&["schema", name])), "schema of {name}");
    }
}

#[test]
fn a_known_failure_that_passes_is_an_unexpected_pass() {
    let known = scratch("known.toml");
    let text = "[[known]]\ncase = \"twin-get-echoes-rid\"\nreason = \"not yet\"\n";
    std::fs::write(&known, text).unwrap();
    let known = known.display().to_string();
    let output =
        twinspec(&["--filter", "twin-get-echoes-rid", "--known-failures", &known, "--seed", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("1 unexpected-pass"), "{}", stdout(&output));
}

#[test]
fn a_profile_takes_cases_out_with_its_reason() {
    let profile = scratch("profile.toml");
    let text = "[[unsupported]]\nrequirement = \"HUB-TWIN-020\"\nreason = \"never throttles\"\n";
    std::fs::write(&profile, text).unwrap();
    let (profile, json) = (profile.display().to_string(), scratch("unsupported.json"));
    let report = format!("json={}", json.display());
    let judge = |filter: &str| {
        let filter = ["--filter", filter, "--report", &report];
        twinspec(&[&["test", "hub", "--profile", &profile], &filter[..]].concat())
    };
    let output = judge("HUB-TWIN-020");
    assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    assert!(stdout(&output).contains("NOTHING JUDGED: 2 cases"), "{}", stdout(&output));
    let finding = &read_json(&json)["cases"][0]["findings"][0]["seen"];
    assert_eq!(finding, "HUB-TWIN-020: never throttles");
    let output = judge("HUB-TWIN-020,twin-get-echoes-rid");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("\nCONFORMANT: 3 cases"), "{}", stdout(&output));
}
