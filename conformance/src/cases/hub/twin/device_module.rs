//! A module and its twin (HUB-TWIN-006, -013).

use serde_json::{Value, json};

use super::device::at;
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-module-get",
        title: "A module reads its own twin and its device reads the device's",
        requirements: &["HUB-TWIN-013"],
        needs: &[],
        run: body!(module_get),
    },
    Case {
        id: "twin-module-report",
        title: "A module's reported PATCH goes to the module's twin and not to its device's",
        requirements: &["HUB-TWIN-013"],
        needs: &[],
        run: body!(module_report),
    },
    Case {
        id: "twin-module-spared-by-device",
        title: "A device's reported PATCH leaves the twin of its module alone",
        requirements: &["HUB-TWIN-013"],
        needs: &[],
        run: body!(module_spared_by_device),
    },
    Case {
        id: "twin-new-module-versions",
        title: "Both sections of a new module's twin have version 1",
        requirements: &["HUB-TWIN-006"],
        needs: &[],
        run: body!(new_module_versions),
    },
];

async fn module_get(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    for (who, owner) in [(&device, "device"), (&module, "module")] {
        let patch = json!({ "properties": { "desired": { "owner": owner } } });
        bench.patch_twin(&who.identity, &patch).await?;
    }
    let mut of_device = bench.connect_and_listen(&device).await?;
    let mut of_module = bench.connect_and_listen(&module).await?;
    for (connection, owner) in [(&mut of_device, "device"), (&mut of_module, "module")] {
        let document = connection.twin().await?;
        let what = format!("desired.owner of the {owner}");
        bench.equal_json("HUB-TWIN-013", &what, &json!(owner), at(&document, "/desired/owner"));
    }
    Ok(())
}

async fn module_report(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut of_device = bench.connect_and_listen(&device).await?;
    let mut of_module = bench.connect_and_listen(&module).await?;
    of_module.reported(&json!({ "lens": "wide" })).await?;
    let shows = |twin: &Value| at(twin, "/properties/reported/lens") == "wide";
    let twin = bench.watch_twin(&module.identity, shows).await?;
    let lens = at(&twin, "/properties/reported/lens");
    bench.equal_json("HUB-TWIN-013", "reported.lens of the module", &json!("wide"), lens);
    let twin = bench.read_twin(&device.identity).await?;
    let seen = at(&twin, "/properties/reported");
    let absent = seen.get("lens").is_none();
    bench.demand("HUB-TWIN-013", absent, "no lens in the device's twin", seen.to_string());
    let document = of_device.twin().await?;
    let absent = at(&document, "/reported").get("lens").is_none();
    let allowed = "no lens in the device's document";
    bench.demand("HUB-TWIN-013", absent, allowed, document.to_string());
    Ok(())
}

async fn module_spared_by_device(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut of_device = bench.connect_and_listen(&device).await?;
    let mut of_module = bench.connect_and_listen(&module).await?;
    of_module.reported(&json!({ "fan": 1 })).await?;
    let before = of_module.twin().await?;
    of_device.reported(&json!({ "fan": 2 })).await?;
    let of_device = of_device.twin().await?;
    let fan = at(&of_device, "/reported/fan");
    bench.equal_json("HUB-TWIN-013", "reported.fan of the device", &json!(2), fan);
    let after = of_module.twin().await?;
    bench.equal_json("HUB-TWIN-013", "document of the module", &before, &after);
    Ok(())
}

async fn new_module_versions(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let mut connection = bench.connect_and_listen(&module).await?;
    let document = connection.twin().await?;
    for section in ["desired", "reported"] {
        let version = at(&document, &format!("/{section}/$version"));
        let what = format!("{section}.$version");
        bench.equal_json("HUB-TWIN-006", &what, &json!(1), version);
    }
    Ok(())
}
