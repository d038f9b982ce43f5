//! Whom a configuration targets.

use super::Content;
use crate::error::{ErrorCode, Refusal};
use crate::query::ast::Expr;
use crate::query::{Collection, Query, Row, SyntaxError};

/// What turns the condition for modules into a query.
const SELECT: &str = "SELECT * ";

/// A target condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    text: String,
    scope: Scope,
}

#[derive(Clone, Debug, PartialEq)]
enum Scope {
    /// An empty condition (HUB-CFG-009).
    Nothing,
    /// `*`.
    Everything,
    /// A condition, and where it begins in the text.
    Condition(Expr, usize),
}

impl Target {
    /// Reads the condition of a configuration with `content`.
    ///
    /// Devices are named by `*` or a bare condition, modules by `from devices.modules where …`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidConfigurationTargetCondition`] with the place of the mistake.
    pub fn parse(text: &str, content: &Content) -> Result<Self, Refusal> {
        Self::parse_for(text, content.collection()).map_err(|problem| {
            Refusal::new(
                ErrorCode::InvalidConfigurationTargetCondition,
                format!("targetCondition: {problem}"),
            )
        })
    }

    /// Like [`Self::parse`] for a text whose content is not known: its beginning tells.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse_any(text: &str) -> Result<Self, String> {
        let first = text.split_whitespace().next().unwrap_or_default();
        let is_module = first.eq_ignore_ascii_case("from");
        Self::parse_for(text, if is_module { Collection::Modules } else { Collection::Devices })
    }

    fn parse_for(text: &str, collection: Collection) -> Result<Self, String> {
        let scope = match (text.trim(), collection) {
            ("", _) => Scope::Nothing,
            ("*", Collection::Devices) => Scope::Everything,
            (_, Collection::Modules) => module_condition(text)?,
            _ => Scope::Condition(Expr::parse(text).map_err(|error| error.to_string())?, 0),
        };
        Ok(Self { text: text.to_owned(), scope })
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether no twin can ever be a target.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.scope == Scope::Nothing
    }

    /// Whether `twin`, a twin as queries see it, is a target.
    #[must_use]
    pub fn holds(&self, twin: &impl Row) -> bool {
        match &self.scope {
            Scope::Nothing => false,
            Scope::Everything => true,
            Scope::Condition(condition, _) => condition.holds(twin),
        }
    }

    /// The condition of a query for the targets; none where all twins are targets, or none is.
    pub(super) fn condition_text(&self) -> Option<&str> {
        match &self.scope {
            Scope::Nothing | Scope::Everything => None,
            Scope::Condition(_, begin) => self.text.get(*begin..).map(str::trim),
        }
    }
}

/// `from devices.modules where …`: a query without its SELECT.
fn module_condition(text: &str) -> Result<Scope, String> {
    let query = Query::parse(&format!("{SELECT}{text}")).map_err(|error| {
        let column = error.column.saturating_sub(SELECT.len()).max(1);
        SyntaxError { column, ..error }.to_string()
    })?;
    let allowed = "allowed for modules is: from devices.modules where a condition";
    let (Collection::Modules, Some(condition), None) =
        (query.from, query.condition, query.group_by)
    else {
        return Err(format!("found {text:?}, {allowed}"));
    };
    // No name before the condition holds this word.
    let begin = text.to_ascii_lowercase().find("where").map_or(0, |at| at + "where".len());
    Ok(Scope::Condition(condition, begin))
}
