//! The query language: from text to a tree, back to text, and over rows (query.md).
//!
//! [`Query::parse`] reads, its `Display` writes the canonical text, [`Query::rows`] evaluates.
//! All three are total: whatever the text or the rows, the answer is a value or a [`SyntaxError`].

mod aggregate;
pub mod ast;
mod check;
mod eval;
mod expression;
mod lexer;
mod parser;
mod print;
mod row;

use std::fmt;

pub use ast::{Collection, Query};
pub use row::{Datum, Row, TWIN_MEMBERS};

/// Characters a query may have (query.md § 10).
pub const LENGTH_MAX: usize = 8192;

/// How deep parentheses, calls and `NOT` may nest. The sources name no limit; this one keeps every
/// walk over the tree within a small stack.
pub const NESTING_MAX: usize = 100;

/// What the rows of a result are, as `x-ms-item-type` says it (query.md § 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemType {
    /// Rows of `devices.jobs`.
    DeviceJob,
    /// Projections and aggregates.
    Raw,
    /// Whole twins.
    Twin,
}

impl ItemType {
    /// The header value; clients compare it with its case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DeviceJob => "DeviceJob",
            Self::Raw => "Raw",
            Self::Twin => "Twin",
        }
    }
}

/// Where a text stops being a query, and what could have stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Bytes before the place.
    pub offset: usize,
    /// The place in characters, counted from 1.
    pub column: usize,
    /// What was expected or which rule is broken.
    pub problem: String,
}

impl SyntaxError {
    fn new(text: &str, offset: usize, problem: impl Into<String>) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < offset);
        Self { offset, column: before.count() + 1, problem: problem.into() }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "The query is invalid at column {}: {}", self.column, self.problem)
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
