//! A case: one trial of one or a few requirements, as a value.

use std::future::Future;
use std::pin::Pin;

use crate::bench::Bench;
use crate::verdict::Checked;

/// The running body of a case.
pub type Body<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// Whom a case judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A hub.
    Hub,
}

impl Role {
    /// The word in names of cases.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
        }
    }
}

/// What a case needs from the target besides device and service endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A hub that throttles twin operations to a few per second.
    Throttling,
}

/// One trial.
#[derive(Clone, Copy)]
pub struct Case {
    /// Minted once, never renamed or reused.
    pub id: &'static str,
    /// What is shown, as a sentence.
    pub title: &'static str,
    /// The requirements that the case checks; each must be checked in a run that passes.
    pub requirements: &'static [&'static str],
    /// What it needs.
    pub needs: &'static [Need],
    /// The body.
    pub run: for<'a> fn(&'a mut Bench) -> Body<'a>,
}

/// The cases of one role and subject.
pub struct Group {
    /// Whom they judge.
    pub role: Role,
    /// The subject: the same word in every room.
    pub subject: &'static str,
    /// The cases.
    pub cases: &'static [&'static [Case]],
}

/// Turns an `async fn(&mut Bench) -> Checked` into the body of a [`Case`].
#[macro_export]
macro_rules! body {
    ($function:path) => {
        |bench| Box::pin($function(bench))
    };
}

/// All groups.
pub const GROUPS: &[Group] =
    &[Group { role: Role::Hub, subject: "twin", cases: crate::cases::hub::twin::CASES }];

/// All cases with their groups, in a fixed order.
pub fn all() -> impl Iterator<Item = (&'static Group, &'static Case)> {
    let cases = |group: &'static Group| group.cases.iter().flat_map(|cases| cases.iter());
    GROUPS.iter().flat_map(move |group| cases(group).map(move |case| (group, case)))
}
