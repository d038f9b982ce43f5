//! What a device does with its twin over MQTT (HUB-TWIN).

use serde_json::json;

use crate::bench::Bench;
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "twin-get-echoes-rid",
        title: "A twin GET is answered 200 with its own request id",
        requirements: &["HUB-TWIN-001"],
        needs: &[],
        run: body!(get_echoes_rid),
    },
    Case {
        id: "twin-report-acknowledged-empty",
        title: "A reported PATCH is answered 204 with an empty body",
        requirements: &["HUB-TWIN-008"],
        needs: &[],
        run: body!(report_acknowledged_empty),
    },
    Case {
        id: "twin-throttled-429",
        title: "Twin requests beyond the hub's rate are answered 429",
        requirements: &["HUB-TWIN-020"],
        needs: &[Need::Throttling],
        run: body!(throttled),
    },
];

async fn get_echoes_rid(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let answer = connection.twin_get().await?;
    bench.equal("HUB-TWIN-001", "status", 200, answer.status);
    Ok(())
}

async fn report_acknowledged_empty(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let answer = connection.report(&json!({ "fan": 1 })).await?;
    bench.equal("HUB-TWIN-008", "status", 204, answer.status);
    bench.equal("HUB-TWIN-008", "body length", 0, answer.body.len());
    Ok(())
}

/// More requests than any tested hub may answer at once; the private hub throttles at five.
const BURST: usize = 40;

async fn throttled(bench: &mut Bench) -> Checked {
    let device = bench.device().await?;
    let mut connection = bench.connect_and_listen(&device).await?;
    let mut refused = None;
    for _ in 0..BURST {
        let answer = connection.twin_get().await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let seen = refused.as_ref().map_or("200 for every request".to_owned(), ToString::to_string);
    let throttled = refused.is_some_and(|answer| answer.status == 429);
    bench.demand("HUB-TWIN-020", throttled, "status 429 once the rate is exceeded", seen);
    Ok(())
}
