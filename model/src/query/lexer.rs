//! From characters to words, constants and signs (query.md § 2).

use super::SyntaxError;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `[[…]]`: a name that stands for nothing but itself.
    Escaped(String),
    Keyword(Keyword),
    Number(f64),
    Sign(&'static str),
    Text(String),
    /// A name, with its `$` where it has one.
    Word(String),
}

macro_rules! keywords {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// A word that is no name unless it stands in `[[` and `]]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword {
            $($name),+
        }

        impl Keyword {
            /// The keyword that `word` is, in any case.
            pub(super) fn find(word: &str) -> Option<Self> {
                [$(($text, Self::$name)),+]
                    .into_iter()
                    .find_map(|(text, keyword)| text.eq_ignore_ascii_case(word).then_some(keyword))
            }
        }
    };
}

keywords! {
    And = "AND", As = "AS", By = "BY", False = "false", From = "FROM", Group = "GROUP", In = "IN",
    Nin = "NIN", Not = "NOT", Null = "null", Or = "OR", Select = "SELECT", Top = "TOP",
    True = "true", Undefined = "undefined", Where = "WHERE",
}

/// Signs, longer ones before their own beginnings.
const SIGNS: [&str; 19] = [
    "!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
    ";",
];

/// Whether `c` may begin a name.
pub(super) fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Whether `c` may stand within a name.
pub(super) fn within_name(c: char) -> bool {
    begins_name(c) || c.is_ascii_digit()
}

/// Splits `text` into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut lexer = Lexer { text, at: 0 };
    loop {
        lexer.take_while(char::is_whitespace);
        let start = lexer.at;
        let Some(first) = lexer.peek() else { return Ok(tokens) };
        let kind = lexer.token(first)?;
        tokens.push(Token { kind, start, end: lexer.at });
    }
}

struct Lexer<'a> {
    text: &'a str,
    /// A character boundary.
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Steps over `sign` where it comes next.
    fn skip(&mut self, sign: &str) -> bool {
        let is_next = self.rest().starts_with(sign);
        if is_next {
            self.at += sign.len();
        }
        is_next
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.text, at, problem)
    }

    fn token(&mut self, first: char) -> Result<Kind, SyntaxError> {
        match first {
            '\'' | '"' => self.string(),
            '0'..='9' => self.number(),
            '$' => self.dollar(),
            c if begins_name(c) => {
                let word = self.take_while(within_name);
                Ok(Keyword::find(word).map_or_else(|| Kind::Word(word.to_owned()), Kind::Keyword))
            }
            _ if self.rest().starts_with("[[") => self.escaped(),
            _ => self.sign(first),
        }
    }

    fn sign(&mut self, first: char) -> Result<Kind, SyntaxError> {
        match SIGNS.into_iter().find(|sign| self.rest().starts_with(sign)) {
            Some(sign) => {
                self.at += sign.len();
                Ok(Kind::Sign(sign))
            }
            None => Err(self.error(self.at, format!("{first:?} has no meaning here"))),
        }
    }

    fn dollar(&mut self) -> Result<Kind, SyntaxError> {
        let start = self.at;
        self.next();
        match self.take_while(within_name) {
            "" => Err(self.error(start, "expected a name after $")),
            name => Ok(Kind::Word(format!("${name}"))),
        }
    }

    fn escaped(&mut self) -> Result<Kind, SyntaxError> {
        let start = self.at;
        self.skip("[[");
        match self.rest().split_once("]]") {
            None => Err(self.error(start, "expected ]] at the end of the name that begins here")),
            Some(("", _)) => Err(self.error(start, "expected a name between [[ and ]]")),
            Some((name, _)) => {
                self.at += name.len() + "]]".len();
                Ok(Kind::Escaped(name.to_owned()))
            }
        }
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        let start = self.at;
        let is_digit = |c: char| c.is_ascii_digit();
        let value = if self.skip("0x") || self.skip("0X") {
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            if digits.is_empty() {
                return Err(self.error(self.at, "expected a hexadecimal digit after 0x"));
            }
            #[expect(clippy::cast_precision_loss, reason = "all numbers are 64-bit floats")]
            u64::from_str_radix(digits, 16).ok().map(|integer| integer as f64)
        } else {
            self.take_while(is_digit);
            if self.skip(".") {
                self.take_while(is_digit);
            }
            self.exponent();
            let literal = self.text.get(start..self.at).unwrap_or_default();
            literal.parse::<f64>().ok().filter(|value| value.is_finite())
        };
        if self.peek().is_some_and(within_name) {
            return Err(self.error(self.at, "expected the number to end here"));
        }
        value.map(Kind::Number).ok_or_else(|| self.error(start, "the number is too large"))
    }

    /// Steps over `e5`, `E+5` or `e-5`, and over nothing else.
    fn exponent(&mut self) {
        let start = self.at;
        if self.skip("e") || self.skip("E") {
            let _signed = self.skip("+") || self.skip("-");
            if self.take_while(|c| c.is_ascii_digit()).is_empty() {
                self.at = start;
            }
        }
    }

    fn string(&mut self) -> Result<Kind, SyntaxError> {
        let start = self.at;
        let quote = self.next();
        let mut value = String::new();
        loop {
            let place = self.at;
            match self.next() {
                None => return Err(self.error(start, "the string that begins here has no end")),
                Some('\\') => value.push(self.escape(place)?),
                // A doubled quote is the quote itself: the form one client writes (A-Q10).
                Some(c) if Some(c) == quote && self.peek() == quote => {
                    self.next();
                    value.push(c);
                }
                Some(c) if Some(c) == quote => return Ok(Kind::Text(value)),
                Some(c) => value.push(c),
            }
        }
    }

    /// The character that the escape at `place` stands for; its backslash is read already.
    fn escape(&mut self, place: usize) -> Result<char, SyntaxError> {
        match self.next() {
            Some(c @ ('\'' | '"' | '\\')) => Ok(c),
            Some('u') => {
                let mut units = vec![self.code_unit(place)?];
                if units.iter().all(|unit| (0xD800..0xDC00).contains(unit)) && self.skip("\\u") {
                    units.push(self.code_unit(place)?);
                }
                match char::decode_utf16(units).collect::<Vec<_>>().as_slice() {
                    [Ok(c)] => Ok(*c),
                    _ => Err(self.error(place, "half of a surrogate pair is no character")),
                }
            }
            _ => Err(self.error(place, "expected one of the escapes \\' \\\" \\\\ \\uXXXX")),
        }
    }

    fn code_unit(&mut self, place: usize) -> Result<u16, SyntaxError> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += if unit.is_some() { 4 } else { 0 };
        unit.ok_or_else(|| self.error(place, "expected four hexadecimal digits after \\u"))
    }
}
