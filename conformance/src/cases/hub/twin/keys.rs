//! Which keys and strings a twin takes (HUB-VALI-001 to -005).

use serde_json::json;

use super::sides::{Side, Writer};
use crate::bench::Bench;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-key-characters-desired",
        title: "Desired keys with a dot, a dollar sign or a space are refused with 400",
        requirements: &["HUB-VALI-001", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_characters(bench, Side::Desired)),
    },
    Case {
        id: "twin-key-characters-put",
        title: "A PUT of desired keys with a dot, a dollar sign or a space is refused with 400",
        requirements: &["HUB-VALI-001", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_characters(bench, Side::DesiredPut)),
    },
    Case {
        id: "twin-key-characters-tags",
        title: "Tag names with a dot, a dollar sign or a space are refused with 400",
        requirements: &["HUB-VALI-001", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_characters(bench, Side::Tags)),
    },
    Case {
        id: "twin-key-characters-reported",
        title: "Reported keys with a dot, a dollar sign or a space are refused with 400",
        requirements: &["HUB-VALI-001", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_characters(bench, Side::Reported)),
    },
    Case {
        id: "twin-key-characters-module",
        title: "A module's reported keys obey the rules for a device's",
        requirements: &["HUB-VALI-001", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_characters(bench, Side::ModuleReported)),
    },
    Case {
        id: "twin-key-control-characters-desired",
        title: "Desired keys with control characters are refused",
        requirements: &["HUB-VALI-002", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(control_characters(bench, Side::Desired)),
    },
    Case {
        id: "twin-key-control-characters-tags",
        title: "Tag names with control characters are refused",
        requirements: &["HUB-VALI-002", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(control_characters(bench, Side::Tags)),
    },
    Case {
        id: "twin-key-control-characters-reported",
        title: "Reported keys with control characters are refused",
        requirements: &["HUB-VALI-002", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(control_characters(bench, Side::Reported)),
    },
    Case {
        id: "twin-key-error-code-http",
        title: "A back end is told ArgumentInvalid when a key is wrong",
        requirements: &["HUB-VALI-003"],
        needs: &[],
        run: |bench| Box::pin(key_error_code(bench, Side::Desired)),
    },
    Case {
        id: "twin-key-error-code-mqtt",
        title: "A device is told 400004 when a key is wrong",
        requirements: &["HUB-VALI-003"],
        needs: &[],
        run: |bench| Box::pin(key_error_code(bench, Side::Reported)),
    },
    Case {
        id: "twin-key-length-desired",
        title: "Desired keys may have 1000 bytes but not 1100",
        requirements: &["HUB-VALI-004", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_length(bench, Side::Desired)),
    },
    Case {
        id: "twin-key-length-reported",
        title: "Reported keys may have 1000 bytes but not 1100",
        requirements: &["HUB-VALI-004", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(key_length(bench, Side::Reported)),
    },
    Case {
        id: "twin-string-length-desired",
        title: "Desired strings may have 4000 bytes but not 4200",
        requirements: &["HUB-VALI-005", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(string_length(bench, Side::Desired)),
    },
    Case {
        id: "twin-string-length-tags",
        title: "Strings in tags may have 4000 bytes but not 4200",
        requirements: &["HUB-VALI-005", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(string_length(bench, Side::Tags)),
    },
    Case {
        id: "twin-string-length-reported",
        title: "Reported strings may have 4000 bytes but not 4200",
        requirements: &["HUB-VALI-005", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(string_length(bench, Side::Reported)),
    },
];

async fn key_characters(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "plain-key_1": 1 })).await?;
    for key in ["a.b", "a$b", "$a", "a b"] {
        for members in [
            json!({ key: 1, "good": 2 }),
            json!({ "outer": { key: 1 }, "good": 2 }),
            json!({ "list": [{ key: 1 }], "good": 2 }),
        ] {
            let reply = writer.send_bad(bench, &members).await?;
            let allowed = format!("400 for the key {key:?}");
            bench.demand("HUB-VALI-001", reply.status() == 400, allowed, reply.to_string());
        }
    }
    Ok(())
}

async fn control_characters(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "plain": 1 })).await?;
    for key in ["a\u{1}b", "a\tb", "a\u{1f}b", "a\u{80}b", "a\u{85}b", "a\u{9f}b"] {
        let reply = writer.send_bad(bench, &json!({ key: 1, "good": 2 })).await?;
        let allowed = format!("the key {key:?} refused");
        bench.demand("HUB-VALI-002", reply.is_refused(), allowed, reply.to_string());
    }
    Ok(())
}

async fn key_error_code(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "plain": 1 })).await?;
    for key in ["a.b", "a$b", "a b"] {
        let reply = writer.send(bench, &json!({ key: 1 })).await?;
        let named = reply.has_code("ArgumentInvalid", 400_004);
        let allowed = format!("ArgumentInvalid, 400004, for the key {key:?}");
        bench.demand("HUB-VALI-003", named, allowed, reply.to_string());
    }
    Ok(())
}

async fn key_length(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let long = json!({ "k".repeat(1000): 1, "outer": { "k".repeat(1000): 2 } });
    let reply = writer.send(bench, &long).await?;
    let allowed = "keys of 1000 bytes accepted";
    if bench.demand("HUB-VALI-004", reply.is_accepted(), allowed, reply.to_string()) {
        let stored = writer.stored(bench).await?;
        bench.equal_json("HUB-VALI-004", "section", &long, &stored);
    }
    let key = "k".repeat(1100);
    for members in [json!({ &key: 1, "good": 2 }), json!({ "outer": { &key: 1 }, "good": 2 })] {
        let reply = writer.send_bad(bench, &members).await?;
        let allowed = "400 for a key of 1100 bytes";
        bench.demand("HUB-VALI-004", reply.status() == 400, allowed, reply.to_string());
    }
    Ok(())
}

async fn string_length(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let long = json!({ "long": "x".repeat(4000) });
    let reply = writer.send(bench, &long).await?;
    let allowed = "a string of 4000 bytes accepted";
    if bench.demand("HUB-VALI-005", reply.is_accepted(), allowed, reply.to_string()) {
        let stored = writer.stored(bench).await?;
        bench.equal_json("HUB-VALI-005", "section", &long, &stored);
    }
    let text = "x".repeat(4200);
    for members in [
        json!({ "s": &text, "good": 2 }),
        json!({ "outer": { "s": &text }, "good": 2 }),
        json!({ "list": ["short", &text], "good": 2 }),
    ] {
        let reply = writer.send_bad(bench, &members).await?;
        let allowed = "400 for a string of 4200 bytes";
        bench.demand("HUB-VALI-005", reply.status() == 400, allowed, reply.to_string());
    }
    Ok(())
}
