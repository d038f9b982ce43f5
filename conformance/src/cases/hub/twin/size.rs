//! How large the sections of a twin may grow (HUB-VALI-012 to -015).
//!
//! Sizes are those of the documented counting, in ASCII, and stay 5 % and more away from the
//! limits: on which byte they bite is not promised (hub-twins.md § 8.2).

use std::ops::Range;

use serde_json::{Value, json};

use super::sides::{Side, Writer};
use crate::bench::Bench;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-size-over-desired",
        title: "Desired properties do not grow to 36 KB",
        requirements: &["HUB-VALI-012", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(over(bench, Side::Desired)),
    },
    Case {
        id: "twin-size-over-put",
        title: "A PUT of 36 KB of desired properties is refused",
        requirements: &["HUB-VALI-012", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(over_at_once(bench, Side::DesiredPut)),
    },
    Case {
        id: "twin-size-over-reported",
        title: "Reported properties do not grow to 36 KB",
        requirements: &["HUB-VALI-012", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(over(bench, Side::Reported)),
    },
    Case {
        id: "twin-size-over-module",
        title: "A module's reported properties do not grow to 36 KB",
        requirements: &["HUB-VALI-012", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(over_at_once(bench, Side::ModuleReported)),
    },
    Case {
        id: "twin-size-over-tags",
        title: "Tags do not grow to 9 KB",
        requirements: &["HUB-VALI-013", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(over_tags(bench)),
    },
    Case {
        id: "twin-size-error-http",
        title: "A back end is told 403 DeviceModelMaxPropertiesExceeded when a section is too large",
        requirements: &["HUB-VALI-014"],
        needs: &[],
        run: |bench| Box::pin(size_error(bench, Side::Desired)),
    },
    Case {
        id: "twin-size-error-mqtt",
        title: "A device is told 403 and 403100 when its reported properties are too large",
        requirements: &["HUB-VALI-014"],
        needs: &[],
        run: |bench| Box::pin(size_error(bench, Side::Reported)),
    },
    Case {
        id: "twin-size-below-desired",
        title: "30 KB of desired properties are taken",
        requirements: &["HUB-VALI-015"],
        needs: &[],
        run: |bench| Box::pin(below(bench, Side::Desired, 30)),
    },
    Case {
        id: "twin-size-below-reported",
        title: "30 KB of reported properties are taken",
        requirements: &["HUB-VALI-015"],
        needs: &[],
        run: |bench| Box::pin(below(bench, Side::Reported, 30)),
    },
    Case {
        id: "twin-size-below-tags",
        title: "7 KB of tags are taken",
        requirements: &["HUB-VALI-015"],
        needs: &[],
        run: |bench| Box::pin(below(bench, Side::Tags, 7)),
    },
];

/// One member of 1 KB for each number: a key of 3 and a string of 1021 characters.
pub(super) fn kilobytes(numbers: Range<usize>) -> Value {
    let member = |number| (format!("k{number:02}"), json!("x".repeat(1021)));
    Value::Object(numbers.map(member).collect())
}

async fn over(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    for first in [0, 6, 12, 18, 24] {
        writer.write(bench, &kilobytes(first..first + 6)).await?;
    }
    let reply = writer.send_bad(bench, &kilobytes(30..36)).await?;
    bench.demand("HUB-VALI-012", reply.is_refused(), "36 KB refused", reply.to_string());
    Ok(())
}

async fn over_at_once(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &kilobytes(0..2)).await?;
    let reply = writer.send_bad(bench, &kilobytes(0..36)).await?;
    bench.demand("HUB-VALI-012", reply.is_refused(), "36 KB refused", reply.to_string());
    Ok(())
}

async fn over_tags(bench: &mut Bench) -> Checked {
    let mut writer = Writer::new(bench, Side::Tags).await?;
    writer.write(bench, &kilobytes(0..4)).await?;
    writer.write(bench, &kilobytes(4..7)).await?;
    let reply = writer.send_bad(bench, &kilobytes(7..9)).await?;
    bench.demand("HUB-VALI-013", reply.is_refused(), "9 KB refused", reply.to_string());
    Ok(())
}

async fn size_error(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &kilobytes(0..30)).await?;
    let reply = writer.send(bench, &kilobytes(30..36)).await?;
    let named = reply.has_code("DeviceModelMaxPropertiesExceeded", 403_100);
    let allowed = "403 and DeviceModelMaxPropertiesExceeded, 403100";
    bench.demand("HUB-VALI-014", reply.status() == 403 && named, allowed, reply.to_string());
    Ok(())
}

async fn below(bench: &mut Bench, side: Side, kilobytes_most: usize) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let members = kilobytes(0..kilobytes_most);
    let reply = writer.send(bench, &members).await?;
    let allowed = format!("{kilobytes_most} KB taken");
    if bench.demand("HUB-VALI-015", reply.is_accepted(), allowed, reply.to_string()) {
        let stored = writer.stored(bench).await?;
        bench.equal_json("HUB-VALI-015", "section", &members, &stored);
    }
    Ok(())
}
