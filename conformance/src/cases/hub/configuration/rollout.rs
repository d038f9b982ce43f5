//! What a twin that meets a condition gets (HUB-CFG-006).

use serde_json::{Value, json};

use super::calls::{Member, at, create, desired, gets, id_of, setting};
use crate::bench::{Bench, ROLLOUT};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-reaches-who-enters",
        title: "A device that is tagged later gets the content",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(reaches_who_enters),
    },
    Case {
        id: "configuration-reaches-who-is-in",
        title: "A device that meets the condition already gets the content",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(reaches_who_is_in),
    },
    Case {
        id: "configuration-notified",
        title: "A connected device is notified of the content as of any desired update",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(notified),
    },
    Case {
        id: "configuration-raises-version",
        title: "The content raises the version of the desired properties and is stamped with it",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(raises_version),
    },
    Case {
        id: "configuration-nested-path",
        title: "A setting inside an object leaves its neighbours alone",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(nested_path),
    },
    Case {
        id: "configuration-whole-section",
        title: "Content for properties.desired sets its members and leaves others alone",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(whole_section),
    },
    Case {
        id: "configuration-null-removes",
        title: "A setting of null removes the property",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(null_removes),
    },
    Case {
        id: "configuration-by-reported-property",
        title: "A condition may be about reported properties",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(by_reported_property),
    },
    Case {
        id: "configuration-by-device-id",
        title: "A condition may be about the device id",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(by_device_id),
    },
    Case {
        id: "configuration-not-for-others",
        title: "A device that does not meet the condition gets nothing",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(not_for_others),
    },
    Case {
        id: "configuration-for-modules",
        title: "Content for modules reaches the module that meets the condition, not its device",
        requirements: &["HUB-CFG-006"],
        needs: &[],
        run: body!(for_modules),
    },
    Case {
        id: "configuration-status-queried",
        title: "Twins in which a configuration is applied can be queried, and devices see no status",
        requirements: &["QRY-070", "HUB-TWIN-003"],
        needs: &[],
        run: body!(status_queried),
    },
];

async fn reaches_who_enters(bench: &mut Bench) -> Checked {
    let member = Member::new(bench).await?;
    member.configure(bench, 10, &setting("fan", json!({ "rpm": 66 }))).await?;
    member.enter(bench).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "fan": { "rpm": 66 } })).await?;
    Ok(())
}

async fn reaches_who_is_in(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    member.configure(bench, 10, &setting("fan", json!(28.02))).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "fan": 28.02 })).await?;
    Ok(())
}

async fn notified(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let mut connection = bench.connect_and_listen(&member.device).await?;
    member.configure(bench, 10, &setting("fan.rpm", json!(66))).await?;
    let twin = member.gets(bench, "HUB-CFG-006", &json!({ "fan": { "rpm": 66 } })).await?;
    let seen = connection.notification_by("HUB-CFG-006").await?;
    let allowed = json!({ "fan": { "rpm": 66 } });
    bench.equal_json("HUB-CFG-006", "notification", &allowed, &seen.members());
    let version = twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
    bench.equal("HUB-CFG-006", "version of the notification", version, Some(seen.version));
    Ok(())
}

async fn raises_version(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let before = bench.read_twin(member.identity()).await?;
    member.configure(bench, 10, &setting("fan", json!(1))).await?;
    let after = member.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    let number = |twin: &Value, pointer: &str| {
        twin.pointer(&format!("/properties/desired/{pointer}")).and_then(Value::as_u64)
    };
    let (old, new) = (number(&before, "$version"), number(&after, "$version"));
    let holds = old.zip(new).is_some_and(|(old, new)| new > old);
    bench.demand("HUB-CFG-006", holds, format!("more than {old:?}"), format!("{new:?}"));
    let stamp = number(&after, "$metadata/fan/$lastUpdatedVersion");
    bench.equal("HUB-CFG-006", "$lastUpdatedVersion of fan", new, stamp);
    Ok(())
}

/// Gives the device desired properties of its own.
async fn own(bench: &mut Bench, member: &Member, members: Value) -> Checked {
    let body = json!({ "properties": { "desired": members } });
    bench.patch_twin(member.identity(), &body).await.map(drop)
}

async fn nested_path(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    own(bench, &member, json!({ "fan": { "led": "on", "rpm": 1 } })).await?;
    member.configure(bench, 10, &setting("fan.rpm", json!(66))).await?;
    let expected = json!({ "fan": { "led": "on", "rpm": 66 } });
    member.gets(bench, "HUB-CFG-006", &expected).await?;
    Ok(())
}

async fn whole_section(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    own(bench, &member, json!({ "led": "on" })).await?;
    let settings = json!({ "properties.desired": { "fan": 1, "pump": { "on": true } } });
    member.configure(bench, 10, &settings).await?;
    let expected = json!({ "led": "on", "fan": 1, "pump": { "on": true } });
    member.gets(bench, "HUB-CFG-006", &expected).await?;
    Ok(())
}

async fn null_removes(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    own(bench, &member, json!({ "old": 1, "led": "on" })).await?;
    member.configure(bench, 10, &setting("old", Value::Null)).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "led": "on" })).await?;
    Ok(())
}

async fn by_reported_property(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let id = bench.new_configuration();
    let condition = format!("properties.reported.model = '{id}'");
    let document = super::calls::document(&id, &condition, 10, &setting("fan", json!(1)));
    create(bench, "HUB-CFG-001", &document).await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    connection.reported(&json!({ "model": id })).await?;
    gets(bench, "HUB-CFG-006", &device.identity, &json!({ "fan": 1 })).await?;
    Ok(())
}

async fn by_device_id(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let id = bench.new_configuration();
    let condition = format!("deviceId = '{}'", device.device);
    let document = super::calls::document(&id, &condition, 10, &setting("fan", json!(1)));
    create(bench, "HUB-CFG-001", &document).await?;
    gets(bench, "HUB-CFG-006", &device, &json!({ "fan": 1 })).await?;
    Ok(())
}

async fn not_for_others(bench: &mut Bench) -> Checked {
    let (member, other) = (Member::inside(bench).await?, Member::inside(bench).await?);
    member.configure(bench, 10, &setting("fan", json!(1))).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    let seen = other.looked_at_again(bench).await?;
    bench.equal_json("HUB-CFG-006", "desired properties of another", &json!({}), &seen);
    Ok(())
}

async fn for_modules(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let module = bench.module(&member.device, "fan").await?.identity;
    let id = bench.new_configuration();
    bench.patch_twin(&module, &json!({ "tags": { "mark": id } })).await?;
    let document = json!({
        "id": id,
        "content": { "moduleContent": setting("rpm", json!(66)) },
        "targetCondition": format!("from devices.modules where tags.mark = '{id}'"),
        "priority": 10,
    });
    create(bench, "HUB-CFG-001", &document).await?;
    gets(bench, "HUB-CFG-006", &module, &json!({ "rpm": 66 })).await?;
    let seen = member.looked_at_again(bench).await?;
    bench.equal_json("HUB-CFG-006", "desired properties of the device", &json!({}), &seen);
    Ok(())
}

async fn status_queried(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let made = member.configure(bench, 10, &setting("fan", json!(1))).await?;
    let shows = |twin: &Value| desired(twin) == json!({ "fan": 1 });
    bench.watch_twin_for(ROLLOUT, member.identity(), shows).await?;
    let device = &member.identity().device;
    for (status, expected) in [("Applied", vec![device.as_str()]), ("None", vec![])] {
        let id = id_of(&made);
        let query = format!(
            "SELECT deviceId FROM devices WHERE configurations.[[{id}]].status = '{status}'"
        );
        let is_expected = |rows: &Value| {
            let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
            let seen: Option<Vec<&str>> =
                rows.iter().map(|row| at(row, "deviceId").as_str()).collect();
            seen.as_ref() == Some(&expected)
        };
        let answer = super::super::query::settled(bench, &query, is_expected).await?;
        let holds = answer.status.as_u16() == 200 && is_expected(&answer.json());
        bench.demand("QRY-070", holds, format!("{query}: {expected:?}"), answer.to_string());
    }
    let mut connection = bench.connect_and_listen(&member.device).await?;
    let twin = connection.twin().await?;
    let names: Vec<&str> = twin.as_object().into_iter().flatten().map(|(n, _)| &**n).collect();
    bench.equal("HUB-TWIN-003", "members that the device sees", vec!["desired", "reported"], names);
    Ok(())
}
