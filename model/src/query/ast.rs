//! The tree of a query (query.md § 2).

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// At most this many rows.
    pub top: Option<u64>,
    /// What each row shows.
    pub select: Select,
    /// What is looked through.
    pub from: Collection,
    /// Which rows count.
    pub condition: Option<Expr>,
    /// What rows are put together by.
    pub group_by: Option<Path>,
}

/// What a query looks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Device twins.
    Devices,
    /// Rows of jobs, one for each device.
    Jobs,
    /// Module twins.
    Modules,
}

/// What a query shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// `*`.
    All,
    /// These members.
    Items(Vec<Item>),
}

/// One member of a result row.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where its value comes from.
    pub column: Column,
    /// Its name after `AS`.
    pub alias: Option<String>,
}

/// Where the value of a member comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// `AVG(path)` and its like.
    Aggregate(Aggregate, Path),
    /// `COUNT()`.
    Count,
    /// The value at a path.
    Path(Path),
}

/// A function of many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Mean.
    Avg,
    /// Largest.
    Max,
    /// Smallest.
    Min,
    /// Total.
    Sum,
}

/// A path from the root of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The collection named in front, as in `devices.jobs.jobId`.
    pub qualifier: Option<Collection>,
    /// The names, without `[[` and `]]`; at least one.
    pub segments: Vec<String>,
}

/// An expression. Chains of operators of one precedence are flat, so that the depth of a tree is
/// that of the parentheses in its text.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them; at least two.
    And(Vec<Expr>),
    /// From left to right, operators of one precedence only; at least one pair.
    Arithmetic(Box<Expr>, Vec<(Operator, Expr)>),
    /// A function of values.
    Call(Function, Vec<Expr>),
    /// Two values side by side.
    Compare(Box<Expr>, Comparison, Box<Expr>),
    /// `[…]`.
    List(Vec<Literal>),
    /// A constant.
    Literal(Literal),
    /// `IN`, or `NIN` when `within` is false.
    Member {
        /// What is looked for.
        value: Box<Expr>,
        /// Whether it must be there.
        within: bool,
        /// Where.
        list: Vec<Literal>,
    },
    /// Unary minus.
    Negate(Box<Expr>),
    /// `NOT`.
    Not(Box<Expr>),
    /// At least one of them; at least two.
    Or(Vec<Expr>),
    /// The value at a path.
    Path(Path),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// A finite number; negative only within lists.
    Number(f64),
    /// A string.
    Text(String),
    /// `undefined`.
    Undefined,
}

/// Arithmetic on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `/`
    Divide,
    /// `*`
    Multiply,
    /// `%`
    Remainder,
    /// `-`
    Subtract,
}

impl Operator {
    /// Whether it binds like `*` rather than like `+`.
    #[must_use]
    pub fn is_factor(self) -> bool {
        matches!(self, Self::Divide | Self::Multiply | Self::Remainder)
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `!=` and `<>`
    NotEqual,
}

/// A function of values (query.md § 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Whether the array (first) holds the value (second).
    ArrayContains,
    /// Whether the string (first) ends with the other.
    EndsWith,
    /// Whether there is a value at all.
    IsDefined,
    /// Whether the string (first) begins with the other.
    StartsWith,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 4] =
        [Self::ArrayContains, Self::EndsWith, Self::IsDefined, Self::StartsWith];

    /// Its name in canonical text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArrayContains => "ARRAY_CONTAINS",
            Self::EndsWith => "ENDSWITH",
            Self::IsDefined => "IS_DEFINED",
            Self::StartsWith => "STARTSWITH",
        }
    }

    /// How many arguments it takes.
    #[must_use]
    pub fn arity(self) -> usize {
        match self {
            Self::IsDefined => 1,
            Self::ArrayContains | Self::EndsWith | Self::StartsWith => 2,
        }
    }
}

impl Aggregate {
    /// All aggregates that take a path.
    pub const ALL: [Self; 4] = [Self::Avg, Self::Max, Self::Min, Self::Sum];

    /// Its name in canonical text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avg => "AVG",
            Self::Max => "MAX",
            Self::Min => "MIN",
            Self::Sum => "SUM",
        }
    }
}

impl Collection {
    /// Its name in canonical text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Jobs => "devices.jobs",
            Self::Modules => "devices.modules",
        }
    }
}

impl Query {
    /// Whether the rows of the result stand for many rows each.
    #[must_use]
    pub fn is_aggregate(&self) -> bool {
        let gathers = |item: &Item| !matches!(item.column, Column::Path(_));
        match &self.select {
            Select::All => false,
            Select::Items(items) => self.group_by.is_some() || items.iter().any(gathers),
        }
    }

    /// What the rows of the result are.
    #[must_use]
    pub fn item_type(&self) -> super::ItemType {
        match (&self.select, self.from) {
            (Select::Items(_), _) => super::ItemType::Raw,
            (Select::All, Collection::Jobs) => super::ItemType::DeviceJob,
            (Select::All, Collection::Devices | Collection::Modules) => super::ItemType::Twin,
        }
    }
}
