//! The known deviations of the published samples, recognised by what can be seen from outside
//! (firmware-patterns.md § b.5, b.6, c.5, c.6 and d.4).

use serde_json::Value;

use super::words::{SPELLINGS, Words, is_phase};

/// Something that a back end sees of an update, or does.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// The device has connected.
    Connected,
    /// `desired.firmware` is patched with this.
    Wanted(Value),
    /// `firmwareUpdate` is called with this payload.
    Called(Value),
    /// The device has answered the call.
    Answered(i64),
    /// All reported properties, as they are now.
    Shown(Value),
    /// The device is gone and does not come back by itself.
    Gone,
}

/// A known deviation.
#[derive(Debug)]
pub struct Deviation {
    /// What it is called.
    pub name: &'static str,
    /// Where the sources tell of it, and what it is.
    pub text: &'static str,
    /// The requirement that it breaks; none for what is only another way to spell.
    pub requirement: Option<&'static str>,
    shows: fn(&[Moment]) -> bool,
}

/// All that can be recognised.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        name: "busy-hides-phase",
        text: "§ b.5 hazard 1: a request during an update is reported as current",
        requirement: Some("FW-B22"),
        shows: |moments| twin_job_steps(moments).any(|(was, is)| hides(was, is)),
    },
    Deviation {
        name: "request-not-frozen",
        text: "§ b.5 hazard 2: a refused request changes the version that is reported in the end",
        requirement: Some("FW-B18"),
        shows: |moments| {
            twin_job_steps(moments).any(|(was, is)| {
                let version = text(is, "currentFwVersion");
                text(was, "fwUpdateStatus") == "rebooting"
                    && version != text(was, "currentFwVersion")
                    && version != text(was, "pendingFwVersion")
            })
        },
    },
    Deviation {
        name: "partial-patch-ends-agent",
        text: "§ b.5 hazard 3: a patch without fwPackageURI ends the program",
        requirement: Some("FW-B19"),
        shows: |moments| {
            let is_partial = |moment: &Moment| matches!(moment, Moment::Wanted(patch) if patch.get("fwPackageURI").is_none());
            let last_two = moments.split_last().map(|(last, rest)| (last, rest.last()));
            matches!(last_two, Some((Moment::Gone, Some(before))) if is_partial(before))
        },
    },
    Deviation {
        name: "start-overwrites-version",
        text: "§ b.5 hazard 4: the block at the start says 1.0.0, whatever runs",
        requirement: Some("FW-B20"),
        shows: |moments| {
            twin_job_steps(moments).any(|(was, is)| {
                let before = text(was, "currentFwVersion");
                !is_phase(text(was, "fwUpdateStatus"))
                    && text(is, "currentFwVersion") == "1.0.0"
                    && !["", "1.0.0"].contains(&before)
            })
        },
    },
    Deviation {
        name: "roll-back-leaves-pending",
        text: "§ b.5: after rolledback pendingFwVersion stays, and no end time is written",
        requirement: Some("FW-B10"),
        shows: |moments| {
            let mut blocks = shown(moments).filter_map(|reported| reported.get("firmware"));
            blocks.any(|block| {
                text(block, "fwUpdateStatus") == "rolledback"
                    && !text(block, "pendingFwVersion").is_empty()
            })
        },
    },
    Deviation {
        name: "checks-do-not-stop",
        text: "§ b.6: a refused request is worked on all the same",
        requirement: Some("FW-B14"),
        shows: |moments| {
            moments.windows(3).any(|three| match three {
                [Moment::Wanted(_), Moment::Shown(refused), Moment::Shown(next)] => {
                    let detail = "/firmware/fwUpdateSubstatus";
                    let refused = refused.pointer(detail).and_then(Value::as_str);
                    let pending = next.pointer("/firmware/pendingFwVersion");
                    let is_refusal = matches!(
                        refused,
                        Some("Insecure package URI" | "Firmware already up to date")
                    );
                    is_refusal && pending.and_then(Value::as_str).is_some_and(|p| !p.is_empty())
                }
                _ => false,
            })
        },
    },
    Deviation {
        name: "failure-never-reported",
        text: "§ c.5: a failing download throws, so that downloadfailed is never reported",
        requirement: Some("FW-S01"),
        shows: |moments| {
            let last = shown(moments).last().and_then(|reported| method_block(reported));
            let is_open = last.is_some_and(|(words, block)| {
                let status = text(block, "status");
                words.place(status).is_some() && status != words.last()
            });
            is_open && moments.last() == Some(&Moment::Gone)
        },
    },
    Deviation {
        name: "error-without-members",
        text: "§ c.5: applyFailed comes with an error that says nothing",
        requirement: Some("FW-C09"),
        shows: |moments| {
            shown(moments).filter_map(method_block).any(|(words, block)| {
                let has = |pointer| block.pointer(pointer).is_some();
                words.is_failure(text(block, "status"))
                    && !(has("/error/code") && has("/error/message"))
            })
        },
    },
    Deviation {
        name: "answers-before-it-looks",
        text: "§ c.2: the call is answered 200 whatever its address",
        requirement: None,
        shows: |moments| {
            moments.windows(2).any(|two| match two {
                [Moment::Called(payload), Moment::Answered(200)] => {
                    let uri = payload.get("fwPackageUri").and_then(Value::as_str);
                    uri.is_some_and(|uri| uri.starts_with("http://"))
                }
                _ => false,
            })
        },
    },
    Deviation {
        name: "stuck-after-failure",
        text: "§ c.6: the device in C refuses every call after a failure, until it is restarted",
        requirement: Some("FW-S01"),
        shows: |moments| {
            moments.windows(3).any(|three| match three {
                [
                    Moment::Shown(reported),
                    Moment::Called(Value::String(uri)),
                    Moment::Answered(400),
                ] => {
                    let failed = method_block(reported)
                        .is_some_and(|(words, block)| words.is_failure(text(block, "status")));
                    failed && uri.starts_with("https://")
                }
                _ => false,
            })
        },
    },
    Deviation {
        name: "updates-interleave",
        text: "§ c.4 and d.4: a second call during an update starts a second one beside it",
        requirement: Some("FW-C12"),
        shows: |moments| {
            let pairs = || {
                moments.iter().filter_map(|moment| match moment {
                    Moment::Shown(reported) => Some(reported),
                    _ => None,
                })
            };
            pairs().zip(pairs().skip(1)).any(|(was, is)| goes_back(was, is))
        },
    },
    Deviation {
        name: "completed-before-it-began",
        text: "§ d.3: after the call the twin still says completed, from an earlier run",
        requirement: None,
        shows: |moments| {
            moments.windows(4).any(|four| match four {
                [
                    Moment::Shown(_),
                    Moment::Called(_),
                    Moment::Answered(200),
                    Moment::Shown(now),
                ] => text(now, "firmwareStatus") == "completed",
                _ => false,
            })
        },
    },
];

/// The deviations that `moments` show.
#[must_use]
pub fn recognise(moments: &[Moment]) -> Vec<&'static Deviation> {
    DEVIATIONS.iter().filter(|deviation| (deviation.shows)(moments)).collect()
}

/// The variant of pattern (c) in which `moments` are told (§ c.6); the first that knows all of it.
#[must_use]
pub fn spelling(moments: &[Moment]) -> Option<&'static Words> {
    SPELLINGS.iter().find(|words| {
        let mut told = shown(moments).map(|reported| reported.pointer(words.root)).peekable();
        told.peek().is_some()
            && told.all(|block| {
                let status = block.map_or("", |block| text(block, "status"));
                words.place(status).is_some() || words.is_failure(status)
            })
    })
}

fn shown(moments: &[Moment]) -> impl Iterator<Item = &Value> {
    moments.iter().filter_map(|moment| match moment {
        Moment::Shown(reported) => Some(reported),
        _ => None,
    })
}

/// The blocks of pattern (b), each with the one before it.
fn twin_job_steps(moments: &[Moment]) -> impl Iterator<Item = (&Value, &Value)> {
    let blocks = || shown(moments).filter_map(|reported| reported.get("firmware"));
    blocks().zip(blocks().skip(1))
}

fn hides(was: &Value, is: &Value) -> bool {
    is_phase(text(was, "fwUpdateStatus"))
        && text(is, "fwUpdateStatus") == "current"
        && text(is, "currentFwVersion") == text(was, "currentFwVersion")
}

/// The block of pattern (c), with a variant that knows its status.
fn method_block(reported: &Value) -> Option<(&'static Words, &Value)> {
    SPELLINGS.iter().find_map(|words| {
        let block = reported.pointer(words.root)?;
        let status = text(block, "status");
        let is_known = words.place(status).is_some() || words.is_failure(status);
        is_known.then_some((words, block))
    })
}

/// Whether an update that has not ended goes back to an earlier status.
fn goes_back(was: &Value, is: &Value) -> bool {
    if let (Some((words, was)), Some((_, is))) = (method_block(was), method_block(is)) {
        let (was, is) = (text(was, "status"), text(is, "status"));
        let is_over = was == words.last() || words.is_failure(was);
        return !is_over && words.place(is) < words.place(was) && words.place(is).is_some();
    }
    let place = |reported: &Value| {
        let status = text(reported, "firmwareStatus").to_owned();
        ["downloading", "applying", "completed"].iter().position(|known| *known == status)
    };
    matches!((place(was), place(is)), (Some(was), Some(is)) if is < was && was < 2)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
