//! What a SUBSCRIBE is granted (HUB-SESS-001, -002, -013).

use serde_json::{Value, json};
use twinspec_model::wire::mqtt::{Packet, Qos, SubAck, Subscribe};

use super::device_bound::{device_bound, filter_of};
use crate::bench::{Bench, Connection, Registered, words};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "session-qos-2-granted-1",
        title: "Cloud-to-device messages asked for at QoS 2 are granted at QoS 1",
        requirements: &["HUB-SESS-001"],
        needs: &[],
        run: body!(qos_2_granted_1),
    },
    Case {
        id: "session-qos-2-granted-1-twin",
        title: "Twin and method topics asked for at QoS 2 are granted at QoS 1",
        requirements: &["HUB-SESS-001"],
        needs: &[],
        run: body!(qos_2_granted_1_twin),
    },
    Case {
        id: "session-qos-0-granted",
        title: "Every filter of a device is granted at QoS 0",
        requirements: &["HUB-SESS-002"],
        needs: &[],
        run: body!(qos_0_granted),
    },
    Case {
        id: "session-qos-1-granted",
        title: "Every filter of a device is granted at QoS 0 or 1 when it asks for 1",
        requirements: &["HUB-SESS-002"],
        needs: &[],
        run: body!(qos_1_granted),
    },
    Case {
        id: "session-qos-granted-again",
        title: "A filter that is subscribed again with another QoS is granted at no more than that",
        requirements: &["HUB-SESS-002"],
        needs: &[],
        run: body!(qos_granted_again),
    },
    Case {
        id: "session-filters-together",
        title: "All filters of a device are granted in one SUBSCRIBE",
        requirements: &["HUB-SESS-002"],
        needs: &[],
        run: body!(filters_together),
    },
    Case {
        id: "session-module-filters",
        title: "The twin and method filters of a module are granted",
        requirements: &["HUB-SESS-002"],
        needs: &[],
        run: body!(module_filters),
    },
    Case {
        id: "session-five-filters",
        title: "A device with five filters has its twin answered and is notified",
        requirements: &["HUB-SESS-013"],
        needs: &[],
        run: body!(five_filters),
    },
    Case {
        id: "session-five-filters-device-bound",
        title: "A device with five filters receives cloud-to-device messages",
        requirements: &["HUB-SESS-013"],
        needs: &[Need::Control],
        run: body!(five_filters_device_bound),
    },
];

/// T6, T10 and T12: the same for devices and modules.
const SHARED_FILTERS: [&str; 3] =
    ["$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#"];

async fn qos_2_granted_1(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let filters = [filter_of(&device)];
    demand_granted_1(bench, &mut connection, &filters).await
}

async fn qos_2_granted_1_twin(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let filters = SHARED_FILTERS.map(str::to_owned);
    demand_granted_1(bench, &mut connection, &filters).await
}

async fn demand_granted_1(
    bench: &mut Bench,
    connection: &mut Connection,
    filters: &[String],
) -> Checked {
    for filter in filters {
        let asked = [(filter.clone(), Qos::ExactlyOnce)];
        let granted = ask(connection, "HUB-SESS-001", &asked).await?;
        let what = format!("grant for {filter} at QoS 2");
        bench.equal("HUB-SESS-001", &what, vec![Some(Qos::AtLeastOnce)], granted);
    }
    Ok(())
}

async fn qos_0_granted(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_each_granted(bench, &device, &own_filters(&device), Qos::AtMostOnce).await
}

async fn qos_1_granted(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    demand_each_granted(bench, &device, &own_filters(&device), Qos::AtLeastOnce).await
}

async fn qos_granted_again(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    for filter in own_filters(&device) {
        for qos in [Qos::AtLeastOnce, Qos::AtMostOnce, Qos::AtLeastOnce] {
            let asked = [(filter.clone(), qos)];
            let granted = ask(&mut connection, "HUB-SESS-002", &asked).await?;
            demand_grants(bench, &asked, &granted);
        }
    }
    connection.disconnect().await
}

async fn module_filters(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    let filters = SHARED_FILTERS.map(str::to_owned);
    demand_each_granted(bench, &module, &filters, Qos::AtMostOnce).await?;
    demand_each_granted(bench, &module, &filters, Qos::AtLeastOnce).await
}

/// Demands that each filter is granted at no more than `qos`.
async fn demand_each_granted(
    bench: &mut Bench,
    who: &Registered,
    filters: &[String],
    qos: Qos,
) -> Checked {
    let mut connection = bench.connect(who).await?;
    for filter in filters {
        let asked = [(filter.clone(), qos)];
        let granted = ask(&mut connection, "HUB-SESS-002", &asked).await?;
        demand_grants(bench, &asked, &granted);
    }
    connection.disconnect().await
}

async fn filters_together(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect(&device).await?;
    let qos = [Qos::AtMostOnce, Qos::AtLeastOnce].into_iter().cycle();
    let asked: Vec<_> = own_filters(&device).into_iter().zip(qos).collect();
    let granted = ask(&mut connection, "HUB-SESS-002", &asked).await?;
    demand_grants(bench, &asked, &granted);
    Ok(())
}

fn demand_grants(bench: &mut Bench, asked: &[(String, Qos)], granted: &[Option<Qos>]) {
    let fits = |((_, asked), granted): (&(String, Qos), &Option<Qos>)| {
        granted.is_some_and(|granted| granted <= *asked)
    };
    let holds = asked.len() == granted.len() && asked.iter().zip(granted).all(fits);
    let allowed = format!("one grant each, no more than asked for, for {}", words(&asked));
    bench.demand("HUB-SESS-002", holds, allowed, format!("SUBACK {}", words(&granted)));
}

async fn five_filters(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_with_five(bench, &device).await?;
    let answer = connection.twin_get().await?;
    bench.equal("HUB-SESS-013", "status of a twin GET", 200, answer.status);
    let version = set_desired(bench, &device, json!({ "fan": 1 })).await?;
    let seen = connection.notification().await?;
    bench.equal("HUB-SESS-013", "version notified", version, seen.version);
    Ok(())
}

async fn five_filters_device_bound(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = connect_with_five(bench, &device).await?;
    bench.send_to_device(&device.identity.device, &[], "fifth").await?;
    let message = device_bound("HUB-SESS-013", &mut connection).await?;
    bench.equal("HUB-SESS-013", "body", "fifth", &String::from_utf8_lossy(&message.payload));
    Ok(())
}

/// A connection that subscribes T12, T3, one method, T6 and T10.
pub(super) async fn connect_with_five(
    bench: &mut Bench,
    device: &Registered,
) -> Checked<Connection> {
    let mut connection = bench.connect(device).await?;
    let filters = [
        "$iothub/methods/POST/#",
        &filter_of(device),
        "$iothub/methods/POST/reboot/#",
        "$iothub/twin/res/#",
        "$iothub/twin/PATCH/properties/desired/#",
    ];
    for filter in filters {
        let asked = [(filter.to_owned(), Qos::AtMostOnce)];
        let granted = ask(&mut connection, "HUB-SESS-013", &asked).await?;
        let what = format!("grant for {filter}");
        bench.equal("HUB-SESS-013", &what, vec![Some(Qos::AtMostOnce)], granted);
    }
    bench.settle().await;
    Ok(connection)
}

fn own_filters(device: &Registered) -> Vec<String> {
    let shared = SHARED_FILTERS.map(str::to_owned);
    shared.into_iter().chain([filter_of(device)]).collect()
}

/// Subscribes and returns what the SUBACK says, `None` for each failure.
pub(super) async fn ask(
    connection: &mut Connection,
    requirement: &'static str,
    asked: &[(String, Qos)],
) -> Checked<Vec<Option<Qos>>> {
    let id = connection.new_id();
    let filters = asked.to_vec();
    connection.send(&Packet::Subscribe(Subscribe { id, filters })).await?;
    let suback = connection.expect(requirement, "a SUBACK", |packet| match packet {
        Packet::SubAck(SubAck { id: seen, granted }) if *seen == id => Some(granted.clone()),
        _ => None,
    });
    suback.await
}

/// Patches desired properties as a back end does: the new version.
pub(super) async fn set_desired(
    bench: &mut Bench,
    who: &Registered,
    desired: Value,
) -> Checked<u64> {
    let patch = json!({ "properties": { "desired": desired } });
    let twin = bench.patch_twin(&who.identity, &patch).await?;
    let version = twin.pointer("/properties/desired/$version").and_then(Value::as_u64);
    Ok(version.unwrap_or_default())
}
