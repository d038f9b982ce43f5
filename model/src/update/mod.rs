//! Device Update: update and import manifests, their signatures, root key packages and result codes
//! (device-update-manifests.md, device-update-agent.md).
//!
//! What an agent does with one `service` object uses them in this order:
//!
//! 1. [`root_key::Package::parse`] and [`root_key::Package::verify`] for what was fetched, then
//!    [`root_key::renew`] for what becomes of the stored package;
//! 2. [`signature::verify`] for the text of the manifest;
//! 3. [`manifest::Manifest::parse`], and [`detached::parse`] for every child;
//! 4. [`files::File::check`] for every file that was fetched.
//!
//! Each of them says what is wrong as a [`Flaw`]: what was looked at, where, why it is refused, and
//! the extended result code that agents are known to report for it.
//! Nothing here fetches, stores or logs, and nothing is ever trusted that was not verified.

pub mod detached;
pub mod files;
mod flaw;
pub mod identity;
pub mod import;
pub mod key;
#[cfg(test)]
mod laws;
pub mod manifest;
mod ordered;
mod read;
pub mod result_code;
pub mod root_key;
pub mod signature;
#[cfg(test)]
mod tests;

pub use flaw::{Document, Flaw, Reason};
pub use identity::{UpdateId, Version};
