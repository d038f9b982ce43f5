//! The canonical text of a query: one spelling for each tree.

use std::fmt::{Display, Formatter, Result, Write};

use super::ast::{
    Collection, Column, Comparison, Expr, Item, Literal, Operator, Path, Query, Select,
};
use super::lexer::{Keyword, begins_name, within_name};
use super::parser::strength;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("SELECT ")?;
        if let Some(top) = self.top {
            write!(f, "TOP {top} ")?;
        }
        match &self.select {
            Select::All => f.write_char('*')?,
            Select::Items(items) => separated(f, items, ", ")?,
        }
        write!(f, " FROM {}", self.from.name())?;
        if let Some(condition) = &self.condition {
            write!(f, " WHERE {condition}")?;
        }
        match &self.group_by {
            Some(path) => write!(f, " GROUP BY {path}"),
            None => Ok(()),
        }
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.column {
            Column::Aggregate(aggregate, path) => write!(f, "{}({path})", aggregate.name())?,
            Column::Count => f.write_str("COUNT()")?,
            Column::Path(path) => write!(f, "{path}")?,
        }
        match &self.alias {
            Some(alias) => write!(f, " AS {alias}"),
            None => Ok(()),
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(qualifier) = self.qualifier {
            write!(f, "{}.", qualifier.name())?;
        }
        // A first name that would be read as part of a qualifier is put in brackets.
        let misleading: &[&str] = match self.qualifier {
            _ if self.segments.len() < 2 => &[],
            None => &["devices"],
            Some(Collection::Devices) => &["jobs", "modules"],
            Some(Collection::Jobs | Collection::Modules) => &[],
        };
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            let misleads = misleading.iter().any(|name| name.eq_ignore_ascii_case(segment));
            if is_name(segment) && !(index == 0 && misleads) {
                f.write_str(segment)?;
            } else {
                write!(f, "[[{segment}]]")?;
            }
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::And(links) => joined(f, links, " AND ", strength::NOT),
            Self::Or(links) => joined(f, links, " OR ", strength::AND),
            Self::Arithmetic(first, steps) => {
                let operand = own_strength(self) + 1;
                part(f, first, operand)?;
                for (operator, right) in steps {
                    write!(f, " {} ", operator.sign())?;
                    part(f, right, operand)?;
                }
                Ok(())
            }
            Self::Call(function, arguments) => {
                write!(f, "{}(", function.name())?;
                separated(f, arguments, ", ")?;
                f.write_char(')')
            }
            Self::Compare(left, comparison, right) => {
                part(f, left, strength::SUM)?;
                write!(f, " {} ", comparison.sign())?;
                part(f, right, strength::SUM)
            }
            Self::List(literals) => list(f, literals),
            Self::Literal(literal) => write!(f, "{literal}"),
            Self::Member { value, within, list: literals } => {
                part(f, value, strength::SUM)?;
                f.write_str(if *within { " IN " } else { " NIN " })?;
                list(f, literals)
            }
            Self::Negate(inner) => {
                f.write_char('-')?;
                part(f, inner, strength::PRIMARY)
            }
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                part(f, inner, strength::NOT)
            }
            Self::Path(path) => write!(f, "{path}"),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
            Self::Number(number) => {
                let is_short = *number == 0.0 || (1e-6..1e15).contains(&number.abs());
                if is_short { write!(f, "{number}") } else { write!(f, "{number:e}") }
            }
            Self::Text(text) => quoted(f, text),
            Self::Undefined => f.write_str("undefined"),
        }
    }
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Divide => "/",
            Self::Multiply => "*",
            Self::Remainder => "%",
            Self::Subtract => "-",
        }
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::NotEqual => "!=",
        }
    }
}

/// `expr`, in parentheses unless it binds at least as tightly as `weakest`.
fn part(f: &mut Formatter<'_>, expr: &Expr, weakest: u8) -> Result {
    if own_strength(expr) >= weakest { write!(f, "{expr}") } else { write!(f, "({expr})") }
}

fn own_strength(expr: &Expr) -> u8 {
    match expr {
        Expr::Or(_) => strength::OR,
        Expr::And(_) => strength::AND,
        Expr::Not(_) => strength::NOT,
        Expr::Compare(..) | Expr::Member { .. } => strength::COMPARE,
        Expr::Arithmetic(_, steps) => match steps.first() {
            Some((operator, _)) if operator.is_factor() => strength::PRODUCT,
            _ => strength::SUM,
        },
        Expr::Negate(_) => strength::NEGATE,
        Expr::Call(..) | Expr::List(_) | Expr::Literal(_) | Expr::Path(_) => strength::PRIMARY,
    }
}

fn joined(f: &mut Formatter<'_>, links: &[Expr], separator: &str, weakest: u8) -> Result {
    for (index, link) in links.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        part(f, link, weakest)?;
    }
    Ok(())
}

fn separated(f: &mut Formatter<'_>, parts: &[impl Display], separator: &str) -> Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

fn list(f: &mut Formatter<'_>, literals: &[Literal]) -> Result {
    f.write_char('[')?;
    separated(f, literals, ", ")?;
    f.write_char(']')
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> Result {
    f.write_char('\'')?;
    for c in text.chars() {
        match c {
            '\'' | '\\' => write!(f, "\\{c}")?,
            c if c.is_ascii_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('\'')
}

/// Whether `segment` is read as one name without brackets.
fn is_name(segment: &str) -> bool {
    let name = segment.strip_prefix('$').unwrap_or(segment);
    name.starts_with(begins_name_or_dollar(segment))
        && name.chars().all(within_name)
        && (segment.starts_with('$') || Keyword::find(segment).is_none())
}

/// After `$` a digit may come first.
fn begins_name_or_dollar(segment: &str) -> fn(char) -> bool {
    if segment.starts_with('$') { within_name } else { begins_name }
}
