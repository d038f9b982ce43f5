//! Named defects of the reference agent.
//!
//! A defect changes one observable, from outside: it rewrites what the machine learns or what it
//! wants. `twinspec agent --defect ID` shows it.

mod acknowledge;
mod deployment;
mod order;
mod outcome;
mod rewrite;
mod startup;
mod work;

use twinspec_harness::agent::Overlay;

/// A named defect.
#[derive(Clone, Copy)]
pub struct Defect {
    /// Minted once, never renamed or reused.
    pub id: &'static str,
    /// What the agent does wrong, as a sentence.
    pub title: &'static str,
    /// The requirements it breaks.
    pub requirements: &'static [&'static str],
    /// Makes the defect.
    pub overlay: fn() -> Box<dyn Overlay>,
}

/// The defects by subject.
pub const DEFECTS: &[&[Defect]] = &[
    startup::DEFECTS,
    acknowledge::DEFECTS,
    deployment::DEFECTS,
    outcome::DEFECTS,
    order::DEFECTS,
    work::DEFECTS,
];

/// All defects in a fixed order.
pub fn all() -> impl Iterator<Item = &'static Defect> {
    DEFECTS.iter().flat_map(|defects| defects.iter())
}

/// Makes the defect called `id`; `None` when there is none.
#[must_use]
pub fn overlay(id: &str) -> Option<Box<dyn Overlay>> {
    all().find(|defect| defect.id == id).map(|defect| (defect.overlay)())
}
