//! Who connects: client id and identity (HUB-CONN-007 to -009, -014).

use bytes::Bytes;
use serde_json::json;
use twinspec_model::auth;
use twinspec_model::identity::Identity;

use super::login::{demand_accepted, demand_refused, with_rest};
use crate::bench::{Bench, Registered, identity_path};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::{create, text, watch};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "connection-device",
        title: "A device connects with its id as client id and the documented user name",
        requirements: &["HUB-CONN-007"],
        needs: &[],
        run: body!(device_connects),
    },
    Case {
        id: "connection-device-api-versions",
        title: "A device connects with every api-version that shipped clients send",
        requirements: &["HUB-CONN-007"],
        needs: &[],
        run: body!(device_api_versions),
    },
    Case {
        id: "connection-module",
        title: "A module connects with both ids as client id and its own key",
        requirements: &["HUB-CONN-008"],
        needs: &[],
        run: body!(module_connects),
    },
    Case {
        id: "connection-other-client-id",
        title: "A device whose client id is not its id is refused",
        requirements: &["HUB-CONN-009"],
        needs: &[],
        run: body!(other_client_id),
    },
    Case {
        id: "connection-module-device-client-id",
        title: "A module whose client id is the id of its device is refused",
        requirements: &["HUB-CONN-009"],
        needs: &[],
        run: body!(module_device_client_id),
    },
    Case {
        id: "connection-id-other-case",
        title: "A device whose id is written in other case is refused",
        requirements: &["HUB-CONN-014"],
        needs: &[],
        run: body!(id_other_case),
    },
    Case {
        id: "connection-ids-in-two-cases",
        title: "Two ids that differ in letter case only are two devices with a twin each",
        requirements: &["HUB-CONN-014"],
        needs: &[],
        run: body!(ids_in_two_cases),
    },
];

async fn device_connects(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut login = with_rest(bench, &device, "/?api-version=2021-04-12");
    login.connect.client_id.clone_from(&device.identity.device);
    let Some(mut connection) = demand_accepted(bench, "HUB-CONN-007", &login).await? else {
        return Ok(());
    };
    let open = connection.is_open().await?;
    bench.demand("HUB-CONN-007", open, "a connection that stays", "a closed connection");
    Ok(())
}

async fn device_api_versions(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    for version in ["2018-06-30", "2019-10-01", "2020-09-30", "2021-04-12"] {
        let login = with_rest(bench, &device, &format!("/?api-version={version}"));
        demand_accepted(bench, "HUB-CONN-007", &login).await?;
    }
    Ok(())
}

async fn module_connects(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut login = with_rest(bench, &module, "/?api-version=2021-04-12");
    login.connect.client_id = format!("{}/vision", device.identity.device);
    let Some(mut connection) = demand_accepted(bench, "HUB-CONN-008", &login).await? else {
        return Ok(());
    };
    let open = connection.is_open().await?;
    bench.demand("HUB-CONN-008", open, "a connection that stays", "a closed connection");
    Ok(())
}

async fn other_client_id(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let other = bench.device().await?;
    let client_ids = [other.identity.to_string(), format!("{}-suite", device.identity)];
    demand_only_own_client_id(bench, &device, &client_ids).await
}

async fn module_device_client_id(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let client_ids = [device.identity.to_string(), "vision".to_owned()];
    demand_only_own_client_id(bench, &module, &client_ids).await
}

async fn demand_only_own_client_id(
    bench: &mut Bench,
    who: &Registered,
    others: &[String],
) -> Checked {
    bench.connect(who).await?.disconnect().await?;
    for other in others {
        let mut login = bench.login(who);
        login.connect.client_id.clone_from(other);
        demand_refused(bench, "HUB-CONN-009", &login).await?;
    }
    Ok(())
}

async fn id_other_case(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.connect(&device).await?.disconnect().await?;
    let host = bench.host().to_owned();
    let own = device.identity.device.clone();
    let other = own.to_uppercase();
    // Whether the token names the id as registered or as it connects makes no difference.
    for scope in [&own, &other] {
        let mut login = bench.login(&device);
        let resource = format!("{host}/devices/{scope}");
        let token =
            auth::sign(&device.key, &resource, bench.in_an_hour(), None).unwrap_or_default();
        login.connect.client_id.clone_from(&other);
        login.connect.user_name = Some(format!("{host}/{other}/?api-version=2021-04-12"));
        login.connect.password = Some(Bytes::from(token));
        demand_refused(bench, "HUB-CONN-014", &login).await?;
    }
    Ok(())
}

async fn ids_in_two_cases(bench: &mut Bench) -> Checked {
    let lower = Identity::device(bench.new_name());
    let upper = Identity::device(lower.device.to_uppercase());
    bench.claim(&upper.device);
    for identity in [&lower, &upper] {
        create(bench, "HUB-CONN-014", identity, json!({})).await?;
    }
    for identity in [&lower, &upper] {
        let path = identity_path(identity);
        let answer = watch(bench, &path, |answer| answer.status.as_u16() == 200).await?;
        let seen = text(&answer.json(), "/deviceId").to_owned();
        bench.equal("HUB-CONN-014", "deviceId", &identity.device, &seen);
    }
    bench.patch_twin(&upper, &json!({ "tags": { "site": "upper" } })).await?;
    let twin = bench.read_twin(&upper).await?;
    bench.equal("HUB-CONN-014", "tags.site", "upper", text(&twin, "/tags/site"));
    let twin = bench.read_twin(&lower).await?;
    bench.equal("HUB-CONN-014", "tags.site of the other", "", text(&twin, "/tags/site"));
    Ok(())
}
