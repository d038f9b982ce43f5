//! Modules in the registry (HUB-REG-023 to -026).

use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use super::calls::{
    any, changed, create, demand_gone, demand_refused, keys, put, read, text, update, watch,
};
use crate::bench::{Bench, IfMatch, identity_path};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "registry-module-life",
        title: "A module is created, read, updated and deleted",
        requirements: &["HUB-REG-023"],
        needs: &[],
        run: body!(life),
    },
    Case {
        id: "registry-module-list",
        title: "The modules of a device are listed, those of another are not",
        requirements: &["HUB-REG-023"],
        needs: &[],
        run: body!(listed),
    },
    Case {
        id: "registry-module-again-refused",
        title: "A second PUT of a module without If-Match is refused and changes nothing",
        requirements: &["HUB-REG-024"],
        needs: &[],
        run: body!(again_refused),
    },
    Case {
        id: "registry-module-without-device-refused",
        title: "A module under a missing device is refused",
        requirements: &["HUB-REG-025"],
        needs: &[],
        run: body!(without_device_refused),
    },
    Case {
        id: "registry-module-limit",
        title: "One device takes 20 modules but not 51",
        requirements: &["HUB-REG-026"],
        needs: &[],
        run: body!(limited),
    },
];

async fn life(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    let identity = Identity::module(&device, "vision");
    let path = identity_path(&identity);
    let module = create(bench, "HUB-REG-023", &identity, json!({})).await?;
    let found = read(bench, &identity, any).await?;
    for seen in [&module, &found] {
        bench.equal("HUB-REG-023", "deviceId", device.as_str(), text(seen, "/deviceId"));
        bench.equal("HUB-REG-023", "moduleId", "vision", text(seen, "/moduleId"));
    }
    let changes = json!({ "authentication": keys(1, 2) });
    update(bench, "HUB-REG-023", IfMatch::Any, &module, changes.clone()).await?;
    let key = "/authentication/symmetricKey/primaryKey";
    let after = read(bench, &identity, |entity| text(entity, key) == text(&changes, key)).await?;
    bench.equal("HUB-REG-023", "primaryKey", text(&changes, key), text(&after, key));
    let answer = bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    bench.equal("HUB-REG-023", "status", 204, answer.status.as_u16());
    demand_gone(bench, "HUB-REG-023", &path).await
}

async fn listed(bench: &mut Bench) -> Checked {
    let (device, other) = (bench.device().await?, bench.device().await?);
    for module in ["vision", "hearing"] {
        bench.module(&device, module).await?;
    }
    bench.module(&other, "smell").await?;
    let path = format!("{}/modules", identity_path(&device.identity));
    let allowed = Some(vec!["hearing".to_owned(), "vision".to_owned()]);
    let answer = watch(bench, &path, |answer| module_ids(answer) == allowed).await?;
    bench.equal("HUB-REG-023", "modules", allowed, module_ids(&answer));
    let path = format!("{}/modules/hearing", identity_path(&device.identity));
    bench.call(Method::DELETE, &path, IfMatch::Any, None).await?;
    let path = format!("{}/modules", identity_path(&device.identity));
    let allowed = Some(vec!["vision".to_owned()]);
    let answer = watch(bench, &path, |answer| module_ids(answer) == allowed).await?;
    bench.equal("HUB-REG-023", "modules", allowed, module_ids(&answer));
    Ok(())
}

/// The sorted ids in a list of modules; none when it is no list.
fn module_ids(answer: &Answer) -> Option<Vec<String>> {
    let list = answer.json();
    let list = list.as_array().filter(|_| answer.status.as_u16() == 200)?;
    let mut ids: Vec<_> = list.iter().map(|module| text(module, "/moduleId").to_owned()).collect();
    ids.sort();
    Some(ids)
}

async fn again_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    let identity = Identity::module(&device, "vision");
    let first = create(bench, "HUB-REG-023", &identity, json!({})).await?;
    let second = changed(&first, json!({ "authentication": keys(1, 2) }));
    let answer = put(bench, &identity, IfMatch::Absent, &second).await?;
    demand_refused(bench, "HUB-REG-024", &answer, 409, "ModuleAlreadyExistsOnDevice");
    let after = read(bench, &identity, any).await?;
    for pointer in ["/etag", "/authentication/symmetricKey/primaryKey"] {
        bench.equal("HUB-REG-024", pointer, text(&first, pointer), text(&after, pointer));
    }
    Ok(())
}

async fn without_device_refused(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    bench.module(&device, "vision").await?;
    let missing = bench.new_name();
    let identity = Identity::module(&missing, "vision");
    let body = json!({ "deviceId": missing, "moduleId": "vision" });
    let answer = put(bench, &identity, IfMatch::Absent, &body).await?;
    demand_refused(bench, "HUB-REG-025", &answer, 404, "DeviceNotFound");
    demand_gone(bench, "HUB-REG-025", &identity_path(&identity)).await
}

/// What a device could always have, and what it never could (hub-http.md § 2.3).
const MODULES: (usize, usize) = (20, 51);

async fn limited(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity.device;
    for number in 1..=MODULES.1 {
        let identity = Identity::module(&device, format!("module-{number}"));
        let body: Value = json!({ "deviceId": device, "moduleId": identity.module });
        let answer = put(bench, &identity, IfMatch::Absent, &body).await?;
        if !answer.status.is_success() {
            demand_refused(bench, "HUB-REG-026", &answer, 413, "TooManyModulesOnDevice");
            let allowed = format!("{} modules before the first refusal", MODULES.0);
            let seen = (number - 1).to_string();
            bench.demand("HUB-REG-026", number > MODULES.0, allowed, seen);
            return demand_gone(bench, "HUB-REG-026", &identity_path(&identity)).await;
        }
    }
    bench.demand("HUB-REG-026", false, "413 TooManyModulesOnDevice", "51 modules on one device");
    Ok(())
}
