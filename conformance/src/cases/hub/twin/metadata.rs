//! What the metadata of a twin looks like (HUB-META-005, -006, -009).
//!
//! Metadata may hold more than is asked for: entries of removed keys have been seen to linger
//! (hub-twins.md § 5), and whether the elements of arrays get entries is open.

use serde_json::{Value, json};

use super::sides::{Side, Writer};
use crate::bench::{Bench, shorten, words};
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-metadata-mirrors-desired",
        title: "Each desired object and leaf has its $lastUpdated",
        requirements: &["HUB-META-005"],
        needs: &[],
        run: |bench| Box::pin(mirrors(bench, Side::Desired)),
    },
    Case {
        id: "twin-metadata-mirrors-put",
        title: "Each object and leaf of a PUT has its $lastUpdated",
        requirements: &["HUB-META-005"],
        needs: &[],
        run: |bench| Box::pin(mirrors(bench, Side::DesiredPut)),
    },
    Case {
        id: "twin-metadata-mirrors-reported",
        title: "Each reported object and leaf has its $lastUpdated",
        requirements: &["HUB-META-005"],
        needs: &[],
        run: |bench| Box::pin(mirrors(bench, Side::Reported)),
    },
    Case {
        id: "twin-metadata-mirrors-module",
        title: "Each object and leaf that a module reports has its $lastUpdated",
        requirements: &["HUB-META-005"],
        needs: &[],
        run: |bench| Box::pin(mirrors(bench, Side::ModuleReported)),
    },
    Case {
        id: "twin-metadata-version-desired",
        title: "Desired metadata has $lastUpdatedVersion at each level",
        requirements: &["HUB-META-006"],
        needs: &[],
        run: |bench| Box::pin(update_versions(bench, Side::Desired)),
    },
    Case {
        id: "twin-metadata-version-reported",
        title: "Reported metadata has no $lastUpdatedVersion",
        requirements: &["HUB-META-006"],
        needs: &[],
        run: |bench| Box::pin(update_versions(bench, Side::Reported)),
    },
    Case {
        id: "twin-metadata-times-desired",
        title: "The times in desired metadata are ISO 8601 in UTC with Z",
        requirements: &["HUB-META-009"],
        needs: &[],
        run: |bench| Box::pin(utc_times(bench, Side::Desired)),
    },
    Case {
        id: "twin-metadata-times-reported",
        title: "The times in reported metadata are ISO 8601 in UTC with Z",
        requirements: &["HUB-META-009"],
        needs: &[],
        run: |bench| Box::pin(utc_times(bench, Side::Reported)),
    },
];

/// The paths in `$metadata` of all that [`written`] holds: the section, its objects, its leaves.
const PATHS: [&str; 8] =
    ["", "/leaf", "/text", "/outer", "/outer/leaf", "/outer/inner", "/outer/inner/leaf", "/empty"];

fn written() -> Value {
    json!({ "leaf": 1, "text": "t", "outer": { "leaf": true, "inner": { "leaf": 1.5 } }, "empty": {} })
}

async fn metadata_of_written(bench: &mut Bench, side: Side) -> Checked<Value> {
    let mut writer = Writer::new(bench, side).await?;
    let twin = writer.write(bench, &written()).await?;
    Ok(side.metadata(&twin))
}

async fn mirrors(bench: &mut Bench, side: Side) -> Checked {
    let metadata = metadata_of_written(bench, side).await?;
    for path in PATHS {
        let time = metadata.pointer(&format!("{path}/$lastUpdated"));
        let allowed = format!("$metadata{path}/$lastUpdated, a text");
        let seen = shorten(&metadata.to_string());
        bench.demand("HUB-META-005", time.is_some_and(Value::is_string), allowed, seen);
    }
    Ok(())
}

async fn update_versions(bench: &mut Bench, side: Side) -> Checked {
    let metadata = metadata_of_written(bench, side).await?;
    for path in PATHS {
        let version = metadata.pointer(&format!("{path}/$lastUpdatedVersion"));
        let (holds, allowed) = match side {
            Side::Reported => (version.is_none(), "no"),
            _ => (version.is_some_and(Value::is_u64), "an integer"),
        };
        let allowed = format!("{allowed} $metadata{path}/$lastUpdatedVersion");
        bench.demand("HUB-META-006", holds, allowed, shorten(&metadata.to_string()));
    }
    Ok(())
}

async fn utc_times(bench: &mut Bench, side: Side) -> Checked {
    let metadata = metadata_of_written(bench, side).await?;
    for path in PATHS {
        let time = metadata.pointer(&format!("{path}/$lastUpdated")).and_then(Value::as_str);
        let allowed = format!("$metadata{path}/$lastUpdated as YYYY-MM-DDThh:mm:ss[.fffffff]Z");
        let seen = words(&time);
        bench.demand("HUB-META-009", time.is_some_and(is_utc_time), allowed, seen);
    }
    Ok(())
}

/// Whether `text` is ISO 8601 in UTC with `Z` and 0 to 7 fractional digits.
fn is_utc_time(text: &str) -> bool {
    let Some(text) = text.strip_suffix('Z') else {
        return false;
    };
    let (seconds, fraction) = match text.split_once('.') {
        None => (text, None),
        Some((seconds, fraction)) => (seconds, Some(fraction)),
    };
    let fits = |(byte, shape): (u8, u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    let shape = "0000-00-00T00:00:00";
    let is_fraction = |fraction: &str| {
        (1..=7).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit())
    };
    seconds.len() == shape.len()
        && seconds.bytes().zip(shape.bytes()).all(fits)
        && fraction.is_none_or(is_fraction)
}
