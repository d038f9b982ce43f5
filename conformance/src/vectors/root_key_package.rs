//! Family `root-key-package`: which root key packages an agent takes, and what becomes of its own.

use serde_json::{Value, json};
use twinspec_model::update::Flaw;
use twinspec_model::update::root_key::{Build, Package, Renewal, renew};

use super::update_stage::{refused, roots};
use super::{Input, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    let roots = roots(case)?;
    let build = match text(case, "build")? {
        "production" => Build::Production,
        "test" => Build::Test,
        other => return Err(format!("build is {other:?}, allowed are production and test")),
    };
    let stored = match case.get("stored") {
        None => None,
        Some(_) => Some(
            Package::parse(text(case, "stored")?).map_err(|error| format!("stored: {error}"))?,
        ),
    };
    let fetched = text(case, "package")?;
    let judge = || -> Result<Renewal, Flaw> {
        let package = Package::parse(fetched)?;
        package.verify(&roots, build)?;
        renew(stored.as_ref(), &package)
    };
    Ok(match judge() {
        Ok(renewal) => {
            let word = match renewal {
                Renewal::Replaced => "replaced",
                Renewal::Unchanged => "unchanged",
            };
            json!({ "accepted": true, "store": word, "code": renewal.code().to_string() })
        }
        Err(flaw) => refused(&flaw),
    })
}

/// None: what is signed is made outside the model.
pub(super) fn inputs() -> Vec<Input> {
    Vec::new()
}
