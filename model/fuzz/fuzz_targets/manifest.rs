//! Any text as manifest, import manifest, detached manifest, signature and root key package: nothing
//! panics, nothing verifies, and what is read keeps the promises of its type.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twinspec_model::update::import::ImportManifest;
use twinspec_model::update::key::RootKeys;
use twinspec_model::update::manifest::{Manifest, Step};
use twinspec_model::update::root_key::{Build, Package};
use twinspec_model::update::signature::{Store, Trust, verify};
use twinspec_model::update::{Flaw, UpdateId, detached};

fn keeps_its_promises(manifest: &Manifest) {
    assert!((1..=10).contains(&manifest.steps.len()));
    for step in &manifest.steps {
        match step {
            Step::Inline(step) => {
                assert!(!step.files.is_empty());
                assert!(step.files.iter().all(|id| manifest.files.contains_key(id)));
            }
            Step::Reference { detached_manifest_file_id } => {
                assert!(manifest.files.contains_key(detached_manifest_file_id));
            }
        }
    }
    let id = UpdateId::parse(&manifest.update_id.to_string());
    assert_eq!(id.as_ref(), Ok(&manifest.update_id));
}

fn says_why(flaw: &Flaw) {
    assert!(!flaw.to_string().is_empty() && flaw.reported().0 != 0);
}

fuzz_target!(|data: &[u8]| {
    match detached::parse(data) {
        Ok(manifest) => keeps_its_promises(&manifest),
        Err(flaw) => says_why(&flaw),
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Manifest::parse(text) {
        Ok(manifest) => keeps_its_promises(&manifest),
        Err(flaw) => says_why(&flaw),
    }
    if let Err(flaw) = ImportManifest::parse(text) {
        says_why(&flaw);
    }
    let roots = RootKeys::production();
    match Package::parse(text) {
        Err(flaw) => says_why(&flaw),
        Ok(package) => {
            // Stored text is stable: it is compared with what is fetched next time.
            let again = Package::parse(package.text()).map(|again| again == package);
            assert_eq!(again, Ok(true));
            assert!(package.verify(&roots, Build::Production).is_err());
        }
    }
    let trust = Trust { roots: &roots, store: Store::Empty };
    if let Err(flaw) = verify(Some(text), Some(text), &trust) {
        says_why(&flaw);
    }
});
