//! JSON of any kind into a twin: a refusal changes nothing, and an accepted write keeps the laws.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use twinspec_model::json;
use twinspec_model::time::Time;
use twinspec_model::twin::limits::TwinLimits;
use twinspec_model::twin::section::size_of_members;
use twinspec_model::twin::{Twin, TwinWrite, WriteMode};

fuzz_target!(|data: &[u8]| {
    let (limits, now) = (TwinLimits::default(), Time::from_unix_seconds(1_900_000_000));
    let mut twin = Twin::new();
    // Several documents, one after the other, so that they meet what others left.
    for text in data.split(|byte| *byte == b'\n') {
        let Ok(body) = json::parse(text) else { continue };
        let before = twin.clone();
        let kept = match twin.report(&body, None, &limits, now) {
            Ok(version) => version == before.reported.version() + 1,
            Err(_) => twin == before,
        };
        assert!(kept);
        for mode in [WriteMode::Patch, WriteMode::Replace] {
            let nested = serde_json::json!({ "tags": body, "properties": { "desired": body } });
            let before = twin.clone();
            let written = TwinWrite::from_body(mode, &nested)
                .and_then(|write| twin.write(mode, &write, &limits, now));
            assert!(written.is_ok() || twin == before);
        }
        for section in [&twin.tags, &twin.desired, &twin.reported] {
            let members = section.members();
            assert_eq!(section.size(), size_of_members(&members));
            assert!(no_null(&Value::Object(members)));
        }
    }
});

fn no_null(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(elements) => elements.iter().all(no_null),
        Value::Object(members) => members.values().all(no_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
