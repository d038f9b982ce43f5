//! What counts for the size of a section, and how a large one is changed (HUB-VALI-016 to -018).

use serde_json::{Map, Value, json};

use super::sides::{Side, Writer};
use super::size::kilobytes;
use crate::bench::Bench;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-size-result-desired",
        title: "A second 20 KB of desired properties is refused, in place of the first it is taken",
        requirements: &["HUB-VALI-016", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(of_the_result(bench, Side::Desired)),
    },
    Case {
        id: "twin-size-result-reported",
        title: "A second 20 KB of reported properties is refused, in place of the first it is taken",
        requirements: &["HUB-VALI-016", "HUB-MERGE-023"],
        needs: &[],
        run: |bench| Box::pin(of_the_result(bench, Side::Reported)),
    },
    Case {
        id: "twin-size-without-metadata-desired",
        title: "The metadata of many small desired properties does not count",
        requirements: &["HUB-VALI-017"],
        needs: &[],
        run: |bench| Box::pin(without_metadata(bench, Side::Desired)),
    },
    Case {
        id: "twin-size-without-metadata-reported",
        title: "The metadata of many small reported properties does not count",
        requirements: &["HUB-VALI-017"],
        needs: &[],
        run: |bench| Box::pin(without_metadata(bench, Side::Reported)),
    },
    Case {
        id: "twin-size-shrinks-desired",
        title: "Desired properties near the limit can be removed and shortened",
        requirements: &["HUB-VALI-018"],
        needs: &[],
        run: |bench| Box::pin(shrinks(bench, Side::Desired, 30)),
    },
    Case {
        id: "twin-size-shrinks-tags",
        title: "Tags near the limit can be removed and shortened",
        requirements: &["HUB-VALI-018"],
        needs: &[],
        run: |bench| Box::pin(shrinks(bench, Side::Tags, 7)),
    },
    Case {
        id: "twin-size-shrinks-reported",
        title: "Reported properties near the limit can be removed and shortened",
        requirements: &["HUB-VALI-018"],
        needs: &[],
        run: |bench| Box::pin(shrinks(bench, Side::Reported, 30)),
    },
];

async fn of_the_result(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &kilobytes(0..20)).await?;
    let reply = writer.send_bad(bench, &kilobytes(20..40)).await?;
    let allowed = "the second 20 KB refused";
    bench.demand("HUB-VALI-016", reply.is_refused(), allowed, reply.to_string());
    let reply = writer.send(bench, &kilobytes(0..20)).await?;
    let allowed = "20 KB in place of 20 KB taken";
    bench.demand("HUB-VALI-016", reply.is_accepted(), allowed, reply.to_string());
    let mut swap = kilobytes(20..40);
    if let Some(swap) = swap.as_object_mut() {
        swap.extend((0..20).map(|number| (format!("k{number:02}"), Value::Null)));
    }
    let reply = writer.send(bench, &swap).await?;
    let allowed = "20 KB taken whose PATCH removes the other 20 KB";
    bench.demand("HUB-VALI-016", reply.is_accepted(), allowed, reply.to_string());
    Ok(())
}

async fn without_metadata(bench: &mut Bench, side: Side) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    // 13 bytes each by the documented counting, 29900 in all; their metadata is several times that.
    let members: Map<String, Value> =
        (0..2300).map(|number| (format!("k{number:04}"), json!(number))).collect();
    let reply = writer.send(bench, &Value::Object(members)).await?;
    let allowed = "2300 numbers of 29900 bytes taken";
    if !bench.demand("HUB-VALI-017", reply.is_accepted(), allowed, reply.to_string()) {
        return Ok(());
    }
    let reply = writer.send(bench, &json!({ "k0000": 1, "one-more": 1 })).await?;
    let allowed = "one more number taken next to 2300 and their metadata";
    bench.demand("HUB-VALI-017", reply.is_accepted(), allowed, reply.to_string());
    Ok(())
}

async fn shrinks(bench: &mut Bench, side: Side, kilobytes_most: usize) -> Checked {
    let mut writer = Writer::new(bench, side).await?;
    writer.write(bench, &kilobytes(0..kilobytes_most)).await?;
    for smaller in [json!({ "k00": null, "k01": null }), json!({ "k02": "short" })] {
        let reply = writer.send(bench, &smaller).await?;
        let allowed = format!("{smaller} taken");
        bench.demand("HUB-VALI-018", reply.is_accepted(), allowed, reply.to_string());
    }
    let mut allowed = kilobytes(3..kilobytes_most);
    if let Some(allowed) = allowed.as_object_mut() {
        allowed.insert("k02".to_owned(), json!("short"));
    }
    let stored = writer.stored(bench).await?;
    bench.equal_json("HUB-VALI-018", "section", &allowed, &stored);
    Ok(())
}
