//! What an agent's profile may say of its start: everything else is named with what is allowed.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;

use twinspec_harness::agent::HandlerSpec;
use twinspec_model::auth::is_key;
use twinspec_model::identity::id_error;

use super::{Meet, PLACEHOLDERS, Start};

/// Figures of a profile that are seconds: a case has no more than a few minutes.
const SECONDS: RangeInclusive<u64> = 1..=600;

pub(super) fn check_seconds(name: &str, seconds: u64) -> Result<(), String> {
    if SECONDS.contains(&seconds) {
        return Ok(());
    }
    Err(format!("{name} is {seconds}, allowed are {} to {}", SECONDS.start(), SECONDS.end()))
}

pub(super) fn check_start(start: &Start) -> Result<(), String> {
    check_seconds("start.connect_s", start.connect_s)?;
    check_seconds("start.terminate_s", start.terminate_s)?;
    for (name, value) in &start.environment {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!(
                "start.environment has the name {name:?}, allowed are names that are not empty and \
                 hold neither = nor NUL"
            ));
        }
        if value.contains('\0') {
            return Err(format!("start.environment.{name} holds a NUL, allowed is text without"));
        }
    }
    if start.command.iter().chain(&start.directory).any(|text| text.contains('\0')) {
        return Err(
            "start.command or start.directory holds a NUL, allowed is text without".to_owned()
        );
    }
    check_texts(start)
}

/// Looks for the folder in which an agent is to run; what stands for a word is known later.
pub(super) fn check_directory(start: &Start, folder: &Path) -> Result<(), String> {
    match &start.directory {
        Some(text) if !text.contains('{') && !folder.join(text).is_dir() => Err(format!(
            "start.directory is {text:?}, and {} is no folder",
            folder.join(text).display()
        )),
        _ => Ok(()),
    }
}

/// Looks for the program of an agent where it will be looked for when it is started; what stands for
/// a word is known later.
pub(super) fn check_program(start: &Start, folder: &Path) -> Result<(), String> {
    let Some(program) = start.command.first().filter(|program| !program.contains('{')) else {
        return Ok(());
    };
    let problem = |why: String| format!("start.command: {why}");
    if program.contains('/') {
        return executable(&folder.join(program)).map_err(problem);
    }
    let Some(path) = start.environment.get("PATH").cloned().or_else(|| std::env::var("PATH").ok())
    else {
        return Ok(());
    };
    let directory = start.directory.as_deref().unwrap_or_default();
    if path.contains('{') || directory.contains('{') {
        return Ok(());
    }
    // It is looked up where it will run: what is relative in PATH begins there.
    let directory = folder.join(directory);
    let mut places = std::env::split_paths(&path).map(|place| directory.join(place).join(program));
    if places.any(|place| executable(&place).is_ok()) {
        return Ok(());
    }
    Err(problem(format!(
        "no folder of PATH has a program {program:?}; one beside the profile has a slash, such as \
         ./{program}"
    )))
}

fn executable(program: &Path) -> Result<(), String> {
    HandlerSpec::Program(program.to_owned()).check()
}

pub(super) fn check_meet(meet: &Meet) -> Result<(), String> {
    for (name, text) in [("mqtts", &meet.mqtts), ("content", &meet.content)] {
        if text.parse::<SocketAddr>().is_err() {
            return Err(format!(
                "meet.{name} is {text:?}, allowed is an address with a port, such as 127.0.0.1:8883"
            ));
        }
    }
    if let Some(why) = id_error(&meet.device_id) {
        return Err(format!("meet.device_id is {:?}: {why}", meet.device_id));
    }
    // Never shown: it is a secret.
    if !is_key(&meet.key) {
        return Err("meet.key is no key, allowed is base64 of 16 to 64 bytes".to_owned());
    }
    check_seconds("meet.connect_s", meet.connect_s)
}

fn check_texts(start: &Start) -> Result<(), String> {
    let files = start.files.iter().flat_map(|file| [&file.path, &file.text]);
    let arguments = start.command.iter().chain(start.environment.values());
    // A file's text may have braces of its own, as JSON has: only what looks like a word counts.
    for text in arguments.chain(start.directory.iter()).chain(files) {
        let words = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        let mut unknown = words.map(|(word, _)| word).filter(|word| is_word(word));
        if let Some(word) = unknown.find(|word| !PLACEHOLDERS.contains(word)) {
            let allowed = PLACEHOLDERS.join("}, {");
            return Err(format!("there is no placeholder {{{word}}}, allowed are {{{allowed}}}"));
        }
    }
    let leaves =
        |path: &str| !path.starts_with("{work_dir}/") || path.split('/').any(|level| level == "..");
    match start.files.iter().find(|file| leaves(&file.path)) {
        Some(file) => Err(format!("file {} does not lie in {{work_dir}}", file.path)),
        None => Ok(()),
    }
}
