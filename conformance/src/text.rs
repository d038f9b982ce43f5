//! Texts that people write and read: files made by hand, messages of bounded length.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// What a profile or a list of known failures may hold at most, in bytes.
pub(crate) const FILE_MAX: u64 = 1 << 20;

/// Characters of a line of a message.
const LINE_MAX: usize = 300;

/// Reads the file at `path` if it holds at most `most` bytes of text.
///
/// A file may have no end, as a device has none: it is never read further than that.
pub(crate) fn read(path: &Path, most: u64) -> Result<String> {
    let mut text = Vec::new();
    let length = File::open(path)?.take(most + 1).read_to_end(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length > most) {
        let why = format!("it holds more than the {most} bytes that are allowed");
        return Err(Error::new(ErrorKind::FileTooLarge, why));
    }
    String::from_utf8(text)
        .map_err(|error| Error::new(ErrorKind::InvalidData, format!("it is no text: {error}")))
}

/// `message` with no line longer than a person reads: some quote what was given.
pub(crate) fn shortened(message: &str) -> String {
    let line = |line: &str| match line.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    };
    message.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A number of things: `1 case`, `2 cases`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        let error = read(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(error.to_string(), "it holds more than the 1000 bytes that are allowed");
        let itself = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let length = std::fs::metadata(&itself).unwrap().len();
        assert!(read(&itself, length).is_ok());
        assert!(read(&itself, length - 1).is_err());
    }

    #[test]
    fn long_lines_of_a_message_are_cut_and_others_stay() {
        assert_eq!(shortened("one\ntwo"), "one\ntwo");
        let long = format!("short\n{}", "ä".repeat(200_000));
        let lines: Vec<usize> = shortened(&long).lines().map(|l| l.chars().count()).collect();
        assert_eq!(lines, [5, LINE_MAX + 1]);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "case")), ["0 cases", "1 case", "2 cases"]);
    }
}
