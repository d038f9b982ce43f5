//! Device twins and module twins.

mod atomic;
mod concurrency;
mod content;
mod content_reported;
mod device;
mod device_condition;
mod device_module;
mod device_refused;
mod device_report;
mod device_request;
mod document;
mod easily_lost;
mod echo;
mod keys;
mod merging;
mod metadata;
mod notification;
mod notification_members;
mod notification_scope;
mod open_points;
mod race;
mod replace;
mod resize;
mod sides;
mod size;
mod stamps;
mod validation;
mod values;
mod versions;

use crate::case::Case;

/// All cases of the subject.
pub const CASES: &[&[Case]] = &[
    device::CASES,
    device_condition::CASES,
    device_module::CASES,
    device_refused::CASES,
    device_report::CASES,
    device_request::CASES,
    notification::CASES,
    notification_members::CASES,
    notification_scope::CASES,
    open_points::CASES,
    content::CASES,
    content_reported::CASES,
    values::CASES,
    easily_lost::CASES,
    atomic::CASES,
    echo::CASES,
    replace::CASES,
    concurrency::CASES,
    race::CASES,
    document::CASES,
    keys::CASES,
    metadata::CASES,
    resize::CASES,
    size::CASES,
    stamps::CASES,
    validation::CASES,
    versions::CASES,
];
