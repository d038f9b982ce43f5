//! Headers of answers (HUB-HTTP-004, -009, -010).

use http::Method;
use serde_json::json;
use twinspec_harness::operator::Answer;
use twinspec_model::identity::Identity;

use super::errors::{identity_errors, other_errors, twin_errors};
use crate::bench::{Bench, IfMatch, Registered, identity_path, twin_path, words};
use crate::body;
use crate::case::Case;
use crate::cases::hub::registry::calls::{text, watch};
use crate::verdict::Checked;

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "http-json-type-of-successes",
        title: "Entities and lists have the content type of JSON",
        requirements: &["HUB-HTTP-004"],
        needs: &[],
        run: body!(type_of_successes),
    },
    Case {
        id: "http-json-type-of-errors",
        title: "Errors have the content type of JSON",
        requirements: &["HUB-HTTP-004"],
        needs: &[],
        run: body!(type_of_errors),
    },
    Case {
        id: "http-json-type-of-refusals",
        title: "Refusals of every kind have the content type of JSON",
        requirements: &["HUB-HTTP-004"],
        needs: &[],
        run: body!(type_of_refusals),
    },
    Case {
        id: "http-json-type-of-other-refusals",
        title: "Refusals of other calls, of methods, jobs and queries among them, have the type of JSON",
        requirements: &["HUB-HTTP-004"],
        needs: &[],
        run: body!(type_of_other_refusals),
    },
    Case {
        id: "http-request-id-told",
        title: "Entities and errors carry a request id",
        requirements: &["HUB-HTTP-009"],
        needs: &[],
        run: body!(request_id_told),
    },
    Case {
        id: "http-etag-header-of-identities",
        title: "Answers with a device or module repeat its etag in the ETag header",
        requirements: &["HUB-HTTP-010"],
        needs: &[],
        run: body!(etag_of_identities),
    },
    Case {
        id: "http-etag-header-of-twins",
        title: "Answers with a twin repeat its etag in the ETag header",
        requirements: &["HUB-HTTP-010"],
        needs: &[],
        run: body!(etag_of_twins),
    },
];

async fn get(bench: &mut Bench, path: &str) -> Checked<Answer> {
    watch(bench, path, |answer| answer.status.as_u16() == 200).await
}

fn demand_json_type(bench: &mut Bench, answer: &Answer) {
    let seen = answer.header("content-type").unwrap_or_default();
    let media = seen.split(';').next().unwrap_or_default().trim();
    let is_json = media.eq_ignore_ascii_case("application/json");
    bench.demand("HUB-HTTP-004", is_json, "content-type application/json", seen);
}

async fn type_of_successes(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let modules = format!("{}/modules", identity_path(&device));
    for path in [&identity_path(&device), &twin_path(&device), &modules, "/statistics/devices"] {
        let answer = get(bench, path).await?;
        bench.equal("HUB-HTTP-003", path, 200, answer.status.as_u16());
        demand_json_type(bench, &answer);
    }
    let patch = json!({ "tags": { "fan": 1 } });
    let answer = bench.write_twin(Method::PATCH, &device, IfMatch::Absent, &patch).await?;
    demand_json_type(bench, &answer);
    Ok(())
}

async fn type_of_errors(bench: &mut Bench) -> Checked {
    let missing = Identity::device(bench.new_name());
    let paths = [("HUB-REG-007", identity_path(&missing)), ("HUB-HTTP-012", twin_path(&missing))];
    for (requirement, path) in paths {
        let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
        bench.equal(requirement, "status", 404, answer.status.as_u16());
        demand_json_type(bench, &answer);
        let answer = bench.call_as(None, Method::GET, &path, None).await?;
        demand_json_type(bench, &answer);
    }
    Ok(())
}

async fn type_of_refusals(bench: &mut Bench) -> Checked {
    let mut errors = identity_errors(bench).await?;
    errors.extend(twin_errors(bench).await?);
    let items = json!([{ "id": bench.new_name(), "importMode": "delete" }]);
    let answer = bench.call(Method::POST, "/devices", IfMatch::Absent, Some(&items)).await?;
    bench.equal("HUB-REG-030", "status of a failed bulk call", 400, answer.status.as_u16());
    errors.push((400, answer));
    errors.iter().for_each(|(_, answer)| demand_json_type(bench, answer));
    Ok(())
}

async fn type_of_other_refusals(bench: &mut Bench) -> Checked {
    let errors = other_errors(bench).await?;
    errors.iter().for_each(|(_, answer)| demand_json_type(bench, answer));
    Ok(())
}

async fn request_id_told(bench: &mut Bench) -> Checked {
    let device = bench.device().await?.identity;
    let missing = Identity::device(bench.new_name());
    for path in [identity_path(&device), twin_path(&device), identity_path(&missing)] {
        let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
        let id = answer.header("x-ms-request-id").unwrap_or_default();
        let seen = format!("{} for {path}", words(&id));
        bench.demand("HUB-HTTP-009", !id.is_empty(), "x-ms-request-id", seen);
    }
    Ok(())
}

async fn device_and_module(bench: &mut Bench) -> Checked<[Registered; 2]> {
    let device = bench.device().await?;
    let module = bench.module(&device, "vision").await?;
    Ok([device, module])
}

fn demand_etag_repeated(bench: &mut Bench, answer: &Answer) {
    let body = answer.json();
    let etag = text(&body, "/etag");
    let holds = !etag.is_empty() && answer.header("etag") == Some(&format!("\"{etag}\""));
    let seen = words(&answer.header("etag"));
    bench.demand("HUB-HTTP-010", holds, format!("the ETag header \"{etag}\""), seen);
}

async fn etag_of_identities(bench: &mut Bench) -> Checked {
    for registered in device_and_module(bench).await? {
        let path = identity_path(&registered.identity);
        let answer = get(bench, &path).await?;
        demand_etag_repeated(bench, &answer);
        let body = answer.json();
        let answer = bench.call(Method::PUT, &path, IfMatch::Any, Some(&body)).await?;
        demand_etag_repeated(bench, &answer);
    }
    Ok(())
}

async fn etag_of_twins(bench: &mut Bench) -> Checked {
    for registered in device_and_module(bench).await? {
        let answer = get(bench, &twin_path(&registered.identity)).await?;
        demand_etag_repeated(bench, &answer);
        for method in [Method::PATCH, Method::PUT] {
            let body = json!({ "tags": { "fan": 1 }, "properties": { "desired": { "fan": 2 } } });
            let who = &registered.identity;
            let answer = bench.write_twin(method, who, IfMatch::Absent, &body).await?;
            demand_etag_repeated(bench, &answer);
        }
    }
    Ok(())
}
