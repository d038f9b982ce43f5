//! Laws of the language on generated texts, trees and rows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::ast::{
    Aggregate, Collection, Column, Comparison, Expr, Function, Item, Literal, Operator, Path,
    Query, Select,
};

/// Names that need brackets, names that mislead, and ordinary ones.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,3}",
        "\\$[a-z0-9]{1,3}",
        prop::sample::select(vec!["devices", "jobs", "modules", "Group", "x-1", "a b", "a.b", "1"])
            .prop_map(str::to_owned),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    prop::collection::vec(name(), 1..4).prop_map(|segments| Path { qualifier: None, segments })
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Null),
        Just(Literal::Undefined),
        (0.0..1e300).prop_map(Literal::Number),
        (0_u32..100).prop_map(|number| Literal::Number(number.into())),
        "[a-z'\"\\\\\u{0}-\u{1f}é😀 ]{0,6}".prop_map(Literal::Text),
    ]
}

fn operator(is_factor: bool) -> impl Strategy<Value = Operator> {
    prop::sample::select(if is_factor {
        vec![Operator::Multiply, Operator::Divide, Operator::Remainder]
    } else {
        vec![Operator::Add, Operator::Subtract]
    })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ])
}

fn expr() -> impl Strategy<Value = Expr> {
    let list = || prop::collection::vec(literal(), 0..3);
    let leaf = prop_oneof![
        path().prop_map(Expr::Path),
        literal().prop_map(Expr::Literal),
        list().prop_map(Expr::List),
    ];
    leaf.prop_recursive(5, 40, 3, move |inner| {
        let links = prop::collection::vec(inner.clone(), 2..4);
        let call = |function: Function| {
            let arguments = prop::collection::vec(inner.clone(), function.arity());
            arguments.prop_map(move |arguments| Expr::Call(function, arguments))
        };
        let arithmetic = |is_factor| {
            let steps = prop::collection::vec((operator(is_factor), inner.clone()), 1..3);
            (inner.clone(), steps).prop_map(|(first, rest)| Expr::Arithmetic(first.into(), rest))
        };
        prop_oneof![
            links.clone().prop_map(Expr::And),
            links.prop_map(Expr::Or),
            inner.clone().prop_map(|inner| Expr::Not(inner.into())),
            inner.clone().prop_map(|inner| Expr::Negate(inner.into())),
            (inner.clone(), comparison(), inner.clone())
                .prop_map(|(left, op, right)| Expr::Compare(left.into(), op, right.into())),
            (inner.clone(), any::<bool>(), list()).prop_map(|(v, within, list)| Expr::Member {
                value: v.into(),
                within,
                list
            }),
            arithmetic(true),
            arithmetic(false),
            call(Function::IsDefined),
            call(Function::StartsWith),
            call(Function::EndsWith),
            call(Function::ArrayContains),
        ]
    })
}

fn query() -> impl Strategy<Value = Query> {
    let alias = || prop::option::of("[a-z]{1,3}1");
    let plain = prop::collection::vec(
        (path(), alias()).prop_map(|(path, alias)| Item { column: Column::Path(path), alias }),
        1..3,
    )
    .prop_filter("two columns of one name", |items| {
        let names: std::collections::BTreeSet<&str> = items.iter().map(Item::key).collect();
        names.len() == items.len()
    });
    let gathered = (prop::sample::select(Aggregate::ALL.to_vec()), path()).prop_map(|(a, path)| {
        let item = |column, name: &str| Item { column, alias: Some(name.to_owned()) };
        vec![item(Column::Count, "n"), item(Column::Aggregate(a, path), "a")]
    });
    let grouped = (path(), alias()).prop_map(|(path, alias)| {
        let count = Item { column: Column::Count, alias: Some("count_1".to_owned()) };
        let key = Item { column: Column::Path(path.clone()), alias };
        (Select::Items(vec![key, count]), Collection::Devices, Some(path))
    });
    let select = prop_oneof![
        Just(Select::All),
        plain.prop_map(Select::Items),
        gathered.prop_map(Select::Items)
    ];
    let from = prop::sample::select(vec![Collection::Devices, Collection::Modules]);
    let shape = prop_oneof![
        3 => (select, from).prop_map(|(select, from)| (select, from, None)),
        1 => grouped,
        1 => Just((Select::All, Collection::Jobs, None)),
    ];
    (prop::option::of(0..9_u64), shape, prop::option::of(expr())).prop_map(
        |(top, (select, from, group_by), condition)| {
            // Rows of jobs have no members of twins, which a name may happen to be.
            let condition = condition.filter(|_| from != Collection::Jobs);
            Query { top, select, from, condition, group_by }
        },
    )
}

/// Words and signs in any order: mostly no query.
fn soup() -> impl Strategy<Value = String> {
    let words = vec![
        "SELECT",
        "*",
        "FROM",
        "devices",
        ".",
        "modules",
        "jobs",
        "WHERE",
        "tags",
        "a",
        "=",
        "'x'",
        "1",
        "0x1F",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        "[",
        "]",
        "[[g]]",
        ",",
        "IN",
        "COUNT",
        "AS",
        "GROUP",
        "BY",
        "TOP",
        "-",
        "IS_DEFINED",
        "$version",
        "<>",
        "null",
        "é",
        "\"",
        "\\",
        "[[",
    ];
    prop::collection::vec(prop::sample::select(words), 0..20).prop_map(|words| words.join(" "))
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|m| json!(m)),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_text_of_a_tree_is_read_as_that_tree(query in query()) {
        let text = query.to_string();
        prop_assert_eq!(Query::parse(&text), Ok(query), "{}", text);
    }

    #[test]
    fn whatever_can_be_read_survives_being_printed(text in soup()) {
        if let Ok(expr) = Expr::parse(&text) {
            prop_assert_eq!(Expr::parse(&expr.to_string()), Ok(expr));
        }
        if let Ok(query) = Query::parse(&format!("SELECT * FROM devices WHERE {text}")) {
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }
        if let Ok(query) = Query::parse(&text) {
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }
    }

    #[test]
    fn reading_is_total(text in "\\PC{0,60}") {
        if let Err(error) = Query::parse(&text) {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset));
        }
    }

    #[test]
    fn evaluation_is_total_and_picks_among_the_rows(
        query in query(),
        rows in prop::collection::vec(document(), 0..5),
    ) {
        let result = query.rows(&rows);
        prop_assert!(result.len() <= rows.len().max(1));
        if query.select == Select::All {
            prop_assert!(result.iter().all(|row| rows.contains(row)));
        }
    }
}
