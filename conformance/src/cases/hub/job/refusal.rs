//! What a hub does not accept as a new job (JOB-010 to -018).

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use twinspec_harness::operator::Answer;
use twinspec_model::auth;
use twinspec_model::time::Time;

use super::tools::{
    at, completed, demand_error, demand_ok, demand_refused, error_name, go, starting_in, wave,
    with, without,
};
use crate::bench::{Bench, IfMatch, job_path, method_job, twin_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-refuse-type-misspelt",
        title: "Types that old pages misspelt are refused",
        requirements: &["JOB-010"],
        needs: &[],
        run: body!(type_misspelt),
    },
    Case {
        id: "job-refuse-type-foreign",
        title: "A type that nobody knows, and none at all, are refused and leave no job",
        requirements: &["JOB-010"],
        needs: &[],
        run: body!(type_foreign),
    },
    Case {
        id: "job-refuse-no-json",
        title: "A body that is cut off or no JSON is refused",
        requirements: &["JOB-011"],
        needs: &[],
        run: body!(no_json),
    },
    Case {
        id: "job-refuse-desired-astray",
        title: "A patch with desired beside etag is refused",
        requirements: &["JOB-012"],
        needs: &[],
        run: body!(desired_astray),
    },
    Case {
        id: "job-refuse-patch-missing",
        title: "A twin job without a patch is refused and leaves no job",
        requirements: &["JOB-013"],
        needs: &[],
        run: body!(patch_missing),
    },
    Case {
        id: "job-refuse-call-missing",
        title: "A method job without a call is refused and leaves no job",
        requirements: &["JOB-013"],
        needs: &[],
        run: body!(call_missing),
    },
    Case {
        id: "job-refuse-method-name-missing",
        title: "A method job whose call has no methodName is refused and leaves no job",
        requirements: &["JOB-013"],
        needs: &[],
        run: body!(method_name_missing),
    },
    Case {
        id: "job-refuse-id-in-use",
        title: "A second job with the id of one that waits is refused and changes nothing",
        requirements: &["JOB-014"],
        needs: &[],
        run: body!(id_in_use),
    },
    Case {
        id: "job-refuse-id-of-ended",
        title: "A second job with the id of one that has ended is refused and changes nothing",
        requirements: &["JOB-014"],
        needs: &[],
        run: body!(id_of_ended),
    },
    Case {
        id: "job-refuse-id-of-cancelled",
        title: "A second job with the id of a cancelled one is refused and changes nothing",
        requirements: &["JOB-014"],
        needs: &[],
        run: body!(id_of_cancelled),
    },
    Case {
        id: "job-refuse-id-too-long",
        title: "An id of 65 characters is refused",
        requirements: &["JOB-015"],
        needs: &[],
        run: body!(id_too_long),
    },
    Case {
        id: "job-refuse-id-characters",
        title: "Ids with an underscore, a dot, a blank or a letter outside ASCII are refused",
        requirements: &["JOB-016"],
        needs: &[],
        run: body!(id_characters),
    },
    Case {
        id: "job-refuse-no-credentials",
        title: "Creating, reading, listing and cancelling without credentials are refused",
        requirements: &["JOB-018"],
        needs: &[],
        run: body!(no_credentials),
    },
    Case {
        id: "job-refuse-expired-token",
        title: "Creating, reading, listing and cancelling with an expired token are refused",
        requirements: &["JOB-018"],
        needs: &[Need::Policies],
        run: body!(expired_token),
    },
];

/// A job for nobody that is right in every member.
fn right() -> Value {
    twin_job("deviceId = 'nobody'", &wave())
}

/// Creates a job that waits, to show that one with `body` is refused for what differs.
async fn control(bench: &mut Bench, body: Value) -> Checked {
    let body = starting_in(bench, body, 3600).await?;
    bench.start_job(&body).await.map(drop)
}

/// Asks for a job that must not be there afterwards, if `body` is refused.
async fn attempt(bench: &mut Bench, requirement: &'static str, body: &Value) -> Checked<Answer> {
    let id = bench.new_job_id();
    let answer = bench.create_job(&id, body).await?;
    let read = bench.call(Method::GET, &job_path(&id), IfMatch::Absent, None).await?;
    let is_absent = read.status.is_client_error();
    bench.demand(requirement, is_absent, "no job that can be read", read.to_string());
    Ok(answer)
}

async fn type_misspelt(bench: &mut Bench) -> Checked {
    control(bench, right()).await?;
    let twins = ["scheduleTwinUpdate", "scheduledUpdateTwin"];
    let methods = ["scheduleDirectMethod", "scheduleDirectRequest", "scheduledDeviceMethod"];
    let bodies = twins.iter().map(|name| with(right(), "type", *name));
    let calls =
        methods.iter().map(|name| with(method_job("deviceId = 'nobody'", &go()), "type", *name));
    for body in bodies.chain(calls) {
        let body = starting_in(bench, body, 3600).await?;
        let id = bench.new_job_id();
        let answer = bench.create_job(&id, &body).await?;
        demand_error(bench, "JOB-010", &answer, 400, "GenericBadRequest");
    }
    Ok(())
}

async fn type_foreign(bench: &mut Bench) -> Checked {
    control(bench, right()).await?;
    for body in [with(right(), "type", "paintTheShed"), without(right(), "type")] {
        let body = starting_in(bench, body, 3600).await?;
        let answer = attempt(bench, "JOB-010", &body).await?;
        bench.equal("JOB-010", "HTTP status", 400, answer.status.as_u16());
    }
    Ok(())
}

async fn no_json(bench: &mut Bench) -> Checked {
    control(bench, right()).await?;
    for text in [r#"{"jobId":"#, "scheduleUpdateTwin", r#"{"type":"scheduleUpdateTwin",}"#] {
        let path = job_path(&bench.new_job_id());
        let body = Some(Bytes::from(text));
        let answer = bench.call_raw(Method::PUT, &path, IfMatch::Absent, body).await?;
        let holds = answer.status.as_u16() == 400;
        bench.demand("JOB-011", holds, format!("HTTP 400 for {text}"), answer.to_string());
    }
    Ok(())
}

async fn desired_astray(bench: &mut Bench) -> Checked {
    control(bench, right()).await?;
    let update = json!({ "etag": "*", "desired": { "rate": 5 } });
    let body = with(right(), "updateTwin", update);
    let body = starting_in(bench, body, 3600).await?;
    let answer = attempt(bench, "JOB-012", &body).await?;
    demand_error(bench, "JOB-012", &answer, 400, "ArgumentInvalid");
    Ok(())
}

async fn patch_missing(bench: &mut Bench) -> Checked {
    control(bench, right()).await?;
    for body in [without(right(), "updateTwin"), with(right(), "updateTwin", Value::Null)] {
        demand_incomplete(bench, body).await?;
    }
    Ok(())
}

async fn call_missing(bench: &mut Bench) -> Checked {
    let right = method_job("deviceId = 'nobody'", &go());
    control(bench, right.clone()).await?;
    let none = without(right.clone(), "cloudToDeviceMethod");
    for body in [none, with(right, "cloudToDeviceMethod", Value::Null)] {
        demand_incomplete(bench, body).await?;
    }
    Ok(())
}

async fn method_name_missing(bench: &mut Bench) -> Checked {
    control(bench, method_job("deviceId = 'nobody'", &go())).await?;
    for call in [without(go(), "methodName"), with(go(), "methodName", Value::Null)] {
        demand_incomplete(bench, method_job("deviceId = 'nobody'", &call)).await?;
    }
    Ok(())
}

async fn demand_incomplete(bench: &mut Bench, body: Value) -> Checked {
    let body = starting_in(bench, body, 3600).await?;
    let answer = attempt(bench, "JOB-013", &body).await?;
    demand_refused(bench, "JOB-013", &answer);
    Ok(())
}

async fn id_in_use(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, right(), 3600).await?;
    let id = bench.start_job(&body).await?;
    // Its first status may pass by itself.
    bench.watch_job(&id, |job| *at(job, "/status") == "scheduled").await?;
    demand_in_use(bench, &id).await
}

async fn id_of_ended(bench: &mut Bench) -> Checked {
    let id = bench.start_job(&right()).await?;
    completed(bench, "JOB-053", &id).await?;
    demand_in_use(bench, &id).await
}

async fn id_of_cancelled(bench: &mut Bench) -> Checked {
    let body = starting_in(bench, right(), 3600).await?;
    let id = bench.start_job(&body).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    demand_in_use(bench, &id).await
}

async fn demand_in_use(bench: &mut Bench, id: &str) -> Checked {
    let before = bench.read_job(id).await?;
    let other = twin_job("deviceId = 'no-one'", &json!({ "etag": "*", "tags": { "wave": 8 } }));
    for body in [method_job("deviceId = 'nobody'", &go()), other] {
        let answer = bench.create_job(id, &body).await?;
        let names = ["JobAlreadyExists", "DeviceJobAlreadyExists"];
        let is_named = error_name(&answer).is_none_or(|name| names.contains(&name.as_str()));
        let holds = answer.status.as_u16() == 409 && is_named;
        bench.demand("JOB-014", holds, "HTTP 409 JobAlreadyExists", answer.to_string());
    }
    let after = bench.read_job(id).await?;
    bench.equal_json("JOB-014", "the job", &before, &after);
    Ok(())
}

async fn id_too_long(bench: &mut Bench) -> Checked {
    let start = bench.new_job_id();
    let filled = format!("{start}{}", "x".repeat(65));
    for (length, is_legal) in [(64, true), (65, false)] {
        let id: String = filled.chars().take(length).collect();
        bench.cancel_later(&id);
        let body = starting_in(bench, right(), 3600).await?;
        let answer = bench.create_job(&id, &body).await?;
        if is_legal {
            demand_ok(bench, "JOB-017", &answer);
        } else {
            demand_refused(bench, "JOB-015", &answer);
        }
    }
    Ok(())
}

async fn id_characters(bench: &mut Bench) -> Checked {
    control(bench, right()).await?;
    let start = bench.new_job_id();
    for odd in ["_", ".", " ", "é"] {
        let id = format!("{start}{odd}b");
        bench.cancel_later(&id);
        let body = starting_in(bench, right(), 3600).await?;
        let answer = bench.create_job(&id, &body).await?;
        demand_refused(bench, "JOB-016", &answer);
    }
    Ok(())
}

async fn no_credentials(bench: &mut Bench) -> Checked {
    demand_unauthorized(bench, None).await
}

async fn expired_token(bench: &mut Bench) -> Checked {
    let key = bench.target.policy_key("service");
    let key = key.ok_or_else(|| Stop::Unsupported("the key of service is not known".to_owned()))?;
    let hour_ago = bench.now().await?.unix_seconds().saturating_sub(3600);
    let expiry = Time::from_unix_seconds(hour_ago);
    let token = auth::sign(&key, bench.host(), expiry, Some("service"));
    let token = token.ok_or_else(|| Stop::Unsupported("the key is no base64".to_owned()))?;
    demand_unauthorized(bench, Some(token)).await
}

async fn demand_unauthorized(bench: &mut Bench, authorization: Option<String>) -> Checked {
    let body = starting_in(bench, right(), 3600).await?;
    let id = bench.start_job(&body).await?;
    let (known, other) = (job_path(&id), job_path(&bench.new_job_id()));
    let cancel = format!("{known}/cancel");
    let calls = [
        (Method::PUT, other.as_str(), Some(&body)),
        (Method::GET, known.as_str(), None),
        (Method::GET, "/jobs/v2/query", None),
        (Method::POST, cancel.as_str(), None),
    ];
    for (method, path, body) in calls {
        let what = format!("{method} {path}");
        let answer = bench.call_as(authorization.clone(), method, path, body).await?;
        let holds = answer.status.as_u16() == 401;
        bench.demand("JOB-018", holds, format!("{what}: HTTP 401"), format!("{what}: {answer}"));
    }
    let job = bench.read_job(&id).await?;
    bench.demand(
        "JOB-018",
        *at(&job, "/status") != "cancelled",
        "the job unchanged",
        job.to_string(),
    );
    Ok(())
}
