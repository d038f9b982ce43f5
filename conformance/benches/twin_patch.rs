//! Twin patch against `json-patch`'s merge, on the same documents.
//!
//! Ours also keeps versions, change times, sizes and limits, and validates; theirs merges only.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[expect(dead_code, reason = "this benchmark needs no server")]
mod peers;

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use twinspec_model::time::Time;
use twinspec_model::twin::Twin;
use twinspec_model::twin::limits::TwinLimits;

/// Interleaved runs of both sides.
const RUNS: usize = 9;
/// Patches in one run of one side.
const PATCHES: usize = 200_000;

/// A twin of some sixty members, as devices have them.
fn document() -> Value {
    let section = |n: usize| json!({ "rpm": n, "mode": "eco", "limits": { "low": 1.5, "high": 80 }, "tags": ["a", "b"] });
    (0..12).map(|n| (format!("part{n:02}"), section(n))).collect()
}

/// What a device reports: two values, one of them nested.
fn patches() -> Vec<Value> {
    (0..64)
        .map(|n| json!({ format!("part{:02}", n % 12): { "rpm": n, "limits": { "high": n } } }))
        .collect()
}

fn main() {
    let (document, patches) = (document(), patches());
    let (limits, now) = (TwinLimits::default(), Time::from_unix_seconds(1_900_000_000));
    let mut twin = Twin::new();
    twin.report(&document, None, &limits, now).unwrap();
    let mut plain = document;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let began = Instant::now();
        for patch in patches.iter().cycle().take(PATCHES) {
            black_box(twin.report(black_box(patch), None, &limits, now)).unwrap();
        }
        let our_time = began.elapsed().as_secs_f64();
        let began = Instant::now();
        for patch in patches.iter().cycle().take(PATCHES) {
            json_patch::merge(black_box(&mut plain), black_box(patch));
        }
        let their_time = began.elapsed().as_secs_f64();
        ours.push(our_time);
        theirs.push(their_time);
        ratios.push(their_time / our_time);
    }
    assert_eq!(Value::Object(twin.reported.members()), plain, "both sides merged the same");
    let nanoseconds = |times| peers::median(times) / PATCHES as f64 * 1e9;
    println!(
        "twin patch: ours {:.0} ns, json-patch merge {:.0} ns, speed ratio {:.2} (median of {RUNS})",
        nanoseconds(ours),
        nanoseconds(theirs),
        peers::median(ratios)
    );
}
