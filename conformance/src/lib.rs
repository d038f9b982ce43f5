//! twinspec: what the protocol demands, how it is tried, and what is said about it.
//!
//! - [`requirement`] is the registry of demands; [`cases`] are the trials; [`bench`](mod@bench) is what a
//!   case works with; [`run`] runs them against a [`target`].
//! - [`mutants`] are named defects that prove the cases.
//! - [`report`] is the one typed record of a run and its views.
//! - [`vectors`] keeps the golden vectors in step with the model.
//! - [`cli`] is the command line.

pub mod agent_profile;
pub mod ambiguity;
pub mod bench;
pub mod case;
pub mod cases;
pub mod cli;
pub mod hindrance;
pub mod known;
pub mod mutants;
pub mod pace;
pub mod pool;
pub mod preflight;
pub mod profile;
pub mod report;
pub mod requirement;
pub mod run;
pub mod select;
pub mod target;
mod text;
pub mod vectors;
pub mod verdict;
