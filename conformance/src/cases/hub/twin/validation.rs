//! Which numbers, depths, nulls and texts a twin takes (HUB-VALI-006 to -011, -019).

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::sides::{Side, Writer};
use crate::bench::{Bench, IfMatch};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-integer-limits-desired",
        title: "The smallest and the largest desired integer are taken and returned exactly",
        requirements: &["HUB-VALI-006"],
        needs: &[],
        run: |bench| Box::pin(integer_limits(bench, Side::Desired)),
    },
    Case {
        id: "twin-integer-limits-reported",
        title: "The smallest and the largest reported integer are taken and returned exactly",
        requirements: &["HUB-VALI-006"],
        needs: &[],
        run: |bench| Box::pin(integer_limits(bench, Side::Reported)),
    },
    Case {
        id: "twin-integer-range-desired",
        title: "Desired integers out of range are refused with 400",
        requirements: &["HUB-VALI-007", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(integer_range(bench, Side::Desired)),
    },
    Case {
        id: "twin-integer-range-tags",
        title: "Integers out of range are refused with 400 in tags",
        requirements: &["HUB-VALI-007", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(integer_range(bench, Side::Tags)),
    },
    Case {
        id: "twin-integer-range-reported",
        title: "Reported integers out of range are refused with 400",
        requirements: &["HUB-VALI-007", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(integer_range(bench, Side::Reported)),
    },
    Case {
        id: "twin-depth-desired",
        title: "Desired properties take ten nested objects and refuse twelve",
        requirements: &["HUB-VALI-008", "HUB-VALI-009", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(depth(bench, Side::Desired)),
    },
    Case {
        id: "twin-depth-tags",
        title: "Tags take ten nested objects and refuse twelve",
        requirements: &["HUB-VALI-008", "HUB-VALI-009", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(depth(bench, Side::Tags)),
    },
    Case {
        id: "twin-depth-reported",
        title: "Reported properties take ten nested objects and refuse twelve",
        requirements: &["HUB-VALI-008", "HUB-VALI-009", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(depth(bench, Side::Reported)),
    },
    Case {
        id: "twin-array-depth-desired",
        title: "Eleven nested arrays are too deep for desired properties",
        requirements: &["HUB-VALI-010"],
        needs: &[],
        run: |bench| Box::pin(array_depth(bench, Side::Desired)),
    },
    Case {
        id: "twin-array-depth-reported",
        title: "Eleven nested arrays are too deep for reported properties",
        requirements: &["HUB-VALI-010"],
        needs: &[],
        run: |bench| Box::pin(array_depth(bench, Side::Reported)),
    },
    Case {
        id: "twin-array-null-desired",
        title: "A null inside an array of desired properties is refused with 400",
        requirements: &["HUB-VALI-011", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(array_null(bench, Side::Desired)),
    },
    Case {
        id: "twin-array-null-reported",
        title: "A null inside an array of reported properties is refused with 400",
        requirements: &["HUB-VALI-011", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(array_null(bench, Side::Reported)),
    },
    Case {
        id: "twin-malformed-json-patch",
        title: "A PATCH that is no JSON is refused with 400",
        requirements: &["HUB-VALI-019", "HUB-MERGE-023"],
        needs: &[],
        run: body!(malformed_patch),
    },
    Case {
        id: "twin-malformed-json-put",
        title: "A PUT that is no JSON is refused with 400",
        requirements: &["HUB-VALI-019", "HUB-MERGE-023"],
        needs: &[],
        run: body!(malformed_put),
    },
];

async fn integer_limits(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    let limits = concat!(
        r#"{"least":-4503599627370496,"most":4503599627370495,"#,
        r#""inner":{"least":-4503599627370496},"list":[4503599627370495]}"#,
    );
    let reply = writer.send_text(bench, limits).await?;
    if !bench.demand("HUB-VALI-006", reply.is_accepted(), "both limits taken", reply.to_string()) {
        return Ok(());
    }
    let stored = writer.stored(bench).await?;
    let integer = |pointer| stored.pointer(pointer).and_then(integer);
    let seen = [integer("/least"), integer("/most"), integer("/inner/least"), integer("/list/0")];
    let allowed = [-4_503_599_627_370_496, 4_503_599_627_370_495].map(Some);
    let allowed = [allowed, allowed].concat();
    bench.equal("HUB-VALI-006", "integers", allowed, seen.to_vec());
    Ok(())
}

/// The value as an integer, however it is written.
fn integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| format!("{number:.0}").parse().ok();
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).and_then(whole))
}

async fn integer_range(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "n": 1_000_000_000_000_000_i64 })).await?;
    let integers = [
        "5000000000000000",
        "-5000000000000000",
        "4503599627370496",
        "-4503599627370497",
        "123456789012345678901234567890",
    ];
    for integer in integers {
        for members in [
            format!(r#"{{"n":{integer},"good":2}}"#),
            format!(r#"{{"inner":{{"n":{integer}}},"good":2}}"#),
            format!(r#"{{"list":[1,{integer}],"good":2}}"#),
        ] {
            let reply = writer.send_bad_text(bench, &members).await?;
            let allowed = format!("400 for the integer {integer}");
            bench.demand("HUB-VALI-007", reply.status() == 400, allowed, reply.to_string());
        }
    }
    Ok(())
}

/// The documentation's own example of the deepest document.
const TEN: &str = concat!(
    r#"{"one":{"two":{"three":{"four":{"five":{"six":{"seven":{"eight":{"nine":{"ten":"#,
    r#"{"property":"value"}}}}}}}}}}}"#,
);
/// Two levels more: the documentation leaves open how a level is counted, so one is not judged.
const TWELVE: &str = concat!(
    r#"{"one":{"two":{"three":{"four":{"five":{"six":{"seven":{"eight":{"nine":{"ten":"#,
    r#"{"eleven":{"twelve":{"property":"value"}}}}}}}}}}}},"good":2}"#,
);

async fn depth(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "one": { "two": { "property": "value" } } })).await?;
    let reply = writer.send_text(bench, TEN).await?;
    let allowed = "ten nested objects taken";
    if bench.demand("HUB-VALI-008", reply.is_accepted(), allowed, reply.to_string()) {
        let stored = writer.stored(bench).await?;
        let place = "/one/two/three/four/five/six/seven/eight/nine/ten/property";
        let seen = stored.pointer(place).and_then(Value::as_str);
        bench.equal("HUB-VALI-008", "deepest property", Some("value"), seen);
    }
    let reply = writer.send_bad_text(bench, TWELVE).await?;
    let allowed = "400 for twelve nested objects";
    bench.demand("HUB-VALI-009", reply.status() == 400, allowed, reply.to_string());
    Ok(())
}

async fn array_depth(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "list": [[[1]]] })).await?;
    let reply = writer.send_text(bench, r#"{"list":[[[[[[[[[[[1]]]]]]]]]]]}"#).await?;
    let allowed = "400 for eleven nested arrays";
    bench.demand("HUB-VALI-010", reply.status() == 400, allowed, reply.to_string());
    Ok(())
}

async fn array_null(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &json!({ "list": [1, { "b": 2 }], "gone": null })).await?;
    let lists = [json!([null]), json!([1, null]), json!([{ "b": null }])];
    for list in lists {
        let reply = writer.send_bad(bench, &json!({ "list": &list, "good": 2 })).await?;
        let named = reply.status() == 400 && reply.has_code("ArgumentInvalid", 400_004);
        let allowed = format!("400 and ArgumentInvalid, 400004, for {list}");
        bench.demand("HUB-VALI-011", named, allowed, reply.to_string());
    }
    Ok(())
}

async fn malformed_patch(bench: &mut Bench) -> Checked {
    malformed(bench, Method::PATCH).await
}

async fn malformed_put(bench: &mut Bench) -> Checked {
    malformed(bench, Method::PUT).await
}

async fn malformed(bench: &mut Bench, method: Method) -> Checked {
    let mut writer = Writer::new(bench, Side::DesiredPut).await?;
    let device = writer.who.identity.clone();
    bench.patch_twin(&device, &json!({ "properties": { "desired": { "a": 1 } } })).await?;
    let before = writer.stored(bench).await?;
    let path = format!("/twins/{}", device.device);
    for text in ["{", r#"{"properties":{"desired":{"a":2}}"#, "not JSON", r#"{"tags":{"a":}}"#] {
        let body = Some(Bytes::from(text));
        let answer = bench.call_raw(method.clone(), &path, IfMatch::Absent, body).await?;
        let refused = answer.status.as_u16() == 400;
        bench.demand("HUB-VALI-019", refused, format!("400 for {text}"), answer.to_string());
        let after = writer.stored(bench).await?;
        if refused {
            bench.equal_json("HUB-MERGE-023", "desired", &before, &after);
        }
    }
    Ok(())
}
