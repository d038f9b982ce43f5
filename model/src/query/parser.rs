//! From tokens to the tree: precedence climbing by binding strength (query.md §§ 2 and 5.2).

use super::ast::{
    Aggregate, Collection, Column, Comparison, Expr, Function, Item, Literal, Operator, Path,
    Query, Select,
};
use super::lexer::{Keyword, Kind, Token, tokens};
use super::{LENGTH_MAX, NESTING_MAX, SyntaxError, check};

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
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    nesting: usize,
    /// The paths met so far, and where they stand.
    paths: Vec<(Path, usize)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, SyntaxError> {
        let tokens = tokens(text)?.into_iter().peekable();
        Ok(Self { text, tokens, nesting: 0, paths: Vec::new() })
    }

    fn peek(&mut self) -> Option<&Kind> {
        self.tokens.peek().map(|token| &token.kind)
    }

    /// Where the next token stands.
    fn place(&mut self) -> usize {
        self.tokens.peek().map_or(self.text.len(), |token| token.start)
    }

    fn error(&self, offset: usize, problem: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.text, offset, problem)
    }

    /// An error at the next token, which is something else than `expected`.
    fn expected<T>(&mut self, expected: &str) -> Result<T, SyntaxError> {
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

    fn take_keyword(&mut self, keyword: Keyword) -> bool {
        self.tokens.next_if(|token| token.kind == Kind::Keyword(keyword)).is_some()
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token.kind, Kind::Sign(s) if s == sign)).is_some()
    }

    fn keyword(&mut self, keyword: Keyword, expected: &str) -> Result<(), SyntaxError> {
        if self.take_keyword(keyword) { Ok(()) } else { self.expected(expected) }
    }

    fn sign(&mut self, sign: &str, expected: &str) -> Result<(), SyntaxError> {
        if self.take_sign(sign) { Ok(()) } else { self.expected(expected) }
    }

    /// The next token where it is a name, not a keyword.
    fn take_word(&mut self) -> Option<String> {
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

    fn path(&mut self, expected: &str) -> Result<Path, SyntaxError> {
        let place = self.place();
        match self.take_word() {
            Some(word) => self.path_from(place, Some(word)),
            None if matches!(self.peek(), Some(Kind::Escaped(_))) => self.path_from(place, None),
            None => self.expected(expected),
        }
    }

    /// The path at `place`, whose first name may have been read already.
    fn path_from(&mut self, place: usize, first: Option<String>) -> Result<Path, SyntaxError> {
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

    /// An expression whose operators all bind at least as tightly as `weakest`.
    fn expression(&mut self, weakest: u8) -> Result<Expr, SyntaxError> {
        if self.nesting >= NESTING_MAX {
            let place = self.place();
            let problem = format!("expressions nest at most {NESTING_MAX} deep");
            return Err(self.error(place, problem));
        }
        self.nesting += 1;
        let (mut left, mut ceiling) = self.prefix(weakest)?;
        while let Some(infix) = self.infix(weakest, ceiling) {
            left = match infix {
                Infix::And => Expr::And(self.chain(left, Keyword::And, strength::AND)?),
                Infix::Or => Expr::Or(self.chain(left, Keyword::Or, strength::OR)?),
                Infix::Arithmetic(operator) => self.arithmetic(left, operator)?,
                Infix::Compare(comparison) => {
                    self.tokens.next();
                    let right = self.expression(strength::SUM)?;
                    Expr::Compare(Box::new(left), comparison, Box::new(right))
                }
                Infix::Member { within } => {
                    self.tokens.next();
                    let list = self.list("\"[\" after IN or NIN")?;
                    Expr::Member { value: Box::new(left), within, list }
                }
            };
            // Comparisons do not chain, and the other operators took all of their kind.
            ceiling = infix.strength() - 1;
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// What an expression begins with, and how tightly an operator after it may bind.
    fn prefix(&mut self, weakest: u8) -> Result<(Expr, u8), SyntaxError> {
        if weakest <= strength::NOT && self.take_keyword(Keyword::Not) {
            let operand = self.expression(strength::NOT)?;
            return Ok((Expr::Not(Box::new(operand)), strength::NOT - 1));
        }
        if self.take_sign("-") {
            return Ok((Expr::Negate(Box::new(self.primary()?)), strength::PRODUCT));
        }
        Ok((self.primary()?, strength::PRODUCT))
    }

    fn infix(&mut self, weakest: u8, ceiling: u8) -> Option<Infix> {
        let infix = self.peek().and_then(Infix::read)?;
        (weakest..=ceiling).contains(&infix.strength()).then_some(infix)
    }

    /// `left` and all that is joined to it with `keyword`.
    fn chain(
        &mut self,
        left: Expr,
        keyword: Keyword,
        strength: u8,
    ) -> Result<Vec<Expr>, SyntaxError> {
        let mut links = vec![left];
        while self.take_keyword(keyword) {
            links.push(self.expression(strength + 1)?);
        }
        Ok(links)
    }

    fn arithmetic(&mut self, left: Expr, first: Operator) -> Result<Expr, SyntaxError> {
        let strength = Infix::Arithmetic(first).strength();
        let mut steps = Vec::new();
        while let Some(Infix::Arithmetic(operator)) = self.infix(strength, strength) {
            self.tokens.next();
            steps.push((operator, self.expression(strength + 1)?));
        }
        Ok(Expr::Arithmetic(Box::new(left), steps))
    }

    fn primary(&mut self) -> Result<Expr, SyntaxError> {
        if self.take_sign("(") {
            let inner = self.expression(strength::OR)?;
            self.sign(")", "an operator or \")\"")?;
            return Ok(inner);
        }
        if matches!(self.peek(), Some(Kind::Sign("["))) {
            return self.list("\"[\"").map(Expr::List);
        }
        if let Some(literal) = self.take_literal() {
            return Ok(Expr::Literal(literal));
        }
        let place = self.place();
        match self.take_word() {
            Some(word) if self.take_sign("(") => self.call(place, &word),
            Some(word) => self.path_from(place, Some(word)).map(Expr::Path),
            None => self.path("a path, a constant, a function or \"(\"").map(Expr::Path),
        }
    }

    fn call(&mut self, place: usize, name: &str) -> Result<Expr, SyntaxError> {
        let named = |function: &Function| function.name().eq_ignore_ascii_case(name);
        let Some(function) = Function::ALL.into_iter().find(named) else {
            let known = Function::ALL.map(Function::name).join(", ");
            let problem = format!("{name} is none of the functions {known}");
            return Err(self.error(place, problem));
        };
        let mut arguments = vec![self.expression(strength::OR)?];
        while self.take_sign(",") {
            arguments.push(self.expression(strength::OR)?);
        }
        self.sign(")", "\",\" or \")\"")?;
        if arguments.len() == function.arity() {
            return Ok(Expr::Call(function, arguments));
        }
        let (takes, found) = (function.arity(), arguments.len());
        let problem = format!("{} takes {takes} argument(s), found {found}", function.name());
        Err(self.error(place, problem))
    }

    fn list(&mut self, expected: &str) -> Result<Vec<Literal>, SyntaxError> {
        self.sign("[", expected)?;
        let mut literals = Vec::new();
        if self.take_sign("]") {
            return Ok(literals);
        }
        loop {
            literals.push(self.element()?);
            if !self.take_sign(",") {
                self.sign("]", "\",\" or \"]\"")?;
                return Ok(literals);
            }
        }
    }

    fn element(&mut self) -> Result<Literal, SyntaxError> {
        let is_negative = self.take_sign("-");
        match (is_negative, self.take_literal()) {
            (false, Some(literal)) => Ok(literal),
            (true, Some(Literal::Number(number))) => Ok(Literal::Number(-number)),
            (true, _) => self.expected("a number after \"-\""),
            (false, None) => self.expected("a constant"),
        }
    }

    fn take_literal(&mut self) -> Option<Literal> {
        let literal = match self.peek()? {
            Kind::Keyword(Keyword::False) => Literal::Bool(false),
            Kind::Keyword(Keyword::Null) => Literal::Null,
            Kind::Keyword(Keyword::True) => Literal::Bool(true),
            Kind::Keyword(Keyword::Undefined) => Literal::Undefined,
            Kind::Number(number) => Literal::Number(*number),
            Kind::Text(text) => Literal::Text(text.clone()),
            Kind::Escaped(_) | Kind::Keyword(_) | Kind::Sign(_) | Kind::Word(_) => return None,
        };
        self.tokens.next();
        Some(literal)
    }
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug)]
enum Infix {
    And,
    Arithmetic(Operator),
    Compare(Comparison),
    Member { within: bool },
    Or,
}

impl Infix {
    fn read(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Keyword(Keyword::And) => Self::And,
            Kind::Keyword(Keyword::Or) => Self::Or,
            Kind::Keyword(Keyword::In) => Self::Member { within: true },
            Kind::Keyword(Keyword::Nin) => Self::Member { within: false },
            Kind::Sign("=") => Self::Compare(Comparison::Equal),
            Kind::Sign("!=" | "<>") => Self::Compare(Comparison::NotEqual),
            Kind::Sign("<") => Self::Compare(Comparison::Less),
            Kind::Sign("<=") => Self::Compare(Comparison::LessOrEqual),
            Kind::Sign(">") => Self::Compare(Comparison::Greater),
            Kind::Sign(">=") => Self::Compare(Comparison::GreaterOrEqual),
            Kind::Sign("+") => Self::Arithmetic(Operator::Add),
            Kind::Sign("-") => Self::Arithmetic(Operator::Subtract),
            Kind::Sign("*") => Self::Arithmetic(Operator::Multiply),
            Kind::Sign("/") => Self::Arithmetic(Operator::Divide),
            Kind::Sign("%") => Self::Arithmetic(Operator::Remainder),
            _ => return None,
        })
    }

    fn strength(self) -> u8 {
        match self {
            Self::Or => strength::OR,
            Self::And => strength::AND,
            Self::Compare(_) | Self::Member { .. } => strength::COMPARE,
            Self::Arithmetic(operator) if operator.is_factor() => strength::PRODUCT,
            Self::Arithmetic(_) => strength::SUM,
        }
    }
}

fn collection_part(part: &str) -> Option<Collection> {
    let named = [("jobs", Collection::Jobs), ("modules", Collection::Modules)];
    named.into_iter().find_map(|(name, c)| name.eq_ignore_ascii_case(part).then_some(c))
}
