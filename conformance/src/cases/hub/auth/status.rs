//! Devices that are disabled, deleted and enabled again (HUB-AUTH-021 to -023).

use http::Method;
use serde_json::json;
use twinspec_model::identity::Identity;

use super::token::{accepted, put, refused, registered, registry_path};
use crate::bench::{Bench, Connection, IfMatch, Registered};
use crate::body;
use crate::case::Case;
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "auth-disabled",
        title: "A disabled device is refused at CONNECT",
        requirements: &["HUB-AUTH-021"],
        needs: &[],
        run: body!(disabled),
    },
    Case {
        id: "auth-created-disabled",
        title: "A device that was created disabled is refused at CONNECT",
        requirements: &["HUB-AUTH-021"],
        needs: &[],
        run: body!(created_disabled),
    },
    Case {
        id: "auth-disabling-closes",
        title: "Disabling a device ends its connection",
        requirements: &["HUB-AUTH-022"],
        needs: &[],
        run: body!(disabling_closes),
    },
    Case {
        id: "auth-deleting-closes",
        title: "Deleting a device ends its connection",
        requirements: &["HUB-AUTH-022"],
        needs: &[],
        run: body!(deleting_closes),
    },
    Case {
        id: "auth-deleting-closes-module",
        title: "Deleting a module ends its connection and leaves that of its device",
        requirements: &["HUB-AUTH-022"],
        needs: &[],
        run: body!(deleting_closes_module),
    },
    Case {
        id: "auth-enabled-again",
        title: "A device that was disabled and enabled again connects with the same key",
        requirements: &["HUB-AUTH-023"],
        needs: &[],
        run: body!(enabled_again),
    },
];

/// How many waits for an answer are a minute.
const WAITS: usize = 6;

async fn disabled(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let login = bench.login(&device);
    accepted(bench, "HUB-AUTH-001", "an enabled device", &login).await?.disconnect().await?;
    set_status(bench, &device.identity, "disabled").await?;
    refused(bench, "HUB-AUTH-021", "a disabled device", &login).await
}

async fn created_disabled(bench: &mut Bench) -> Checked {
    let enabled = bench.device().await?;
    let control = bench.login(&enabled);
    accepted(bench, "HUB-AUTH-001", "an enabled device", &control).await?;
    let identity = Identity::device(bench.new_name());
    let body = json!({ "deviceId": identity.device, "status": "disabled" });
    put(bench, &identity, IfMatch::Absent, &body, "HUB-REG-001").await?;
    let entity = registered(bench, &identity).await?;
    let key = entity.pointer("/authentication/symmetricKey/primaryKey");
    let key = key.and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let login = bench.login(&Registered { identity, key });
    refused(bench, "HUB-AUTH-021", "a disabled device", &login).await
}

async fn disabling_closes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = open_connection(bench, &device).await?;
    set_status(bench, &device.identity, "disabled").await?;
    demand_closed(bench, &mut connection, "the device is disabled").await
}

async fn deleting_closes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = open_connection(bench, &device).await?;
    delete(bench, &device.identity).await?;
    demand_closed(bench, &mut connection, "the device is deleted").await
}

async fn deleting_closes_module(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut of_device = open_connection(bench, &device).await?;
    let mut of_module = open_connection(bench, &module).await?;
    delete(bench, &module.identity).await?;
    demand_closed(bench, &mut of_module, "the module is deleted").await?;
    let is_open = of_device.is_open().await?;
    let allowed = "an open connection of the device that is still registered";
    bench.demand("HUB-CONN-020", is_open, allowed, "a closed one");
    Ok(())
}

async fn enabled_again(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    open_connection(bench, &device).await?.disconnect().await?;
    set_status(bench, &device.identity, "disabled").await?;
    set_status(bench, &device.identity, "enabled").await?;
    let login = bench.login(&device);
    let what = "a device that is enabled again";
    let mut connection = accepted(bench, "HUB-AUTH-023", what, &login).await?;
    let is_open = connection.is_open().await?;
    bench.demand("HUB-AUTH-023", is_open, "a connection that lasts", "a closed one");
    Ok(())
}

/// A connection that is known to work.
async fn open_connection(bench: &mut Bench, who: &Registered) -> Checked<Connection> {
    let mut connection = bench.connect(who).await?;
    if connection.is_open().await? {
        return Ok(connection);
    }
    let seen = "the hub closed the connection".to_owned();
    let allowed = "a PINGRESP".to_owned();
    Err(Stop::Broken { requirement: "HUB-CONN-024", allowed, seen })
}

/// Demands that the hub ends the connection within a minute.
async fn demand_closed(bench: &mut Bench, connection: &mut Connection, when: &str) -> Checked {
    let mut closed = connection.closed("HUB-AUTH-022").await;
    for _ in 1..WAITS {
        if closed.is_ok() {
            break;
        }
        closed = connection.closed("HUB-AUTH-022").await;
    }
    let allowed = format!("the connection closed when {when}");
    bench.demand("HUB-AUTH-022", closed.is_ok(), allowed, "an open connection a minute later");
    Ok(())
}

/// Changes the status as SDKs do: everything that was read is written back.
async fn set_status(bench: &mut Bench, identity: &Identity, status: &str) -> Checked {
    let mut entity = registered(bench, identity).await?;
    if let Some(members) = entity.as_object_mut() {
        members.insert("status".to_owned(), json!(status));
    }
    put(bench, identity, IfMatch::Any, &entity, "HUB-REG-015").await
}

async fn delete(bench: &mut Bench, identity: &Identity) -> Checked {
    let path = registry_path(identity);
    let answer = bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let allowed = "204".to_owned();
    Err(Stop::Broken { requirement: "HUB-REG-009", allowed, seen: answer.to_string() })
}
