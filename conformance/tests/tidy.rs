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

/// All that the model is built on: each of them computes, and does nothing else.
const PURE_CRATES: &[&str] = &[
    "base64",
    "bytes",
    "coap-lite",
    "compact_str",
    "hmac",
    "http",
    "percent-encoding",
    "ring",
    "serde",
    "serde_json",
    "sha2",
    "time",
];

/// Words of what reads a clock, draws a random number, does I/O, or outlives a call.
const IMPURE: &[&str] = &[
    "SystemTime",
    "Instant",
    "now_utc",
    "now_local",
    "std::net",
    "std::fs",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "async ",
    "rand::",
    "::rand",
    "{rand",
    " rand,",
    " rand}",
    "getrandom",
    "SystemRandom",
    " static ",
    "thread_local",
    "OnceLock",
    "LazyLock",
];

/// The subjects of the model that cases may use: names, keys, times, and how messages are written; none
/// of them says what a hub does with a message.
const SHARED_WITH_CASES: &[&str] = &["auth", "identity", "time", "wire"];

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

/// `text` without its comments, in the same lines.
fn without_comments(text: &str) -> String {
    let (mut code, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let (token, after) = rest.split_at(token_length(rest));
        if token.starts_with("/*") {
            code.extend(token.chars().filter(|c| *c == '\n'));
        } else if !token.starts_with("//") {
            code.push_str(token);
        }
        rest = after;
    }
    code
}

/// The length of the comment, literal, word or sign at the start of `text`.
fn token_length(text: &str) -> usize {
    let word = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let through = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => through("*/", 2),
        [b'"', ..] => string_length(text),
        [b'\'', b'\\', ..] => through("'", 3),
        [b'\'', ..] => {
            let closes = text.char_indices().nth(2).is_some_and(|(_, c)| c == '\'');
            if closes { through("'", 1) } else { 1 }
        }
        _ if ["r", "br", "cr"].contains(&&text[..word]) => {
            let hashes = text[word..].bytes().take_while(|byte| *byte == b'#').count();
            let is_string = text[word + hashes..].starts_with('"');
            let end = format!("\"{}", "#".repeat(hashes));
            if is_string { through(&end, word + hashes + 1) } else { word }
        }
        _ => word.max(text.chars().next().map_or(0, char::len_utf8)),
    }
}

/// The length of the string literal at the start of `text`.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Every source line of `room`'s crate, without comments, with its file and number.
fn code_lines(room: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for path in rust_files(&root().join(room)) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (index, line) in without_comments(&text).lines().enumerate() {
            lines.push((format!("{}:{}", path.display(), index + 1), line.to_owned()));
        }
    }
    lines
}

/// The first of `words` in `line`, which may begin a line as well as follow something.
fn word_in<'a>(line: &str, words: &[&'a str]) -> Option<&'a str> {
    let line = format!(" {line} ");
    words.iter().copied().find(|word| line.contains(word))
}

#[track_caller]
fn nowhere(lines: &[(String, String)], words: &[&str], why: &str) {
    for (place, line) in lines {
        let found = word_in(line, words);
        assert!(found.is_none(), "{place}: {} ({why})", found.unwrap_or_default());
    }
}

fn dependencies(room: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    for elsewhere in ["build-dependencies", "target"] {
        assert!(!manifest.contains_key(elsewhere), "{room} has {elsewhere}");
    }
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn arrows_between_rooms_point_one_way() {
    for known in dependencies("model") {
        assert!(PURE_CRATES.contains(&known.as_str()), "model must not know {known}");
    }
    assert!(!dependencies("harness").contains("twinspec"), "harness must not know conformance");
}

#[test]
fn the_model_is_pure() {
    let own = |(place, _): &(String, String)| place.contains("/src/");
    let lines: Vec<_> = code_lines("model").into_iter().filter(own).collect();
    nowhere(&lines, IMPURE, "the model reads no clock, draws nothing, does no I/O, keeps nothing");
    nowhere(&lines, &["HashMap", "HashSet"], "the model is ordered");
}

#[test]
fn what_is_impure_is_seen_wherever_it_stands() {
    for line in [
        "let now = SystemTime::now();",
        "let now = Instant::now();",
        "let now = OffsetDateTime::now_utc();",
        "use std::net::TcpStream;",
        "use std::fs;",
        "std::env::var(name)",
        "std::process::id()",
        "use std::io::Read;",
        "std::thread::spawn(run)",
        "async fn run() {}",
        "let word: u32 = rand::random();",
        "getrandom::fill(&mut bytes)",
        "use ring::rand::SystemRandom;",
        "use ring::rand;",
        "use ring::{rand, digest};",
        "use ring::{digest, rand, rsa};",
        "use ring::{digest, rand};",
        "static COUNT: AtomicU64 = AtomicU64::new(0);",
        "    pub(super) static mut COUNT: u64 = 0;",
        "thread_local!(COUNT)",
        "use std::sync::OnceLock;",
        "LazyLock::new(table)",
        r#"let url = "https://host"; Instant::now()"#,
        "let slashes = \"\n//\"; Instant::now()",
        r##"let quote = '"'; Instant::now() // ""##,
        r##"let raw = r#"a " // "#; Instant::now()"##,
        r#"let escaped = "\" // "; Instant::now()"#,
        "/* rightly */ Instant::now()",
    ] {
        let code = without_comments(line);
        assert!(code.lines().any(|code| word_in(code, IMPURE).is_some()), "{line}");
    }
    for line in [
        "// An Instant is not needed.",
        "let name: &'static str = operand; // at that Instant",
        "/* Instant */ let a = 'a';",
    ] {
        assert_eq!(word_in(&without_comments(line), IMPURE), None, "{line}");
    }
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
    for (place, line) in code_lines("conformance/src/cases") {
        // Each subject by its whole name: what is grouped or renamed could be anything.
        for path in line.split("twinspec_model").skip(1) {
            let subject = path.strip_prefix("::").unwrap_or_default();
            let subject = subject.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let is_known = SHARED_WITH_CASES.contains(&subject.unwrap_or_default());
            assert!(is_known, "{place}: {line} (expectations come from outside the model)");
        }
    }
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
