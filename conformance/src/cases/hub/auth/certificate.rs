//! Identities that prove themselves by X.509 (HUB-AUTH-017 to -020).

use std::sync::Arc;

use serde_json::{Value, json};
use twinspec_harness::tls::ClientCertificate;
use twinspec_model::identity::Identity;

use super::token::{accepted, refused, register, reregister};
use crate::bench::{Bench, Login, Registered};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-thumbprint",
        title: "A device with a registered thumbprint connects without a password",
        requirements: &["HUB-AUTH-017"],
        needs: &[Need::Tls],
        run: body!(thumbprint),
    },
    Case {
        id: "auth-thumbprint-alone-module",
        title: "A module with a registered thumbprint connects without a password",
        requirements: &["HUB-AUTH-017"],
        needs: &[Need::Tls],
        run: body!(thumbprint_alone_module),
    },
    Case {
        id: "auth-thumbprint-unknown",
        title: "A certificate whose thumbprint is not registered is refused",
        requirements: &["HUB-AUTH-018"],
        needs: &[Need::Tls],
        run: body!(thumbprint_unknown),
    },
    Case {
        id: "auth-thumbprint-other-device",
        title: "A certificate whose thumbprint is registered for another device is refused",
        requirements: &["HUB-AUTH-018"],
        needs: &[Need::Tls],
        run: body!(thumbprint_of_other),
    },
    Case {
        id: "auth-thumbprint-replaced",
        title: "A certificate whose thumbprint was replaced is refused, the new one accepted",
        requirements: &["HUB-AUTH-018"],
        needs: &[Need::Tls],
        run: body!(thumbprint_replaced),
    },
    Case {
        id: "auth-thumbprint-secondary",
        title: "A device connects with the certificate of either thumbprint",
        requirements: &["HUB-AUTH-019"],
        needs: &[Need::Tls],
        run: body!(thumbprint_secondary),
    },
    Case {
        id: "auth-thumbprint-module",
        title: "A module connects with the certificate of either thumbprint",
        requirements: &["HUB-AUTH-019"],
        needs: &[Need::Tls],
        run: body!(thumbprint_module),
    },
    Case {
        id: "auth-authority-signed",
        title: "A certificate of a registered authority connects the device that it names",
        requirements: &["HUB-AUTH-020"],
        needs: &[Need::Tls, Need::DeviceAuthority],
        run: body!(authority_signed),
    },
    Case {
        id: "auth-authority-other-name",
        title: "A certificate of a registered authority connects no device but the one it names",
        requirements: &["HUB-AUTH-020"],
        needs: &[Need::Tls, Need::DeviceAuthority],
        run: body!(authority_other_name),
    },
    Case {
        id: "auth-authority-longer-name",
        title: "A certificate of a registered authority connects no device with a longer name",
        requirements: &["HUB-AUTH-020"],
        needs: &[Need::Tls, Need::DeviceAuthority],
        run: body!(authority_longer_name),
    },
    Case {
        id: "auth-authority-nobodys",
        title: "A certificate that names the device and is signed by nobody known is refused",
        requirements: &["HUB-AUTH-020"],
        needs: &[Need::Tls, Need::DeviceAuthority],
        run: body!(authority_unknown),
    },
];

async fn thumbprint(bench: &mut Bench) -> Checked {
    let device = self_signed_device(bench);
    demand_alone(bench, &device).await
}

async fn thumbprint_alone_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    demand_alone(bench, &Identity::module(&device.device, "vision")).await
}

/// Demands that a registered certificate is all that `identity` needs.
async fn demand_alone(bench: &mut Bench, identity: &Identity) -> Checked {
    let certificate = certificate("suite")?;
    register(bench, identity, thumbprints(&certificate, None)).await?;
    let login = login(bench, identity, &certificate);
    accepted(bench, "HUB-AUTH-017", "a certificate and no password", &login).await.map(drop)
}

async fn thumbprint_unknown(bench: &mut Bench) -> Checked {
    let device = self_signed_device(bench);
    let (known, unknown) = (certificate("suite")?, certificate("suite")?);
    register(bench, &device, thumbprints(&known, None)).await?;
    let good = login(bench, &device, &known);
    accepted(bench, "HUB-AUTH-017", "a registered thumbprint", &good).await?;
    let wrong = login(bench, &device, &unknown);
    refused(bench, "HUB-AUTH-018", "a thumbprint that is not registered", &wrong).await
}

async fn thumbprint_of_other(bench: &mut Bench) -> Checked {
    let (device, other) = (self_signed_device(bench), self_signed_device(bench));
    let (own, foreign) = (certificate("suite")?, certificate("suite")?);
    register(bench, &device, thumbprints(&own, None)).await?;
    register(bench, &other, thumbprints(&foreign, None)).await?;
    for (device, certificate) in [(&device, &own), (&other, &foreign)] {
        let good = login(bench, device, certificate);
        accepted(bench, "HUB-AUTH-017", "the device's own thumbprint", &good).await?;
    }
    let wrong = login(bench, &device, &foreign);
    refused(bench, "HUB-AUTH-018", "the thumbprint of another device", &wrong).await
}

async fn thumbprint_replaced(bench: &mut Bench) -> Checked {
    let device = self_signed_device(bench);
    let (old, new) = (certificate("suite")?, certificate("suite")?);
    register(bench, &device, thumbprints(&old, None)).await?;
    let before = login(bench, &device, &old);
    accepted(bench, "HUB-AUTH-017", "the registered thumbprint", &before).await?;
    reregister(bench, &device, thumbprints(&new, None)).await?;
    let after = login(bench, &device, &new);
    accepted(bench, "HUB-AUTH-017", "the new thumbprint", &after).await?;
    refused(bench, "HUB-AUTH-018", "the thumbprint that was replaced", &before).await
}

async fn thumbprint_secondary(bench: &mut Bench) -> Checked {
    let device = self_signed_device(bench);
    demand_either(bench, &device).await
}

async fn thumbprint_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let module = Identity::module(&device.device, "vision");
    demand_either(bench, &module).await
}

/// Demands that the certificates of both thumbprints connect `identity`.
async fn demand_either(bench: &mut Bench, identity: &Identity) -> Checked {
    let (primary, secondary) = (certificate("suite")?, certificate("suite")?);
    register(bench, identity, thumbprints(&primary, Some(&secondary))).await?;
    for (what, certificate) in [("primary", primary), ("secondary", secondary)] {
        let login = login(bench, identity, &certificate);
        let what = format!("the {what} thumbprint");
        accepted(bench, "HUB-AUTH-019", &what, &login).await?;
    }
    Ok(())
}

async fn authority_signed(bench: &mut Bench) -> Checked {
    let device = authority_device(bench).await?;
    let certificate = bench.device_certificate(&device.device)?;
    let login = login(bench, &device, &certificate);
    accepted(bench, "HUB-AUTH-020", "a certificate that names the device", &login).await.map(drop)
}

async fn authority_other_name(bench: &mut Bench) -> Checked {
    let (device, other) = (authority_device(bench).await?, authority_device(bench).await?);
    let certificate = bench.device_certificate(&device.device)?;
    let good = login(bench, &device, &certificate);
    accepted(bench, "HUB-AUTH-020", "a certificate that names the device", &good).await?;
    let wrong = login(bench, &other, &certificate);
    refused(bench, "HUB-AUTH-020", "a certificate that names another device", &wrong).await
}

async fn authority_longer_name(bench: &mut Bench) -> Checked {
    let device = authority_device(bench).await?;
    let longer = Identity::device(format!("{}x", device.device));
    bench.claim(&longer.device);
    register(bench, &longer, json!({ "type": "certificateAuthority" })).await?;
    let certificate = bench.device_certificate(&device.device)?;
    let good = login(bench, &device, &certificate);
    accepted(bench, "HUB-AUTH-020", "a certificate that names the device", &good).await?;
    let wrong = login(bench, &longer, &certificate);
    refused(bench, "HUB-AUTH-020", "a certificate that names the start of the id", &wrong).await
}

async fn authority_unknown(bench: &mut Bench) -> Checked {
    let device = authority_device(bench).await?;
    let known = bench.device_certificate(&device.device)?;
    let good = login(bench, &device, &known);
    accepted(bench, "HUB-AUTH-020", "a certificate of a registered authority", &good).await?;
    let wrong = login(bench, &device, &certificate(&device.device)?);
    refused(bench, "HUB-AUTH-020", "a certificate that the device signed itself", &wrong).await
}

fn self_signed_device(bench: &mut Bench) -> Identity {
    Identity::device(bench.new_name())
}

/// A new device that certificates of registered authorities open.
async fn authority_device(bench: &mut Bench) -> Checked<Identity> {
    let device = Identity::device(bench.new_name());
    register(bench, &device, json!({ "type": "certificateAuthority" })).await?;
    Ok(device)
}

fn certificate(common_name: &str) -> Checked<Arc<ClientCertificate>> {
    let certificate = ClientCertificate::self_signed(common_name);
    certificate.map(Arc::new).map_err(|error| Stop::Harness(error.to_string()))
}

fn thumbprints(primary: &ClientCertificate, secondary: Option<&Arc<ClientCertificate>>) -> Value {
    let secondary = secondary.map(|certificate| certificate.thumbprint());
    json!({
        "type": "selfSigned",
        "x509Thumbprint": {
            "primaryThumbprint": primary.thumbprint(),
            "secondaryThumbprint": secondary,
        },
    })
}

/// A login with a certificate and without the password flag.
fn login(bench: &Bench, identity: &Identity, certificate: &Arc<ClientCertificate>) -> Login {
    let who = Registered { identity: identity.clone(), key: String::new() };
    let mut login = bench.login(&who);
    login.connect.password = None;
    login.certificate = Some(Arc::clone(certificate));
    login
}
