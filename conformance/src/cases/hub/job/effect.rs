//! What a job does on devices (JOB-070 to -084).

use serde_json::json;

use crate::bench::{Bench, twin_job};
use crate::body;
use crate::case::Case;
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[Case {
    id: "job-twin-selected",
    title: "A twin job changes the twins it selects and no other",
    requirements: &["JOB-053", "JOB-070", "JOB-075"],
    needs: &[],
    run: body!(selected),
}];

async fn selected(bench: &mut Bench) -> Checked {
    let mark = bench.new_job_id();
    let (first, second, other) =
        (bench.device().await?, bench.device().await?, bench.device().await?);
    for device in [&first, &second] {
        bench.patch_twin(&device.identity, &json!({ "tags": { "mark": mark } })).await?;
    }
    let update = json!({ "etag": "*", "tags": { "wave": 7 } });
    let id = bench.start_job(&twin_job(&format!("tags.mark = '{mark}'"), &update)).await?;
    let history = bench.follow_job("JOB-053", &id).await?;
    bench.equal("JOB-053", "the status", "completed", history.status());
    for (device, wave) in [(&first, json!(7)), (&second, json!(7)), (&other, json!(null))] {
        let twin = bench.read_twin(&device.identity).await?;
        let seen = twin.pointer("/tags/wave").cloned().unwrap_or_default();
        bench.equal_json("JOB-070", "tags.wave", &wave, &seen);
    }
    bench.demand("JOB-075", history.status() == "completed", "a patch with etag *", "");
    Ok(())
}
