//! Conditions for all and for nobody (HUB-CFG-009).

use serde_json::json;

use super::calls::{
    Member, at, create, deleted, document, gets, id_of, looked_at, read, setting, update,
};
use crate::bench::Bench;
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "configuration-star-reaches-all",
        title: "The condition * reaches every device, whatever its tags",
        requirements: &["HUB-CFG-009"],
        needs: &[Need::Alone],
        run: body!(star_reaches_all),
    },
    Case {
        id: "configuration-star-reaches-new",
        title: "The condition * reaches a device that is registered later",
        requirements: &["HUB-CFG-009"],
        needs: &[Need::Alone],
        run: body!(star_reaches_new),
    },
    Case {
        id: "configuration-empty-condition-stored",
        title: "A configuration without a condition can be stored and reaches nobody",
        requirements: &["HUB-CFG-009"],
        needs: &[],
        run: body!(empty_condition_stored),
    },
    Case {
        id: "configuration-condition-emptied",
        title: "A configuration whose condition is emptied lets its devices go",
        requirements: &["HUB-CFG-009"],
        needs: &[],
        run: body!(condition_emptied),
    },
];

async fn star_reaches_all(bench: &mut Bench) -> Checked {
    let (plain, tagged) = (Member::new(bench).await?, Member::inside(bench).await?);
    let id = bench.new_configuration();
    create(bench, "HUB-CFG-009", &document(&id, "*", 10, &setting("fan", json!(1)))).await?;
    for member in [&plain, &tagged] {
        member.gets(bench, "HUB-CFG-009", &json!({ "fan": 1 })).await?;
    }
    let found = read(bench, "HUB-CFG-009", &id).await?;
    bench.equal_json("HUB-CFG-009", "targetCondition", &json!("*"), at(&found, "targetCondition"));
    deleted(bench, "HUB-CFG-001", &id).await?;
    for member in [&plain, &tagged] {
        member.gets(bench, "HUB-CFG-008", &json!({})).await?;
    }
    Ok(())
}

async fn star_reaches_new(bench: &mut Bench) -> Checked {
    let id = bench.new_configuration();
    create(bench, "HUB-CFG-009", &document(&id, "*", 10, &setting("fan", json!(1)))).await?;
    let device = bench.device().await?.identity;
    gets(bench, "HUB-CFG-009", &device, &json!({ "fan": 1 })).await?;
    Ok(())
}

async fn empty_condition_stored(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let id = bench.new_configuration();
    create(bench, "HUB-CFG-009", &document(&id, "", 10, &setting("fan", json!(1)))).await?;
    let found = read(bench, "HUB-CFG-009", &id).await?;
    let seen = at(&found, "targetCondition").as_str().unwrap_or_default();
    bench.equal("HUB-CFG-009", "targetCondition", "", seen);
    let seen = member.looked_at_again(bench).await?;
    bench.equal_json("HUB-CFG-009", "desired properties", &json!({}), &seen);
    Ok(())
}

async fn condition_emptied(bench: &mut Bench) -> Checked {
    let member = Member::inside(bench).await?;
    let made = member.configure(bench, 10, &setting("fan", json!(1))).await?;
    looked_at(bench, id_of(&made)).await?;
    member.gets(bench, "HUB-CFG-006", &json!({ "fan": 1 })).await?;
    update(bench, "HUB-CFG-009", &made, "targetCondition", json!("")).await?;
    member.gets(bench, "HUB-CFG-009", &json!({})).await?;
    Ok(())
}
