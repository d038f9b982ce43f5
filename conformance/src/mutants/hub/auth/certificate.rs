//! Defects of certificates (HUB-AUTH-017 to -020).

use twinspec_model::auth::Certificate;

use super::doors::on_certificate;
use crate::mutants::Mutant;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "auth-certificate-ignored",
        title: "Certificates of self-signed identities are not looked at",
        requirements: &["HUB-AUTH-017"],
        overlay: || {
            on_certificate(|_, entry, certificate| {
                entry.primary_print.is_empty().then_some(certificate)
            })
        },
    },
    Mutant {
        id: "auth-certificate-ignored-for-modules",
        title: "Certificates of self-signed modules are not looked at",
        requirements: &["HUB-AUTH-017"],
        overlay: || {
            on_certificate(|client_id, _, certificate| {
                (!client_id.contains('/')).then_some(certificate)
            })
        },
    },
    Mutant {
        id: "auth-any-thumbprint",
        title: "Any certificate opens an identity that has a thumbprint",
        requirements: &["HUB-AUTH-018"],
        overlay: || {
            on_certificate(|_, entry, certificate| {
                let is_registered = [&entry.primary_print, &entry.secondary_print]
                    .into_iter()
                    .any(|print| *print == certificate.sha256);
                if is_registered || entry.primary_print.is_empty() {
                    return Some(certificate);
                }
                Some(Certificate { sha256: entry.primary_print.clone(), ..certificate })
            })
        },
    },
    Mutant {
        id: "auth-secondary-thumbprint-refused",
        title: "The certificate of the secondary thumbprint is refused",
        requirements: &["HUB-AUTH-019"],
        overlay: || {
            on_certificate(|_, entry, certificate| {
                (certificate.sha256 != entry.secondary_print).then_some(certificate)
            })
        },
    },
    Mutant {
        id: "auth-primary-thumbprint-superseded",
        title: "The certificate of the primary thumbprint is refused when there is a secondary",
        requirements: &["HUB-AUTH-019"],
        overlay: || {
            on_certificate(|_, entry, certificate| {
                let is_primary = certificate.sha256 == entry.primary_print;
                let is_superseded = is_primary && !entry.secondary_print.is_empty();
                (!is_superseded).then_some(certificate)
            })
        },
    },
    Mutant {
        id: "auth-authority-unknown",
        title: "Certificates of registered authorities are refused",
        requirements: &["HUB-AUTH-020"],
        overlay: || {
            on_certificate(|_, _, certificate| (!certificate.is_trusted).then_some(certificate))
        },
    },
    Mutant {
        id: "auth-authority-any-name",
        title: "A certificate of a registered authority opens devices that it does not name",
        requirements: &["HUB-AUTH-020"],
        overlay: || {
            on_certificate(|client_id, _, certificate| {
                Some(Certificate { common_name: Some(client_id.to_owned()), ..certificate })
            })
        },
    },
    Mutant {
        id: "auth-authority-start-of-name",
        title: "A certificate of a registered authority opens devices whose ids begin with its name",
        requirements: &["HUB-AUTH-020"],
        overlay: || {
            on_certificate(|client_id, _, certificate| {
                let begins = |name: &String| client_id.starts_with(name.as_str());
                if !certificate.common_name.as_ref().is_some_and(begins) {
                    return Some(certificate);
                }
                Some(Certificate { common_name: Some(client_id.to_owned()), ..certificate })
            })
        },
    },
    Mutant {
        id: "auth-authority-of-nobody",
        title: "Certificates that nobody known has signed count as those of an authority",
        requirements: &["HUB-AUTH-020"],
        overlay: || {
            on_certificate(|_, _, certificate| {
                Some(Certificate { is_trusted: true, ..certificate })
            })
        },
    },
];
