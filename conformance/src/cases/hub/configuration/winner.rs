//! Which configuration wins a setting (HUB-CFG-007).

use serde_json::{Value, json};

use super::calls::{Member, id_of, looked_at, setting, update};
use crate::bench::Bench;
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-higher-priority-wins",
        title: "A configuration of higher priority takes a setting over",
        requirements: &["HUB-CFG-007"],
        needs: &[],
        run: body!(higher_priority_wins),
    },
    Case {
        id: "configuration-lower-priority-yields",
        title: "A later configuration of lower priority does not take a setting over",
        requirements: &["HUB-CFG-007"],
        needs: &[],
        run: body!(lower_priority_yields),
    },
    Case {
        id: "configuration-newest-wins-tie",
        title: "Among configurations of one priority the newest wins",
        requirements: &["HUB-CFG-007"],
        needs: &[],
        run: body!(newest_wins_tie),
    },
    Case {
        id: "configuration-tie-is-of-creation",
        title: "An update does not make a configuration the newest",
        requirements: &["HUB-CFG-007"],
        needs: &[],
        run: body!(tie_is_of_creation),
    },
    Case {
        id: "configuration-priority-raised",
        title: "A configuration whose priority is raised above the winner's takes over",
        requirements: &["HUB-CFG-007"],
        needs: &[],
        run: body!(priority_raised),
    },
    Case {
        id: "configuration-priorities-are-numbers",
        title: "Priorities are compared as numbers: 10 is higher than 9",
        requirements: &["HUB-CFG-007"],
        needs: &[],
        run: body!(priorities_are_numbers),
    },
];

fn fan(value: u32) -> Value {
    setting("fan", json!(value))
}

/// Configures a device twice, one after the other has arrived, and demands who wins.
async fn demand_winner(bench: &mut Bench, [first, second]: [u32; 2], winner: u32) -> Checked {
    let at = Member::inside(bench).await?;
    at.configure(bench, first, &fan(1)).await?;
    at.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    let second = at.configure(bench, second, &fan(2)).await?;
    if winner == 1 {
        looked_at(bench, id_of(&second)).await?;
    }
    at.gets(bench, "HUB-CFG-007", &json!({ "fan": winner })).await?;
    Ok(())
}

async fn higher_priority_wins(bench: &mut Bench) -> Checked {
    demand_winner(bench, [10, 20], 2).await
}

async fn lower_priority_yields(bench: &mut Bench) -> Checked {
    demand_winner(bench, [20, 10], 1).await
}

async fn newest_wins_tie(bench: &mut Bench) -> Checked {
    demand_winner(bench, [10, 10], 2).await
}

async fn priorities_are_numbers(bench: &mut Bench) -> Checked {
    demand_winner(bench, [10, 9], 1).await
}

async fn tie_is_of_creation(bench: &mut Bench) -> Checked {
    let at = Member::inside(bench).await?;
    let first = at.configure(bench, 10, &fan(1)).await?;
    at.configure(bench, 10, &fan(2)).await?;
    at.gets(bench, "HUB-CFG-007", &json!({ "fan": 2 })).await?;
    update(bench, "HUB-CFG-003", &first, "labels", json!({ "made": "later" })).await?;
    at.looked_at_again(bench).await?;
    let twin = bench.read_twin(at.identity()).await?;
    let seen = twin.pointer("/properties/desired/fan").unwrap_or(&Value::Null);
    bench.equal_json("HUB-CFG-007", "fan", &json!(2), seen);
    Ok(())
}

async fn priority_raised(bench: &mut Bench) -> Checked {
    bench.configure_alone().await?;
    let at = Member::inside(bench).await?;
    let first = at.configure(bench, 10, &fan(1)).await?;
    at.configure(bench, 20, &fan(2)).await?;
    at.gets(bench, "HUB-CFG-007", &json!({ "fan": 2 })).await?;
    update(bench, "HUB-CFG-003", &first, "priority", json!(30)).await?;
    at.gets(bench, "HUB-CFG-007", &json!({ "fan": 1 })).await?;
    Ok(())
}
