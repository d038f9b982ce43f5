//! Named defects of the reference agent.
//!
//! A defect changes one observable, from outside: it rewrites what the machine learns or what it
//! wants. `twinspec agent --defect ID` shows it.

use twinspec_harness::agent::Overlay;

/// A defect as a line of a table.
macro_rules! defect {
    ($id:literal, $title:literal, [$($requirement:literal),+], $overlay:expr) => {
        $crate::mutants::agent::Defect {
            id: $id,
            title: $title,
            requirements: &[$($requirement),+],
            overlay: || Box::new($overlay),
        }
    };
}

mod acknowledge;
mod action;
mod cancel;
mod codes;
mod component;
mod delivery;
mod deployment;
mod diagnostics;
mod failure;
mod interrupt;
mod lenient;
mod manifest;
mod network;
mod order;
mod orders;
mod outcome;
mod package;
mod payload;
mod report;
mod restart;
mod retry;
mod rewrite;
mod signature;
mod stale;
mod startup;
mod wire;
mod work;

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
    outcome::DEFECTS,
    codes::DEFECTS,
    report::DEFECTS,
    order::DEFECTS,
    work::DEFECTS,
    deployment::DEFECTS,
    payload::DEFECTS,
    component::DEFECTS,
    failure::DEFECTS,
    stale::DEFECTS,
    retry::DEFECTS,
    cancel::DEFECTS,
    interrupt::DEFECTS,
    restart::DEFECTS,
    action::DEFECTS,
    delivery::DEFECTS,
    manifest::DEFECTS,
    signature::DEFECTS,
    package::DEFECTS,
    network::DEFECTS,
    diagnostics::DEFECTS,
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
