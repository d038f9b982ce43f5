//! Expressions: precedence climbing by binding strength (query.md § 5.2).

use super::ast::{Comparison, Expr, Function, Literal, Operator};
use super::lexer::{Keyword, Kind};
use super::parser::{Parser, strength};
use super::{NESTING_MAX, SyntaxError};

impl Parser<'_> {
    /// An expression whose operators all bind at least as tightly as `weakest`.
    pub(super) fn expression(&mut self, weakest: u8) -> Result<Expr, SyntaxError> {
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
