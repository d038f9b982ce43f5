//! What is signed, and how a token may be written (HUB-AUTH-003 to -005).

use bytes::Bytes;
use http::Method;
use serde_json::json;
use twinspec_model::auth;
use twinspec_model::identity::Identity;
use twinspec_model::wire::percent;

use super::token::{
    accepted, demand_post, demand_read, demand_status, flipped, login, ordered, refused,
    registry_path, reregister, run_token, telemetry_path, token,
};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-field-order",
        title: "A device's token is accepted with its fields in any order",
        requirements: &["HUB-AUTH-003"],
        needs: &[],
        run: body!(field_order),
    },
    Case {
        id: "auth-field-order-service",
        title: "A back end's token is accepted with its fields in any order",
        requirements: &["HUB-AUTH-003"],
        needs: &[],
        run: body!(field_order_service),
    },
    Case {
        id: "auth-escape-case",
        title: "Upper- and lower-case escapes are accepted, each signed as written",
        requirements: &["HUB-AUTH-004"],
        needs: &[],
        run: body!(escape_case),
    },
    Case {
        id: "auth-escape-rewritten",
        title: "A token whose escapes were rewritten after signing is refused",
        requirements: &["HUB-AUTH-004"],
        needs: &[],
        run: body!(escape_rewritten),
    },
    Case {
        id: "auth-wrong-signature",
        title: "A CONNECT with one character of the signature changed is refused",
        requirements: &["HUB-AUTH-005"],
        needs: &[],
        run: body!(wrong_signature),
    },
    Case {
        id: "auth-wrong-key",
        title: "A CONNECT with a token signed with a key that is not registered is refused",
        requirements: &["HUB-AUTH-005"],
        needs: &[],
        run: body!(wrong_key),
    },
    Case {
        id: "auth-replaced-key",
        title: "A CONNECT with a token signed with a key that was replaced is refused",
        requirements: &["HUB-AUTH-005"],
        needs: &[],
        run: body!(replaced_key),
    },
    Case {
        id: "auth-no-signature",
        title: "A CONNECT of a device with keys without any password is refused",
        requirements: &["HUB-AUTH-005"],
        needs: &[],
        run: body!(no_signature),
    },
    Case {
        id: "auth-wrong-signature-service",
        title: "A back end's request with one character of the signature changed is refused",
        requirements: &["HUB-AUTH-005"],
        needs: &[],
        run: body!(wrong_signature_service),
    },
    Case {
        id: "auth-wrong-signature-https",
        title: "A device's HTTPS request with one character of the signature changed is refused",
        requirements: &["HUB-AUTH-005"],
        needs: &[],
        run: body!(wrong_signature_https),
    },
];

/// A key that no hub would make: the bytes 0 to 31.
const OTHER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn field_order(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let token = token(bench, &device.identity, &device.key, bench.in_an_hour());
    for order in [["sr", "sig", "se"], ["sig", "se", "sr"], ["se", "sr", "sig"]] {
        let login = login(bench, &device.identity, ordered(&token, &order));
        accepted(bench, "HUB-AUTH-003", &format!("the order {order:?}"), &login).await?;
    }
    Ok(())
}

async fn field_order_service(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let token = run_token(bench)?;
    let path = registry_path(&device.identity);
    for order in
        [["sr", "sig", "se", "skn"], ["sr", "sig", "skn", "se"], ["sig", "se", "skn", "sr"]]
    {
        let token = ordered(&token, &order);
        let call = (Method::GET, path.as_str(), None);
        demand_status(bench, "HUB-AUTH-003", Some(&token), call, 200).await?;
    }
    Ok(())
}

/// `sr` of the identity's token, escaped with upper- and with lower-case letters.
fn escaped_both_ways(bench: &Bench, identity: &Identity) -> [String; 2] {
    let resource = format!("{}/{}", bench.host(), identity.resource_path());
    let upper = percent::encode(&resource);
    let lower = upper.replace("%2F", "%2f");
    [upper, lower]
}

/// A token that shows the resource as `shown` and is signed over it as `signed`.
fn signed_over(bench: &Bench, signed: &str, shown: &str, key: &str) -> String {
    let end = bench.in_an_hour().unix_seconds();
    let signature = auth::signature(key, &format!("{signed}\n{end}")).unwrap_or_default();
    let signature = percent::encode(&signature);
    format!("SharedAccessSignature sr={shown}&sig={signature}&se={end}")
}

async fn escape_case(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    for resource in escaped_both_ways(bench, &device.identity) {
        let token = signed_over(bench, &resource, &resource, &device.key);
        let login = login(bench, &device.identity, token);
        accepted(bench, "HUB-AUTH-004", &resource, &login).await?;
    }
    Ok(())
}

async fn escape_rewritten(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let [upper, lower] = escaped_both_ways(bench, &device.identity);
    let token = signed_over(bench, &lower, &lower, &device.key);
    let as_signed = login(bench, &device.identity, token);
    accepted(bench, "HUB-AUTH-004", "escapes as they were signed", &as_signed).await?;
    for (signed, shown) in [(&upper, &lower), (&lower, &upper)] {
        let rewritten =
            login(bench, &device.identity, signed_over(bench, signed, shown, &device.key));
        let what = format!("{shown}, signed as {signed}");
        refused(bench, "HUB-AUTH-004", &what, &rewritten).await?;
    }
    Ok(())
}

async fn wrong_signature(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let good = token(bench, &device.identity, &device.key, bench.in_an_hour());
    let wrong = login(bench, &device.identity, flipped(&good));
    let good = login(bench, &device.identity, good);
    accepted(bench, "HUB-AUTH-001", "the right signature", &good).await?;
    refused(bench, "HUB-AUTH-005", "a wrong signature", &wrong).await
}

async fn wrong_key(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let good = bench.login(&device);
    accepted(bench, "HUB-AUTH-001", "the right key", &good).await?;
    let token = token(bench, &device.identity, OTHER_KEY, bench.in_an_hour());
    let wrong = login(bench, &device.identity, token);
    refused(bench, "HUB-AUTH-005", "a key that is not registered", &wrong).await
}

async fn replaced_key(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let old = bench.login(&device);
    accepted(bench, "HUB-AUTH-001", "the registered key", &old).await?;
    let (new, other) = (OTHER_KEY, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
    let keys = json!({ "primaryKey": new, "secondaryKey": other });
    let authentication = json!({ "type": "sas", "symmetricKey": keys });
    reregister(bench, &device.identity, authentication).await?;
    let token = token(bench, &device.identity, new, bench.in_an_hour());
    let good = login(bench, &device.identity, token);
    accepted(bench, "HUB-AUTH-001", "the new key", &good).await?;
    refused(bench, "HUB-AUTH-005", "the key that was replaced", &old).await
}

async fn no_signature(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let good = bench.login(&device);
    accepted(bench, "HUB-AUTH-001", "the right signature", &good).await?;
    for (what, password) in [("no password", None), ("an empty password", Some(Bytes::new()))] {
        let mut wrong = bench.login(&device);
        wrong.connect.password = password;
        refused(bench, "HUB-AUTH-005", what, &wrong).await?;
    }
    Ok(())
}

async fn wrong_signature_service(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let token = run_token(bench)?;
    let path = registry_path(&device.identity);
    let call = (Method::GET, path.as_str(), None);
    demand_read(bench, &token, &path).await?;
    demand_status(bench, "HUB-AUTH-005", Some(&flipped(&token)), call, 401).await
}

async fn wrong_signature_https(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let token = token(bench, &device.identity, &device.key, bench.in_an_hour());
    let (path, body) = (telemetry_path(&device.identity), json!({ "fan": 1 }));
    let call = (Method::POST, path.as_str(), Some(&body));
    demand_post(bench, &token, &path, &body).await?;
    demand_status(bench, "HUB-AUTH-005", Some(&flipped(&token)), call, 401).await
}
