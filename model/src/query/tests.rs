//! Errors name their places, limits hold, and the rules that have a story of their own.

use serde_json::json;

use super::ast::Expr;
use super::{LENGTH_MAX, Query};

#[track_caller]
fn check_error(text: &str, column: usize, problem: &str) {
    let error = Query::parse(text).unwrap_err();
    assert_eq!((error.column, error.problem.as_str()), (column, problem), "{text}");
}

#[track_caller]
fn check_canonical(text: &str, canonical: &str) {
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.to_string(), canonical);
}

#[test]
fn errors_say_where_and_what() {
    check_error("SELEC * FROM devices", 1, "expected SELECT, found \"SELEC\"");
    check_error("SELECT FROM devices", 8, "expected *, a path or an aggregate, found \"FROM\"");
    check_error(
        "SELECT * FROM devices WHERE tags.group.name = 'é'",
        34,
        "expected a name (a reserved word is written [[word]]), found \"group\"",
    );
    check_error(
        "SELECT * FROM devices WHERE a = 'é' ORDER BY a",
        37,
        "expected AND, OR, GROUP BY or the end of the query, found \"ORDER\"",
    );
    check_error(
        "SELECT * FROM devices ORDER BY a",
        23,
        "expected WHERE, GROUP BY or the end of the query, found \"ORDER\"",
    );
    check_error("SELECT * FROM devices WHERE a = 'x", 33, "the string that begins here has no end");
    check_error("SELECT COUNT() FROM devices", 8, "an aggregate needs a name after AS");
    check_error("SELECT deviceId FROM devices.jobs", 8, "devices.jobs allows SELECT * only");
    check_error(
        "SELECT properties.desired.rpm, properties.reported.rpm FROM devices",
        8,
        "two columns are called rpm, allowed is one: name the other after AS",
    );
    check_error(
        "SELECT tags.a AS x, COUNT() AS x FROM devices GROUP BY tags.a",
        8,
        "two columns are called x, allowed is one: name the other after AS",
    );
    check_error(
        "SELECT * FROM devices WHERE STARTS_WITH(deviceId, 'p')",
        29,
        "STARTS_WITH is none of the functions ARRAY_CONTAINS, ENDSWITH, IS_DEFINED, STARTSWITH",
    );
}

#[test]
fn canonical_text_has_one_spelling() {
    check_canonical("select a.b,\ta.b from devices", "SELECT a.b, a.b FROM devices");
    check_canonical("select * from DEVICES", "SELECT * FROM devices");
    check_canonical(
        "select top 2 a as b,tags.[[group]].x from devices\nwhere((a<>0x10))",
        "SELECT TOP 2 a AS b, tags.[[group]].x FROM devices WHERE a != 16",
    );
    check_canonical(
        "SELECT * FROM devices WHERE NOT (a = 1 OR b = 2) AND (c OR d) AND -(1+2)*3 = \"it's\"",
        "SELECT * FROM devices WHERE NOT (a = 1 OR b = 2) AND (c OR d) AND -(1 + 2) * 3 = 'it\\'s'",
    );
    check_canonical(
        "SELECT count() AS n FROM devices GROUP BY tags.a",
        "SELECT COUNT() AS n FROM devices GROUP BY tags.a",
    );
}

#[test]
fn ten_thousand_nested_parentheses_are_an_error_and_no_stack_overflow() {
    let deep = "(".repeat(10_000);
    assert!(Expr::parse(&deep).is_err());
    for begin in ["(", "NOT ", "IS_DEFINED(", "-("] {
        let deep = begin.repeat(LENGTH_MAX / begin.len());
        let error = Expr::parse(&deep).unwrap_err();
        assert!(error.problem.contains("nest at most"), "{error}");
    }
}

#[test]
fn long_chains_are_flat() {
    let mut text = "a=1".to_owned();
    text.push_str(&" OR a=1".repeat((LENGTH_MAX - text.len()) / 7));
    let expr = Expr::parse(&text).unwrap();
    assert!(expr.holds(&json!({ "a": 1 })));
    let sum = Expr::parse(&format!("1{}=4001", "+1".repeat(4000))).unwrap();
    assert!(sum.holds(&json!({})));
}

#[test]
fn a_query_of_8193_characters_is_too_long() {
    let pad = |length: usize| format!("{:length$}", "SELECT * FROM devices");
    assert!(Query::parse(&pad(LENGTH_MAX)).is_ok());
    assert_eq!(Query::parse(&pad(LENGTH_MAX + 1)).unwrap_err().column, LENGTH_MAX + 1);
}

#[test]
fn a_missing_member_never_matches_a_comparison_not_even_a_negative_one() {
    for condition in ["a = 1", "a != 1", "NOT a = 1", "a IN [1]", "a NIN [1]", "a < 1", "a + 1 = a"]
    {
        assert!(!Expr::parse(condition).unwrap().holds(&json!({ "b": 1 })), "{condition}");
    }
}
