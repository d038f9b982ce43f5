//! Material that the real service signed: it must verify, and what was edited afterwards must not.
//!
//! It is not ours to copy, so it is read from the folder that `TWINSPEC_GENUINE_DIR` names. Without
//! it every test here is reported as ignored, with the reason.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod agent;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;
use twinspec_model::update::key::RootKeys;
use twinspec_model::update::manifest::{Manifest, ManifestVersion, Step};
use twinspec_model::update::root_key::{Build, Package, Renewal, renew};
use twinspec_model::update::signature::{Signer, Store, Trust, verify};
use twinspec_model::update::{Flaw, Reason};

const FOLDER: &str = "TWINSPEC_GENUINE_DIR";

type Test = fn(&Material) -> Result<(), Failed>;

fn main() -> ExitCode {
    let tests: [(&str, Test); 8] = [
        ("a_genuine_manifest_verifies_under_the_production_root_key", genuine_manifest),
        ("a_genuine_manifest_is_parsed", genuine_content),
        ("an_edited_manifest_is_refused_for_its_hash", edited_manifest),
        ("a_genuine_root_key_package_verifies", genuine_package),
        ("a_genuine_root_key_package_holds_the_production_keys", genuine_keys),
        ("one_changed_byte_anywhere_is_refused", changed_bytes),
        ("the_agent_refuses_what_was_edited", agent::refuses_with_package),
        ("an_agent_without_root_key_packages_refuses_it_too", agent::refuses_without_package),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::ignorable_test(name, move || match env::var_os(FOLDER) {
            None => Ok(Completion::ignored_with(format!("{FOLDER} names no folder"))),
            Some(folder) => test(&Material(folder.into())).map(|()| Completion::Completed),
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

/// The folder.
struct Material(PathBuf);

/// A `service` object.
struct Service {
    manifest: String,
    signature: String,
}

impl Material {
    fn text(&self, name: &str) -> Result<String, Failed> {
        let path = self.0.join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn service(&self, name: &str) -> Result<Service, Failed> {
        let object: Value = serde_json::from_str(&self.text(name)?)?;
        let member = |member: &str| {
            let text = object.get(member).and_then(Value::as_str);
            text.map(str::to_owned).ok_or_else(|| format!("{name} has no text {member}"))
        };
        let (manifest, signature) = (member("updateManifest")?, member("updateManifestSignature")?);
        Ok(Service { manifest, signature })
    }

    fn package(&self) -> Result<Package, Failed> {
        Ok(Package::parse(&self.text("root-key-package-production.json")?)?)
    }
}

impl Service {
    fn verify(&self, store: Store<'_>) -> Result<Signer, Flaw> {
        let roots = RootKeys::production();
        verify(Some(&self.manifest), Some(&self.signature), &Trust { roots: &roots, store })
    }
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn genuine_manifest(material: &Material) -> Result<(), Failed> {
    let package = material.package()?;
    for store in [Store::Empty, Store::Package(&package)] {
        let signer = material.service("signed-v4-good.json")?.verify(store)?;
        check(signer.root == "ADU.200702.R", "it is under the first production root key")?;
        check(signer.key.bits() == 3072, "the signing key has 3072 bits")?;
        // The signing key ADU.210609.R.S; device-update-manifests.md § 4.
        let fingerprint = URL_SAFE_NO_PAD.encode(signer.key.fingerprint());
        let expected = "q5xF2ARjhdtH-kaLNTwZAMoXdy0iJQjziQ_AyZWDPRA";
        check(fingerprint == expected, "the fingerprint of the signing key is the known one")?;
    }
    Ok(())
}

fn genuine_content(material: &Material) -> Result<(), Failed> {
    let manifest = Manifest::parse(&material.service("signed-v4-good.json")?.manifest)?;
    check(manifest.version == ManifestVersion::V4, "it is of version 4")?;
    let id = r#"{"provider":"Contoso","name":"Virtual-Vacuum","version":"20.0"}"#;
    check(manifest.update_id.to_string() == id, "the update id is read")?;
    let kinds: Vec<bool> =
        manifest.steps.iter().map(|step| matches!(step, Step::Inline(_))).collect();
    check(kinds == [true, false], "an inline step, then a reference step")?;
    check(manifest.files.len() == 2, "there are two files")
}

fn edited_manifest(material: &Material) -> Result<(), Failed> {
    for name in ["signed-manifest-edited-1.json", "signed-manifest-edited-2.json"] {
        let service = material.service(name)?;
        let Err(flaw) = service.verify(Store::Empty) else { return Err(name.into()) };
        check(flaw.reason == Reason::HashMismatch, name)?;
        let code = flaw.code().map(|code| code.to_string());
        check(code.as_deref() == Some("80300001"), name)?;
        // Nothing but the hash is wrong: the manifest can be read.
        check(Manifest::parse(&service.manifest)?.version == ManifestVersion::V5, name)?;
    }
    Ok(())
}

fn genuine_package(material: &Material) -> Result<(), Failed> {
    let package = material.package()?;
    package.verify(&RootKeys::production(), Build::Production)?;
    check(package.version == 1 && package.published == 1_675_972_876, "version and time are read")?;
    check(renew(None, &package)? == Renewal::Replaced, "an empty store takes it")?;
    check(renew(Some(&package), &package)? == Renewal::Unchanged, "a store that has it keeps it")
}

fn genuine_keys(material: &Material) -> Result<(), Failed> {
    let package = material.package()?;
    for (id, key) in RootKeys::production().iter() {
        check(package.root_key(id) == Some(key), id)?;
    }
    Ok(())
}

/// The bytes are taken at steps, so that the test takes seconds and not minutes.
fn changed_bytes(material: &Material) -> Result<(), Failed> {
    let good = material.service("signed-v4-good.json")?;
    for at in (0..good.signature.len()).step_by(7) {
        let signature = changed(&good.signature, at);
        let service = Service { manifest: good.manifest.clone(), signature };
        check(service.verify(Store::Empty).is_err(), &format!("byte {at} of the signature"))?;
    }
    for at in (0..good.manifest.len()).step_by(7) {
        let service =
            Service { manifest: changed(&good.manifest, at), signature: good.signature.clone() };
        check(service.verify(Store::Empty).is_err(), &format!("byte {at} of the manifest"))?;
    }
    let roots = RootKeys::production();
    let package = material.package()?.text().to_owned();
    for at in 0..package.len() {
        // The label of an algorithm stands outside what is signed, but is looked at as well.
        let refused = Package::parse(&changed(&package, at))
            .and_then(|package| package.verify(&roots, Build::Production));
        check(refused.is_err(), &format!("byte {at} of the package"))?;
    }
    Ok(())
}

/// `text` with another character at `at`.
fn changed(text: &str, at: usize) -> String {
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    text.char_indices().map(|(index, c)| if index == at { other(c) } else { c }).collect()
}
