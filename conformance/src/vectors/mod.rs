//! The golden vectors: authored expectations, generated ones, and the check that they agree.
//!
//! `vectors/authored/` is written by hand and never touched here. A published file holds the
//! authored cases word for word, then the cases whose expectation the model computes.
//! The model also answers every authored input: where it says something else, nothing is written.

mod agent_phase;
mod configuration_target;
mod device_job;
mod device_job_2016;
mod firmware;
pub mod foreign;
mod import_manifest;
mod job_transition;
mod manifest_signature;
mod method;
mod query_eval;
mod query_parse;
mod result_code;
mod root_key_package;
mod sas_token;
mod tolerance;
mod topic;
mod twin_inputs;
mod twin_meeting;
mod twin_metadata;
mod twin_notification;
mod twin_patch;
mod twin_replace;
mod twin_stage;
mod twin_validation;
mod update_manifest;
mod update_stage;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ambiguity::{self, Ambiguity};

/// A family of vectors.
pub struct Family {
    /// Its name and that of its file.
    pub name: &'static str,
    /// What the model says to a case's input, in the form of `expect`.
    answer: fn(&Value) -> Result<Value, String>,
    /// Inputs that the model's answer is published for; new ones go to the end.
    inputs: fn() -> Vec<Input>,
    /// The open point of the sources that a case with this input and expectation touches, as far as
    /// generated cases can touch one. Authored cases may name further ones.
    open_point: OpenPoint,
}

/// From a case and its expectation to the id of an open point.
type OpenPoint = fn(&Value, &Value) -> Option<&'static str>;

/// For families whose generated cases touch no open point.
fn nothing_open(_case: &Value, _expect: &Value) -> Option<&'static str> {
    None
}

/// An input that is to become a generated case.
struct Input {
    title: String,
    requirements: Vec<&'static str>,
    /// The family's own members, in the order of the file.
    members: Vec<(&'static str, Value)>,
}

impl Input {
    /// The input as a case without head and expectation.
    fn case(&self) -> Value {
        let members = self.members.iter();
        Value::Object(members.map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }
}

/// Members of a case that are no input.
const NO_INPUT: &[&str] =
    &["id", "title", "requirements", "provenance", "source", "ambiguity", "expect"];

/// All families.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "agent-phase",
        answer: agent_phase::answer,
        inputs: agent_phase::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "configuration-target",
        answer: configuration_target::answer,
        inputs: configuration_target::inputs,
        open_point: configuration_target::open_point,
    },
    Family {
        name: "device-job",
        answer: device_job::answer,
        inputs: device_job::inputs,
        open_point: device_job::open_point,
    },
    Family {
        name: "device-job-2016",
        answer: device_job_2016::answer,
        inputs: device_job_2016::inputs,
        open_point: device_job_2016::open_point,
    },
    Family {
        name: "firmware",
        answer: firmware::answer,
        inputs: firmware::inputs,
        open_point: firmware::open_point,
    },
    Family {
        name: "import-manifest",
        answer: import_manifest::answer,
        inputs: import_manifest::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "job-transition",
        answer: job_transition::answer,
        inputs: job_transition::inputs,
        open_point: job_transition::open_point,
    },
    Family {
        name: "manifest-signature",
        answer: manifest_signature::answer,
        inputs: manifest_signature::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "method",
        answer: method::answer,
        inputs: method::inputs,
        open_point: method::open_point,
    },
    Family {
        name: "query-eval",
        answer: query_eval::answer,
        inputs: query_eval::inputs,
        open_point: query_eval::open_point,
    },
    Family {
        name: "query-parse",
        answer: query_parse::answer,
        inputs: query_parse::inputs,
        open_point: query_parse::open_point,
    },
    Family {
        name: "result-code",
        answer: result_code::answer,
        inputs: result_code::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "root-key-package",
        answer: root_key_package::answer,
        inputs: root_key_package::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "sas-token",
        answer: sas_token::answer,
        inputs: sas_token::inputs,
        open_point: sas_token::open_point,
    },
    Family {
        name: "topic",
        answer: topic::answer,
        inputs: topic::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "twin-metadata",
        answer: twin_metadata::answer,
        inputs: twin_metadata::inputs,
        open_point: twin_metadata::open_point,
    },
    Family {
        name: "twin-notification",
        answer: twin_notification::answer,
        inputs: twin_notification::inputs,
        open_point: twin_notification::open_point,
    },
    Family {
        name: "twin-patch",
        answer: twin_patch::answer,
        inputs: twin_patch::inputs,
        open_point: twin_patch::open_point,
    },
    Family {
        name: "twin-replace",
        answer: twin_replace::answer,
        inputs: twin_replace::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "twin-validation",
        answer: twin_validation::answer,
        inputs: twin_validation::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "update-file",
        answer: update_manifest::file::answer,
        inputs: update_manifest::file::inputs,
        open_point: nothing_open,
    },
    Family {
        name: "update-manifest",
        answer: update_manifest::answer,
        inputs: update_manifest::inputs,
        open_point: update_manifest::open_point,
    },
    Family {
        name: "update-version",
        answer: update_manifest::version::answer,
        inputs: update_manifest::version::inputs,
        open_point: nothing_open,
    },
];

/// A family as it should be published.
pub struct Made {
    /// Name of the family.
    pub name: &'static str,
    /// How many cases are authored.
    pub authored: usize,
    /// How many cases are generated.
    pub generated: usize,
    /// Where the model says something else than an authored expectation.
    contradictions: Vec<String>,
    text: String,
}

/// An authored file.
#[derive(Deserialize)]
struct Authored<'a> {
    #[serde(borrow)]
    cases: Vec<&'a RawValue>,
}

/// Makes every family from the authored files below `folder` and the model.
///
/// # Errors
/// Names the authored file that cannot be read.
pub fn make(folder: &Path) -> io::Result<Vec<Made>> {
    FAMILIES.iter().map(|family| make_family(folder, family)).collect()
}

/// Writes the published files; nothing when the model contradicts an authored expectation.
/// Returns the contradictions.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, made: &[Made]) -> io::Result<Vec<String>> {
    let contradictions: Vec<String> =
        made.iter().flat_map(|family| family.contradictions.clone()).collect();
    if contradictions.is_empty() {
        for (name, text) in files(made)? {
            std::fs::write(published(folder, name), text)?;
        }
    }
    Ok(contradictions)
}

/// Returns the contradictions, and every published file that differs from what would be written.
///
/// # Errors
/// When a published file cannot be read.
pub fn compare(folder: &Path, made: &[Made]) -> io::Result<Vec<String>> {
    let mut problems: Vec<String> =
        made.iter().flat_map(|family| family.contradictions.clone()).collect();
    for (name, text) in files(made)? {
        let path = published(folder, name);
        let old = read(&path)?;
        if old != text {
            let same = old.lines().zip(text.lines()).take_while(|(old, new)| old == new);
            let line = same.count() + 1;
            let path = path.display();
            problems.push(format!("{path}: drift at line {line}; see twinspec vectors regen"));
        }
    }
    Ok(problems)
}

/// The published files: their names without ending, and what they hold.
fn files(made: &[Made]) -> io::Result<Vec<(&'static str, String)>> {
    let mut files: Vec<(&'static str, String)> =
        made.iter().map(|family| (family.name, family.text.clone())).collect();
    files.push((OPEN_POINTS, open_points()?));
    Ok(files)
}

/// Name of the file that says what the marks of the cases mean.
const OPEN_POINTS: &str = "ambiguities";

/// What that file holds.
#[derive(Serialize)]
struct OpenPoints {
    #[serde(rename = "$schema")]
    schema: &'static str,
    ambiguities: &'static [Ambiguity],
}

fn open_points() -> io::Result<String> {
    let points = OpenPoints { schema: "schema/ambiguities.json", ambiguities: &ambiguity::ALL };
    Ok(serde_json::to_string_pretty(&points).map_err(io::Error::other)? + "\n")
}

fn published(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.json"))
}

fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn make_family(folder: &Path, family: &Family) -> io::Result<Made> {
    let path = folder.join("authored").join(format!("{}.json", family.name));
    let problem = |what: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
    };
    let source = read(&path)?;
    let authored: Authored<'_> =
        serde_json::from_str(&source).map_err(|error| problem(error.to_string()))?;
    let mut texts: Vec<String> = Vec::new();
    let mut contradictions = Vec::new();
    let mut asked = BTreeSet::new();
    for raw in &authored.cases {
        let case: Value =
            serde_json::from_str(raw.get()).map_err(|error| problem(error.to_string()))?;
        contradictions.extend(contradiction(family, &case));
        contradictions.extend(unmarked(family, &case));
        if !asked.insert(input_of(&case).to_string()) {
            let id = text(&case, "id").unwrap_or_default();
            contradictions.push(format!("{id}: another case of the family has the same input"));
        }
        texts.push(raw.get().to_owned());
    }
    for (index, input) in (family.inputs)().iter().enumerate() {
        let case = input.case();
        // What somebody asks already is not asked twice; its number stays free, so that the others
        // keep theirs.
        if asked.insert(input_of(&case).to_string()) {
            texts.push(generated(family, index + 1, input, &case).map_err(problem)?);
        }
    }
    let text = format!(
        "{{\n  \"$schema\": \"schema/{0}.json\",\n  \"family\": \"{0}\",\n  \"cases\": [\n    {1}\n  ]\n}}\n",
        family.name,
        texts.join(",\n    ")
    );
    Ok(Made {
        name: family.name,
        authored: authored.cases.len(),
        generated: texts.len() - authored.cases.len(),
        contradictions,
        text,
    })
}

/// The family's own members of a case.
fn input_of(case: &Value) -> Value {
    let own = |(name, _): &(&String, &Value)| !NO_INPUT.contains(&name.as_str());
    let members = case.as_object().into_iter().flatten().filter(own);
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// What is wrong when a case touches an open point and its author did not mark one.
fn unmarked(family: &Family, case: &Value) -> Option<String> {
    let expect = case.get("expect").unwrap_or(&Value::Null);
    let point = (family.open_point)(case, expect)?;
    let id = text(case, "id").unwrap_or("a case without id");
    case.get("ambiguity")
        .is_none()
        .then(|| format!("{id}: it touches the open point {point} and names none as its ambiguity"))
}

/// What is wrong when the model does not answer `case` as its author expects.
fn contradiction(family: &Family, case: &Value) -> Option<String> {
    let id = text(case, "id").unwrap_or("a case without id");
    let expected = case.get("expect").unwrap_or(&Value::Null);
    match (family.answer)(case) {
        Ok(answer) if answer == *expected => None,
        Ok(answer) => {
            Some(format!("{id}: the authored expectation is {expected}, the model says {answer}"))
        }
        Err(problem) => Some(format!("{id}: {problem}")),
    }
}

/// A generated case as text, indented like the authored ones.
fn generated(
    family: &Family,
    number: usize,
    input: &Input,
    case: &Value,
) -> Result<String, String> {
    let expect = (family.answer)(case).map_err(|problem| format!("{}: {problem}", input.title))?;
    let head = [
        ("id", Value::from(format!("{}-g{number:03}", family.name))),
        ("title", Value::from(input.title.clone())),
        ("requirements", Value::from(input.requirements.clone())),
        ("provenance", Value::from("generated")),
    ];
    let point = (family.open_point)(case, &expect);
    let point = point.map(|point| ("ambiguity", Value::from(point)));
    let members = input.members.iter().cloned().chain([("expect", expect)]);
    let mut text = String::from("{");
    for (index, (name, value)) in head.into_iter().chain(point).chain(members).enumerate() {
        let value = serde_json::to_string_pretty(&value).map_err(|error| error.to_string())?;
        let comma = if index == 0 { "" } else { "," };
        let _infallible =
            write!(text, "{comma}\n      \"{name}\": {}", value.replace('\n', "\n      "));
    }
    text.push_str("\n    }");
    Ok(text)
}

/// A member that every case of the family has.
fn member<'a>(case: &'a Value, name: &str) -> Result<&'a Value, String> {
    case.get(name).ok_or_else(|| format!("{name} is missing"))
}

/// A text member.
fn text<'a>(case: &'a Value, name: &str) -> Result<&'a str, String> {
    member(case, name)?.as_str().ok_or_else(|| format!("{name} is no string"))
}

/// A number member.
fn number(case: &Value, name: &str) -> Result<u64, String> {
    member(case, name)?.as_u64().ok_or_else(|| format!("{name} is no whole number"))
}
