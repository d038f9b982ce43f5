//! When an answer is as right as the published expectation: what `vectors/README.md` leaves free.

use serde_json::{Map, Value};

use super::query_eval;

type Members = Map<String, Value>;

/// The state that an agent reports while a deployment is in progress.
const IN_PROGRESS: u64 = 6;

/// Whether `seen` is as good an answer to `case` of `family` as the one that is published.
pub(super) fn agrees(family: &str, case: &Value, expected: &Value, seen: &Value) -> bool {
    if same(expected, seen) {
        return true;
    }
    let (Some(expected), Some(seen)) = (expected.as_object(), seen.as_object()) else {
        return false;
    };
    if let (Some(reason), Some(other)) = (expected.get("refused"), seen.get("refused")) {
        return is_reason(reason) && is_reason(other) && agrees_on_code(expected, seen);
    }
    match family {
        "agent-phase" => agrees_but_for(expected, seen, "reports", same_reports),
        "method" => is_silent_answer(case) && same_but_for_payload(expected, seen),
        "query-eval" => same_rows(case, expected, seen),
        _ => false,
    }
}

/// Whether two documents are equal, numbers compared by value.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => l == r || l.as_f64() == r.as_f64(),
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same(l, r))
        }
        (Value::Object(l), Value::Object(r)) => same_members(l, r),
        _ => left == right,
    }
}

fn same_members(left: &Members, right: &Members) -> bool {
    left.len() == right.len()
        && left.iter().all(|(name, l)| right.get(name).is_some_and(|r| same(l, r)))
}

/// Whether a member `refused` says that something is refused: with a word, or with `true`.
fn is_reason(refused: &Value) -> bool {
    refused.is_string() || *refused == true
}

/// Codes are compared where both sides name one.
fn agrees_on_code(expected: &Members, seen: &Members) -> bool {
    match (expected.get("code"), seen.get("code")) {
        (Some(expected), Some(seen)) => same(expected, seen),
        _ => true,
    }
}

/// Whether one member agrees by a rule of its own, and all others are the same.
fn agrees_but_for(
    expected: &Members,
    seen: &Members,
    name: &str,
    rule: fn(&[Value], &[Value]) -> bool,
) -> bool {
    let list = |members: &Members| members.get(name).and_then(Value::as_array).cloned();
    let rest = |members: &Members| {
        let mut rest = members.clone();
        rest.remove(name);
        rest
    };
    match (list(expected), list(seen)) {
        (Some(expected_list), Some(seen_list)) => {
            rule(&expected_list, &seen_list) && same_members(&rest(expected), &rest(seen))
        }
        _ => false,
    }
}

/// Rows in any order; with TOP any of those that the query finds.
fn same_rows(case: &Value, expected: &Members, seen: &Members) -> bool {
    let name = if expected.contains_key("selected") { "selected" } else { "rows" };
    if agrees_but_for(expected, seen, name, same_in_any_order) {
        return true;
    }
    let as_many = |expected: &[Value], seen: &[Value]| expected.len() == seen.len();
    let found = query_eval::without_top(case);
    let found = found.as_ref().and_then(|found| found.get(name)?.as_array());
    let picked = seen.get(name).and_then(Value::as_array);
    let (Some(found), Some(picked)) = (found, picked) else {
        return false;
    };
    agrees_but_for(expected, seen, name, as_many) && leaves(found, picked).is_some()
}

fn same_in_any_order(expected: &[Value], seen: &[Value]) -> bool {
    leaves(expected, seen).is_some_and(|left| left.is_empty())
}

/// What is left of `all` when each of `some` has been taken out once; none if one is not there.
fn leaves<'a>(all: &'a [Value], some: &[Value]) -> Option<Vec<&'a Value>> {
    let mut left: Vec<&Value> = all.iter().collect();
    for one in some {
        let index = left.iter().position(|other| same(one, other))?;
        left.swap_remove(index);
    }
    Some(left)
}

/// Whether a device answers without a payload, which a hub may pass on as none.
fn is_silent_answer(case: &Value) -> bool {
    case["side"] == "answer" && case["payload"] == ""
}

fn same_but_for_payload(expected: &Members, seen: &Members) -> bool {
    let mut without = expected.clone();
    without.remove("payload");
    same_members(&without, seen)
}

/// Reports in order; one of progress may be missing when its end follows at once, and an
/// acknowledgement may stand on the other side of the report beside it.
fn same_reports(expected: &[Value], seen: &[Value]) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return seen.is_empty();
    };
    let is_in_place =
        |(head, after): (&Value, &[Value])| same(first, head) && same_reports(rest, after);
    if seen.split_first().is_some_and(is_in_place) {
        return true;
    }
    if is_passing(first, rest) && same_reports(rest, seen) {
        return true;
    }
    match (rest, seen) {
        ([second, rest @ ..], [one, other, after @ ..]) => {
            is_acknowledgement(first) != is_acknowledgement(second)
                && same(first, other)
                && same(second, one)
                && same_reports(rest, after)
        }
        _ => false,
    }
}

fn is_acknowledgement(report: &Value) -> bool {
    report.get("service").is_some()
}

fn state(report: &Value) -> Option<u64> {
    report.pointer("/agent/state")?.as_u64()
}

/// Whether a report of progress has its end behind it at once, with the acknowledgement of the
/// deployment between them at most.
fn is_passing(report: &Value, behind: &[Value]) -> bool {
    let end = behind.iter().position(|report| !is_acknowledgement(report));
    let ends =
        |at: usize| at <= 1 && behind.get(at).and_then(state).is_some_and(|s| s != IN_PROGRESS);
    state(report) == Some(IN_PROGRESS) && end.is_some_and(ends)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress() -> Value {
        json!({ "agent": { "state": 6 } })
    }
    fn acknowledged(version: u64) -> Value {
        json!({ "service": { "av": version } })
    }
    fn idle() -> Value {
        json!({ "agent": { "state": 0 } })
    }

    #[track_caller]
    fn reports(expected: &[Value], seen: &[Value], is_right: bool) {
        let (expected, seen) = (json!({ "reports": expected }), json!({ "reports": seen }));
        assert_eq!(agrees("agent-phase", &Value::Null, &expected, &seen), is_right, "{seen}");
    }

    #[test]
    fn reports_may_be_swapped_with_acknowledgements_and_passing_ones_left_out() {
        let expected = [progress(), acknowledged(2), idle()];
        reports(&expected, &[acknowledged(2), progress(), idle()], true);
        reports(&expected, &[progress(), idle(), acknowledged(2)], true);
        reports(&expected, &[acknowledged(2), idle()], true);
        reports(&expected, &[idle(), acknowledged(2)], true);
        reports(&expected, &[idle(), progress(), acknowledged(2)], false);
        reports(&expected, &[progress(), idle()], false);
        reports(&expected, &[progress(), acknowledged(2)], false);
        reports(&expected, &[progress(), acknowledged(2), idle(), idle()], false);
        let long = [progress(), acknowledged(2), acknowledged(3), idle()];
        reports(&long, &[acknowledged(2), acknowledged(3), idle()], false);
        reports(&[progress(), progress(), idle()], &[progress(), idle()], true);
        reports(&[progress()], &[], false);
    }

    #[test]
    fn words_of_a_refusal_are_free_and_codes_are_not() {
        let refused = |expected: Value, seen: Value| {
            agrees("update-manifest", &Value::Null, &expected, &seen)
        };
        assert!(refused(json!({ "refused": "value" }), json!({ "refused": "syntax" })));
        assert!(refused(json!({ "refused": true }), json!({ "refused": "outside" })));
        assert!(refused(json!({ "refused": "a", "code": "1" }), json!({ "refused": "b" })));
        assert!(refused(json!({ "refused": "a" }), json!({ "refused": "b", "code": "1" })));
        assert!(!refused(
            json!({ "refused": "a", "code": "1" }),
            json!({ "refused": "a", "code": "2" })
        ));
        assert!(!refused(json!({ "refused": "a" }), json!({ "accepted": true })));
        assert!(!refused(json!({ "refused": "a" }), json!({ "refused": null })));
        assert!(!refused(json!({ "refused": "a" }), json!({ "refused": false })));
        assert!(!refused(json!({ "accepted": true }), json!({ "refused": "a" })));
    }

    #[test]
    fn a_device_without_payload_may_be_passed_on_without_one() {
        let answer = |payload: &str| json!({ "side": "answer", "payload": payload });
        let expected = json!({ "http": 200, "payload": "null" });
        assert!(agrees("method", &answer(""), &expected, &json!({ "http": 200 })));
        assert!(!agrees("method", &answer(""), &expected, &json!({ "http": 201 })));
        assert!(!agrees("method", &answer("null"), &expected, &json!({ "http": 200 })));
        assert!(!agrees("method", &answer(""), &expected, &json!({ "http": 200, "payload": 1 })));
    }

    #[track_caller]
    fn rows(query: &str, expected: Value, seen: Value, is_right: bool) {
        let rows = json!([{ "deviceId": "a" }, { "deviceId": "b" }, { "deviceId": "c" }]);
        let case = json!({ "query": query, "rows": rows });
        assert_eq!(agrees("query-eval", &case, &expected, &seen), is_right, "{seen}");
    }

    #[test]
    fn rows_are_compared_as_sets() {
        let all = "SELECT * FROM devices";
        let expected = json!({ "selected": ["a", "b", "c"] });
        rows(all, expected.clone(), json!({ "selected": ["c", "a", "b"] }), true);
        rows(all, expected.clone(), json!({ "selected": ["a", "b"] }), false);
        rows(all, expected.clone(), json!({ "selected": ["a", "b", "b"] }), false);
        rows(all, expected, json!({ "selected": ["a", "b", "c"], "rows": [] }), false);
        let counts = json!({ "rows": [{ "n": 1 }, { "n": 2 }] });
        rows(all, counts.clone(), json!({ "rows": [{ "n": 2.0 }, { "n": 1 }] }), true);
        rows(all, counts, json!({ "rows": [{ "n": 1 }, { "n": 1 }] }), false);
    }

    #[test]
    fn top_may_pick_any_of_what_is_found() {
        let two = "SELECT TOP 2 * FROM devices WHERE deviceId != 'c'";
        let three = "SELECT TOP 2 * FROM devices";
        let expected = json!({ "selected": ["a", "b"] });
        rows(three, expected.clone(), json!({ "selected": ["c", "a"] }), true);
        rows(three, expected.clone(), json!({ "selected": ["c", "c"] }), false);
        rows(three, expected.clone(), json!({ "selected": ["c"] }), false);
        rows(three, expected.clone(), json!({ "selected": ["a", "d"] }), false);
        rows(two, expected, json!({ "selected": ["a", "c"] }), false);
    }
}
