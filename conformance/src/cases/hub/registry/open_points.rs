//! What the sources leave open about the registry: any allowed outcome will do, unless the profile
//! pins one.

use http::Method;
use serde_json::{Value, json};
use twinspec_model::identity::Identity;

use super::calls::{changed, put};
use crate::bench::{Bench, IfMatch, identity_path};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-open-unquoted-etag",
        title: "A wrong unquoted etag stops a deletion, or is ignored",
        requirements: &["A-H32"],
        needs: &[],
        run: body!(unquoted_etag),
    },
    Case {
        id: "registry-open-key-length",
        title: "Keys of 16 to 64 bytes are taken and no others, or otherwise",
        requirements: &["A-H46"],
        needs: &[],
        run: body!(key_length),
    },
    Case {
        id: "registry-open-two-ids",
        title: "A body with another deviceId than the path is refused, or the path wins",
        requirements: &["A-H50"],
        needs: &[],
        run: body!(two_ids),
    },
    Case {
        id: "registry-open-unknown-scope",
        title: "A deviceScope of nobody is refused always, for updates only, or never",
        requirements: &["A-H51"],
        needs: &[],
        run: body!(unknown_scope),
    },
    Case {
        id: "registry-open-update-of-nobody",
        title: "An update of an unknown device is answered 404 or 412, or creates it",
        requirements: &["A-H52"],
        needs: &[],
        run: body!(update_of_nobody),
    },
];

async fn unquoted_etag(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let path = identity_path(&device.identity);
    let wrong = IfMatch::Raw("d3Jvbmc=");
    let answer = bench.call(Method::DELETE, &path, wrong, None).await?;
    let tag = match answer.status.as_u16() {
        204 => "ignored",
        412 => "checked",
        _ => "otherwise",
    };
    bench.decides("A-H32", tag, answer.to_string());
    Ok(())
}

/// Keys of 15, 16, 64 and 65 bytes, each with its length in bytes.
const KEYS: [(usize, &str); 4] = [
    (15, "a2V5LW9mLTE1LWJ5dGVz"),
    (16, "a2V5LW9mLTE2LWJ5dGVzIQ=="),
    (
        64,
        "a2V5LW9mLTY0LWJ5dGVzLWtleS1vZi02NC1ieXRlcy1rZXktb2YtNjQtYnl0ZXMta2V5LW9mLTY0LWJ5dGVzLQ==",
    ),
    (
        65,
        "a2V5LW9mLTY1LWJ5dGVzLWtleS1vZi02NS1ieXRlcy1rZXktb2YtNjUtYnl0ZXMta2V5LW9mLTY1LWJ5dGVzLSE=",
    ),
];

async fn key_length(bench: &mut Bench) -> Checked {
    let mut taken = Vec::new();
    for (length, key) in KEYS {
        let identity = Identity::device(bench.new_name());
        let keys = json!({ "primaryKey": key, "secondaryKey": key });
        let body = json!({
            "deviceId": identity.device,
            "authentication": { "type": "sas", "symmetricKey": keys },
        });
        let answer = put(bench, &identity, IfMatch::Absent, &body).await?;
        if answer.status.is_success() {
            taken.push(length);
        }
    }
    let tag = if taken == [16, 64] { "bounded" } else { "otherwise" };
    bench.decides("A-H46", tag, format!("taken of 15, 16, 64 and 65 bytes: {taken:?}"));
    Ok(())
}

async fn two_ids(bench: &mut Bench) -> Checked {
    let (identity, other) = (Identity::device(bench.new_name()), bench.new_name());
    let body = json!({ "deviceId": other });
    let answer = put(bench, &identity, IfMatch::Absent, &body).await?;
    let tag = match answer.status.as_u16() {
        400 => "refused",
        200 if answer.json().get("deviceId") == Some(&json!(identity.device)) => "path-wins",
        _ => "otherwise",
    };
    bench.decides("A-H50", tag, answer.to_string());
    Ok(())
}

async fn unknown_scope(bench: &mut Bench) -> Checked {
    const NOBODY: &str = "ms-azure-iot-edge://nobody-0123456789";
    let device = bench.device().await?;
    let path = identity_path(&device.identity);
    let current: Value = bench.call(Method::GET, &path, IfMatch::Absent, None).await?.json();
    let body = changed(&current, json!({ "deviceScope": NOBODY }));
    let update = put(bench, &device.identity, IfMatch::Any, &body).await?;
    let item = json!([{ "id": bench.new_name(), "importMode": "create", "deviceScope": NOBODY }]);
    let create = bench.call(Method::POST, "/devices", IfMatch::Absent, Some(&item)).await?;
    let tag = match (update.status.is_client_error(), create.status.is_client_error()) {
        (true, true) => "refused",
        (true, false) => "refused-on-update",
        (false, false) => "accepted",
        (false, true) => "otherwise",
    };
    bench.decides("A-H51", tag, format!("update: {update}; creation: {create}"));
    Ok(())
}

async fn update_of_nobody(bench: &mut Bench) -> Checked {
    let identity = Identity::device(bench.new_name());
    let body = json!({ "deviceId": identity.device });
    let answer = put(bench, &identity, IfMatch::Any, &body).await?;
    let tag = match answer.status.as_u16() {
        200 => "created",
        404 => "not-found",
        412 => "precondition-failed",
        _ => "otherwise",
    };
    bench.decides("A-H52", tag, answer.to_string());
    Ok(())
}
