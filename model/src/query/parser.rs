//! From tokens to the tree of a query (query.md § 2).

use super::ast::{Aggregate, Collection, Column, Expr, Item, Path, Query, Select};
use super::lexer::{Keyword, Kind, Token, tokens};
use super::{LENGTH_MAX, SyntaxError, check};

/// How tightly operators bind, loosest first.
pub(super) mod strength {
    pub(in super::super) const OR: u8 = 1;
    pub(in super::super) const AND: u8 = 2;
    pub(in super::super) const NOT: u8 = 3;
    pub(in super::super) const COMPARE: u8 = 4;
    pub(in super::super) const SUM: u8 = 5;
    pub(in super::super) const PRODUCT: u8 = 6;
    pub(in super::super) const NEGATE: u8 = 7;
    pub(in super::super) const PRIMARY: u8 = 8;
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Says where the text breaks which rule.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if let Some((offset, _)) = text.char_indices().nth(LENGTH_MAX) {
            let problem = format!("a query has at most {LENGTH_MAX} characters");
            return Err(SyntaxError::new(text, offset, problem));
        }
        let mut parser = Parser::new(text)?;
        let query = parser.query()?;
        parser.end("AND, OR, GROUP BY or the end of the query")?;
        Ok(query)
    }
}

impl Expr {
    /// Reads a condition without `SELECT` and `WHERE`, as jobs and configurations have it.
    ///
    /// # Errors
    /// Says where the text breaks which rule.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if let Some((offset, _)) = text.char_indices().nth(LENGTH_MAX) {
            let problem = format!("a condition has at most {LENGTH_MAX} characters");
            return Err(SyntaxError::new(text, offset, problem));
        }
        let mut parser = Parser::new(text)?;
        let expr = parser.expression(strength::OR)?;
        parser.end("AND, OR or the end of the condition")?;
        Ok(expr)
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    pub(super) tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    pub(super) nesting: usize,
    /// The paths met so far, and where they stand.
    paths: Vec<(Path, usize)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, SyntaxError> {
        let tokens = tokens(text)?.into_iter().peekable();
        Ok(Self { text, tokens, nesting: 0, paths: Vec::new() })
    }

    pub(super) fn peek(&mut self) -> Option<&Kind> {
        self.tokens.peek().map(|token| &token.kind)
    }

    /// Where the next token stands.
    pub(super) fn place(&mut self) -> usize {
        self.tokens.peek().map_or(self.text.len(), |token| token.start)
    }

    pub(super) fn error(&self, offset: usize, problem: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.text, offset, problem)
    }

    /// An error at the next token, which is something else than `expected`.
    pub(super) fn expected<T>(&mut self, expected: &str) -> Result<T, SyntaxError> {
        let place = self.place();
        let found = match self.tokens.peek() {
            None => "the end".to_owned(),
            Some(token) => {
                let found = self.text.get(token.start..token.end).unwrap_or_default();
                format!("{:?}", found.chars().take(40).collect::<String>())
            }
        };
        Err(self.error(place, format!("expected {expected}, found {found}")))
    }

    pub(super) fn take_keyword(&mut self, keyword: Keyword) -> bool {
        self.tokens.next_if(|token| token.kind == Kind::Keyword(keyword)).is_some()
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token.kind, Kind::Sign(s) if s == sign)).is_some()
    }

    fn keyword(&mut self, keyword: Keyword, expected: &str) -> Result<(), SyntaxError> {
        if self.take_keyword(keyword) { Ok(()) } else { self.expected(expected) }
    }

    pub(super) fn sign(&mut self, sign: &str, expected: &str) -> Result<(), SyntaxError> {
        if self.take_sign(sign) { Ok(()) } else { self.expected(expected) }
    }

    /// The next token where it is a name, not a keyword.
    pub(super) fn take_word(&mut self) -> Option<String> {
        match self.tokens.next_if(|token| matches!(token.kind, Kind::Word(_)))?.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn end(&mut self, expected: &str) -> Result<(), SyntaxError> {
        if self.peek().is_none() { Ok(()) } else { self.expected(expected) }
    }

    fn query(&mut self) -> Result<Query, SyntaxError> {
        self.keyword(Keyword::Select, "SELECT")?;
        let top = if self.take_keyword(Keyword::Top) { Some(self.count()?) } else { None };
        let select_at = self.place();
        let select = self.select()?;
        self.keyword(Keyword::From, "\",\", AS or FROM")?;
        let from = self.collection()?;
        let condition = if self.take_keyword(Keyword::Where) {
            Some(self.expression(strength::OR)?)
        } else {
            None
        };
        let group_at = self.place();
        let group_by = if self.take_keyword(Keyword::Group) {
            self.keyword(Keyword::By, "BY after GROUP")?;
            Some(self.path("the path to group by")?)
        } else {
            None
        };
        if condition.is_none() && group_by.is_none() {
            self.end("WHERE, GROUP BY or the end of the query")?;
        }
        let query = Query { top, select, from, condition, group_by };
        check::query(&query, &self.paths, select_at, group_at)
            .map_err(|(offset, problem)| self.error(offset, problem))?;
        Ok(query)
    }

    fn count(&mut self) -> Result<u64, SyntaxError> {
        let place = self.place();
        let digits = self.tokens.next_if(|token| matches!(token.kind, Kind::Number(_)));
        let digits = digits.and_then(|token| self.text.get(token.start..token.end));
        digits
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.error(place, "expected a whole number after TOP"))
    }

    fn select(&mut self) -> Result<Select, SyntaxError> {
        if self.take_sign("*") {
            return Ok(Select::All);
        }
        let mut items = vec![self.item()?];
        while self.take_sign(",") {
            items.push(self.item()?);
        }
        Ok(Select::Items(items))
    }

    fn item(&mut self) -> Result<Item, SyntaxError> {
        let column = self.column()?;
        if !self.take_keyword(Keyword::As) {
            return Ok(Item { column, alias: None });
        }
        let place = self.place();
        match self.take_word() {
            Some(alias) if !alias.starts_with('$') => Ok(Item { column, alias: Some(alias) }),
            Some(_) => Err(self.error(place, "a name after AS has no $")),
            None => self.expected("a name after AS"),
        }
    }

    fn column(&mut self) -> Result<Column, SyntaxError> {
        let place = self.place();
        let Some(word) = self.take_word() else {
            return self.path("*, a path or an aggregate").map(Column::Path);
        };
        if !self.take_sign("(") {
            return self.path_from(place, Some(word)).map(Column::Path);
        }
        if word.eq_ignore_ascii_case("COUNT") {
            self.sign(")", "\")\": COUNT takes no argument")?;
            return Ok(Column::Count);
        }
        let named = |aggregate: &Aggregate| aggregate.name().eq_ignore_ascii_case(&word);
        let Some(aggregate) = Aggregate::ALL.into_iter().find(named) else {
            let problem = format!("{word} is none of the aggregates COUNT, AVG, MAX, MIN, SUM");
            return Err(self.error(place, problem));
        };
        let path = self.path("the path to aggregate")?;
        self.sign(")", "\")\" after the path to aggregate")?;
        Ok(Column::Aggregate(aggregate, path))
    }

    fn collection(&mut self) -> Result<Collection, SyntaxError> {
        let place = self.place();
        let names = "one of the collections devices, devices.modules, devices.jobs";
        if !self.take_word().is_some_and(|word| word.eq_ignore_ascii_case("devices")) {
            return Err(self.error(place, format!("expected {names}")));
        }
        if !self.take_sign(".") {
            return Ok(Collection::Devices);
        }
        let part = self.take_word().and_then(|part| collection_part(&part));
        part.ok_or_else(|| self.error(place, format!("expected {names}")))
    }

    pub(super) fn path(&mut self, expected: &str) -> Result<Path, SyntaxError> {
        let place = self.place();
        match self.take_word() {
            Some(word) => self.path_from(place, Some(word)),
            None if matches!(self.peek(), Some(Kind::Escaped(_))) => self.path_from(place, None),
            None => self.expected(expected),
        }
    }

    /// The path at `place`, whose first name may have been read already.
    pub(super) fn path_from(
        &mut self,
        place: usize,
        first: Option<String>,
    ) -> Result<Path, SyntaxError> {
        // A name in [[ ]] never is part of a qualifier.
        let mut names: Vec<(String, bool)> = first.into_iter().map(|word| (word, true)).collect();
        if names.is_empty() {
            names.push(self.segment()?);
        }
        while self.take_sign(".") {
            names.push(self.segment()?);
        }
        let is = |name: Option<&(String, bool)>, text: &str| {
            name.is_some_and(|(name, is_bare)| *is_bare && name.eq_ignore_ascii_case(text))
        };
        let second = names.get(1).filter(|(_, is_bare)| *is_bare && names.len() > 2);
        let qualifier = match second.and_then(|(part, _)| collection_part(part)) {
            _ if names.len() < 2 || !is(names.first(), "devices") => None,
            Some(collection) => Some(collection),
            None => Some(Collection::Devices),
        };
        let skipped = match qualifier {
            None => 0,
            Some(Collection::Devices) => 1,
            Some(Collection::Jobs | Collection::Modules) => 2,
        };
        let segments = names.into_iter().skip(skipped).map(|(name, _)| name).collect();
        let path = Path { qualifier, segments };
        self.paths.push((path.clone(), place));
        Ok(path)
    }

    /// A name of a path, and whether it stands without `[[` and `]]`.
    fn segment(&mut self) -> Result<(String, bool), SyntaxError> {
        if let Some(word) = self.take_word() {
            return Ok((word, true));
        }
        if matches!(self.peek(), Some(Kind::Keyword(_))) {
            return self.expected("a name (a reserved word is written [[word]])");
        }
        match self.tokens.next_if(|token| matches!(token.kind, Kind::Escaped(_))) {
            Some(Token { kind: Kind::Escaped(name), .. }) => Ok((name, false)),
            _ => self.expected("a name after \".\""),
        }
    }
}

fn collection_part(part: &str) -> Option<Collection> {
    let named = [("jobs", Collection::Jobs), ("modules", Collection::Modules)];
    named.into_iter().find_map(|(name, c)| name.eq_ignore_ascii_case(part).then_some(c))
}
