//! What a person reads after a run.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};
use twinspec_harness::trace::{Event, Message, Record};

use super::{CaseRecord, Conformance, Report, Summary};
use crate::requirement;
use crate::text::counted;
use crate::verdict::{Finding, Verdict};

/// Events shown before a finding.
const TRACE_LENGTH: usize = 6;

/// Lines of a program under test shown among them: many more would leave no room for what it did.
const WROTE_LENGTH: usize = 3;

/// Characters of a topic or body shown in a trace line.
const LINE_LENGTH: usize = 160;

/// The narrowest column of the table.
const CELL: usize = 6;

/// The whole report as text with ANSI styles; the stream strips them where nobody wants them.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for case in report.cases.iter().filter(|case| is_told(case.verdict)) {
        let style = style(case.verdict);
        let name = case.verdict.name().to_uppercase();
        let _infallible = writeln!(text, "{style}{name}{style:#} {} · {}", case.id, case.title);
        text.push_str(&details(case));
        text.push('\n');
    }
    text.push_str(&table(report));
    text.push_str(&unsupported(report));
    text.push_str(&set_up_errors(report));
    text.push_str(&left_behind(report));
    text.push_str(&broken_off(report));
    text.push_str(&closing(report));
    text
}

/// Findings of a case: what was demanded, allowed and seen, and the trace around it.
#[must_use]
pub fn details(case: &CaseRecord) -> String {
    let mut text = String::new();
    if let Some(reason) = &case.known {
        let _infallible = writeln!(text, "  known failure: {reason}");
    }
    for finding in &case.findings {
        describe(finding, &case.trace, &mut text);
    }
    text
}

fn describe(finding: &Finding, trace: &[Record], text: &mut String) {
    let head = match (&finding.requirement, finding.level) {
        (Some(id), Some(level)) => format!("{id} {level} {}", finding.statement),
        _ => finding.statement.clone(),
    };
    let around = around(trace, finding.at);
    let mut lines = Vec::new();
    lines.extend(finding.source.iter().map(|source| ("source", source.clone())));
    lines.push(("allowed", finding.allowed.clone()));
    lines.push(("seen", finding.seen.clone()));
    let name = |index| if index == 0 { "trace" } else { "" };
    lines.extend(around.iter().enumerate().map(|(index, r)| (name(index), event_line(r))));
    let _infallible = writeln!(text, "  {head}");
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _infallible = writeln!(text, "    {name:<8} {value}");
    }
}

/// The last events of `trace` before the number `at`.
fn around(trace: &[Record], at: usize) -> Vec<&Record> {
    let (mut events, mut lines) = (TRACE_LENGTH, WROTE_LENGTH);
    let before = trace.get(..at.min(trace.len())).unwrap_or_default().iter().rev();
    let is_shown = |record: &&Record| {
        let left = if matches!(record.event, Event::Wrote(_)) { &mut lines } else { &mut events };
        let is_left = *left > 0;
        *left = left.saturating_sub(1);
        is_left
    };
    let mut shown: Vec<&Record> = before.filter(is_shown).take(TRACE_LENGTH).collect();
    shown.reverse();
    shown
}

/// One event as a line: time, actor, direction, what.
fn event_line(record: &Record) -> String {
    let what = match &record.event {
        Event::Opened { endpoint } => format!("opens {endpoint}"),
        Event::Sent(message) => format!("→ {}", message_line(message)),
        Event::Received(message) => format!("← {}", message_line(message)),
        Event::SentBytes(hex) => format!("→ bytes {hex}"),
        Event::ReceivedMalformed(what) => format!("← malformed bytes: {what}"),
        Event::ClosedByPeer => "← the peer closed".to_owned(),
        Event::Closed => "→ closed".to_owned(),
        Event::Request(http) => format!("→ {} {}", http.start, http.body),
        Event::Response(http) => format!("← {} {}", http.start, http.body),
        Event::Wrote(line) => format!("wrote: {line}"),
    };
    let milliseconds = record.at_us / 1000;
    let cut: String = what.chars().take(LINE_LENGTH).collect();
    let more = if cut.len() < what.len() { "…" } else { "" };
    format!("{milliseconds:>6} ms {} {}{more}", record.actor, cut.trim_end())
}

fn message_line(message: &Message) -> String {
    let mut line = message.packet.clone();
    for part in [&message.topic, &message.payload].into_iter().flatten() {
        line.push(' ');
        line.push_str(part);
    }
    if !message.detail.is_empty() {
        let _infallible = write!(line, " {}", message.detail);
    }
    line
}

/// Whether a person has to be told of a case.
fn is_told(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Pass | Verdict::Unsupported | Verdict::ExpectedFail => false,
        Verdict::Note
        | Verdict::Warn
        | Verdict::UnexpectedPass
        | Verdict::Fail
        | Verdict::Inconclusive
        | Verdict::Error => true,
    }
}

/// Verdicts counted by subject and family.
fn table(report: &Report) -> String {
    let mut rows: BTreeMap<(&str, usize), (String, Summary)> = BTreeMap::new();
    for case in &report.cases {
        let (position, title) = family_of(case);
        let row =
            rows.entry((&case.subject, position)).or_insert_with(|| (title, Summary::default()));
        row.1.add(case.verdict);
    }
    let shown: Vec<Verdict> = Verdict::ALL
        .into_iter()
        .filter(|verdict| *verdict == Verdict::Pass || report.summary.count(*verdict) > 0)
        .collect();
    let names: Vec<String> = shown.iter().map(|v| column(*v, v.name())).collect();
    let bold = Style::new().bold();
    let mut text = format!("{bold}{:<44}{}{bold:#}\n", "subject", names.concat());
    for ((subject, _), (title, summary)) in &rows {
        let counts: Vec<String> =
            shown.iter().map(|verdict| column(*verdict, summary.count(*verdict))).collect();
        let name = format!("{subject}: {title}");
        let _infallible = writeln!(text, "{name:<44}{}", counts.concat());
    }
    text
}

/// A cell of the table below the name of `verdict`, with room before it.
fn column(verdict: Verdict, cell: impl Display) -> String {
    let width = verdict.name().len().max(CELL) + 2;
    format!("{cell:>width$}")
}

/// Why cases were not run, with how many there were.
fn unsupported(report: &Report) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for case in report.cases.iter().filter(|case| case.verdict == Verdict::Unsupported) {
        let reason = case.findings.first().map_or("no reason", |finding| finding.seen.as_str());
        *reasons.entry(reason).or_default() += 1;
    }
    let line = |(reason, count): (&str, usize)| format!("unsupported: {count} × {reason}\n");
    reasons.into_iter().map(line).collect()
}

/// What the run registered and could not remove: somebody else has to.
fn left_behind(report: &Report) -> String {
    match report.left_behind.len() {
        0 => String::new(),
        count => format!(
            "left behind: {count} devices, configurations or jobs that the hub did not remove: {}\n",
            report.left_behind.join(" ")
        ),
    }
}

/// What the hub could not do at once, although no case was about it.
fn set_up_errors(report: &Report) -> String {
    match report.set_up_errors {
        0 => String::new(),
        count => format!(
            "not well: {} the hub answered 5xx to what only prepared a case; that was \
             tried again\n",
            counted(count, "time")
        ),
    }
}

/// What a run that was broken off leaves open.
fn broken_off(report: &Report) -> String {
    match report.not_run {
        0 => String::new(),
        count => format!(
            "broken off: {count} of {} cases were not run to their end\n",
            count + report.cases.len()
        ),
    }
}

/// Place and title of the family that a case is mainly about.
fn family_of(case: &CaseRecord) -> (usize, String) {
    let first = case.requirements.first().map(String::as_str).unwrap_or_default();
    let families = &requirement::FAMILIES;
    let position = families.iter().position(|family| family.owns(first)).unwrap_or(families.len());
    let title =
        families.get(position).map_or("Open points of the sources", |family| family.title.as_str());
    (position, title.to_owned())
}

fn closing(report: &Report) -> String {
    let present = Verdict::ALL.into_iter().filter(|verdict| report.summary.count(*verdict) > 0);
    let counts: Vec<String> =
        present.map(|verdict| format!("{} {verdict}", report.summary.count(verdict))).collect();
    let (style, word) = match report.conformance() {
        Conformance::Conformant => (AnsiColor::Green.on_default().bold(), "CONFORMANT"),
        Conformance::NotConformant => (AnsiColor::Red.on_default().bold(), "NOT CONFORMANT"),
        Conformance::Unknown if report.is_empty() && report.not_run == 0 => {
            (AnsiColor::Yellow.on_default().bold(), "NOTHING JUDGED")
        }
        Conformance::Unknown => (AnsiColor::Yellow.on_default().bold(), "NO VERDICT"),
    };
    format!(
        "\n{style}{word}{style:#}: {} against {}: {} (seed {})\n",
        counted(report.cases.len(), "case"),
        report.target,
        counts.join(", "),
        report.seed
    )
}

fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Pass | Verdict::Unsupported | Verdict::ExpectedFail => AnsiColor::Green,
        Verdict::Note => AnsiColor::Cyan,
        Verdict::Warn | Verdict::Inconclusive => AnsiColor::Yellow,
        Verdict::UnexpectedPass | Verdict::Fail | Verdict::Error => AnsiColor::Red,
    };
    colour.on_default().bold()
}
