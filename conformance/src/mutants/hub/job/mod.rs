//! Defects of jobs.

use serde_json::json;

use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_request};

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[EFFECT];

const EFFECT: &[Mutant] = &[Mutant {
    id: "job-selects-everybody",
    title: "A job works on every device, whatever its condition",
    requirements: &["JOB-070"],
    overlay: || {
        on_request(|request| {
            if request.uri().path().starts_with("/jobs/v2/")
                && request.method() == http::Method::PUT
            {
                edit_json(request.body_mut(), |job| job["queryCondition"] = json!("*"));
            }
        })
    },
}];
