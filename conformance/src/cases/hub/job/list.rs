//! Lists of jobs (JOB-037 to -043, -045, -046).
//!
//! A hub may know other jobs too: only the case's own are looked at, on whatever page they are.

use std::collections::BTreeSet;

use http::Method;
use http::header::HeaderName;
use serde_json::Value;
use tokio::time::Instant;
use twinspec_harness::operator::Answer;

use super::tools::{Marked, at, completed, demand_ok, field, go, starting_in, wave};
use crate::bench::{Bench, IfMatch, VISIBLE, method_job, twin_job};
use crate::body;
use crate::case::{Case, Need};
use crate::verdict::{Checked, Stop};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "job-list",
        title: "The list is an array of jobs, with those just created",
        requirements: &["JOB-037"],
        needs: &[],
        run: body!(list),
    },
    Case {
        id: "job-list-of-twin-jobs",
        title: "The list of twin jobs has no method job",
        requirements: &["JOB-038"],
        needs: &[],
        run: body!(twin_jobs),
    },
    Case {
        id: "job-list-of-method-jobs",
        title: "The list of method jobs has no twin job",
        requirements: &["JOB-038"],
        needs: &[],
        run: body!(method_jobs),
    },
    Case {
        id: "job-list-by-status",
        title: "The list is filtered by status",
        requirements: &["JOB-039"],
        needs: &[],
        run: body!(by_status),
    },
    Case {
        id: "job-list-by-both",
        title: "Type and status filter together",
        requirements: &["JOB-038", "JOB-039"],
        needs: &[],
        run: body!(by_both),
    },
    Case {
        id: "job-list-any-case",
        title: "Types and statuses are matched in any case",
        requirements: &["JOB-040"],
        needs: &[],
        run: body!(any_case),
    },
    Case {
        id: "job-list-empty-filter",
        title: "Empty filters filter nothing",
        requirements: &["JOB-041"],
        needs: &[],
        run: body!(empty_filter),
    },
    Case {
        id: "job-list-pages",
        title: "Three jobs come on pages of one, each once",
        requirements: &["JOB-042"],
        needs: &[Need::Alone],
        run: body!(pages),
    },
    Case {
        id: "job-list-next-page",
        title: "The first page of one job leads to a second page with another job",
        requirements: &["JOB-042"],
        needs: &[],
        run: body!(next_page),
    },
    Case {
        id: "job-list-pages-of-two",
        title: "No page has more jobs than asked for, and nothing is lost between pages",
        requirements: &["JOB-042"],
        needs: &[Need::Alone],
        run: body!(pages_of_two),
    },
    Case {
        id: "job-list-last-page",
        title: "The last page leads nowhere, also when it is full",
        requirements: &["JOB-043"],
        needs: &[Need::Alone],
        run: body!(last_page),
    },
    Case {
        id: "job-list-item-type",
        title: "A list says that its rows are jobs",
        requirements: &["JOB-045"],
        needs: &[],
        run: body!(item_type),
    },
    Case {
        id: "job-list-item-type-empty",
        title: "An empty list says that its rows are jobs",
        requirements: &["JOB-045"],
        needs: &[Need::Alone],
        run: body!(item_type_empty),
    },
    Case {
        id: "job-list-just-cancelled",
        title: "A job is found by its status soon after it was cancelled",
        requirements: &["JOB-046"],
        needs: &[],
        run: body!(just_cancelled),
    },
];

/// Where the list is.
const PATH: &str = "/jobs/v2/query";

/// Names the page size.
const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");

/// Names the next page.
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");

/// Pages that are looked at: more than the jobs of a month have where each page has one.
const PAGES_MAX: usize = 2000;

/// One page.
pub(super) async fn page(
    bench: &mut Bench,
    filter: &str,
    size: Option<usize>,
    token: Option<&str>,
) -> Checked<Answer> {
    let mut request = bench.request(Method::GET, &format!("{PATH}{filter}"), None);
    request.headers.extend(size.map(|size| (MAX_ITEM_COUNT, size.to_string())));
    request.headers.extend(token.map(|token| (CONTINUATION, token.to_owned())));
    bench.exchange(&request).await
}

/// The jobs of a page, if it is one.
pub(super) fn jobs(answer: &Answer) -> Option<Vec<Value>> {
    match (answer.status.as_u16(), answer.json()) {
        (200, Value::Array(jobs)) => Some(jobs),
        _ => None,
    }
}

/// All pages of a list.
pub(super) async fn pages_of(
    bench: &mut Bench,
    requirement: &'static str,
    filter: &str,
    size: Option<usize>,
) -> Checked<Vec<Vec<Value>>> {
    let mut pages = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let answer = page(bench, filter, size, token.as_deref()).await?;
        let broken = |seen: String| Stop::Broken {
            requirement,
            allowed: format!("200 with an array of jobs for {PATH}{filter}"),
            seen,
        };
        pages.push(jobs(&answer).ok_or_else(|| broken(answer.to_string()))?);
        let next = answer.header("x-ms-continuation").filter(|token| !token.is_empty());
        if next.is_some() && next == token.as_deref() {
            return Err(broken("a page that leads to itself".to_owned()));
        }
        token = next.map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(pages)
}

/// The own jobs among those of all pages, in their order.
fn own(pages: &[Vec<Value>], ids: &[String]) -> Vec<String> {
    let listed = pages.iter().flatten().filter_map(|job| at(job, "/jobId").as_str());
    listed.filter(|id| ids.iter().any(|own| own == id)).map(str::to_owned).collect()
}

/// The own jobs in a list, sorted, once they are as expected or the budget is used up: lists may
/// lag behind.
async fn listed(
    bench: &mut Bench,
    requirement: &'static str,
    filter: &str,
    ids: &[String],
    expected: &[&String],
) -> Checked<Vec<String>> {
    let deadline = Instant::now() + bench.budget(VISIBLE);
    let expected: BTreeSet<&String> = expected.iter().copied().collect();
    loop {
        let pages = pages_of(bench, requirement, filter, None).await?;
        let mut found = own(&pages, ids);
        found.sort();
        if found.iter().eq(expected.iter().copied()) || Instant::now() >= deadline {
            return Ok(found);
        }
        bench.look_again().await;
    }
}

/// Demands that a list has exactly these of the own jobs.
async fn demand_listed(
    bench: &mut Bench,
    requirement: &'static str,
    filter: &str,
    ids: &[String],
    expected: &[&String],
) -> Checked {
    let found = listed(bench, requirement, filter, ids, expected).await?;
    let mut expected: Vec<String> = expected.iter().map(|id| (*id).clone()).collect();
    expected.sort();
    bench.equal(requirement, &format!("own jobs of {filter}"), expected, found);
    Ok(())
}

/// A twin job that waits.
async fn waiting_twin(bench: &mut Bench) -> Checked<String> {
    let body = starting_in(bench, twin_job("deviceId = 'nobody'", &wave()), 3600).await?;
    bench.start_job(&body).await
}

/// A method job that waits.
async fn waiting_method(bench: &mut Bench) -> Checked<String> {
    let body = starting_in(bench, method_job("deviceId = 'nobody'", &go()), 3600).await?;
    bench.start_job(&body).await
}

/// A twin job that was cancelled.
async fn cancelled_twin(bench: &mut Bench) -> Checked<String> {
    let id = waiting_twin(bench).await?;
    let answer = bench.cancel_job(&id).await?;
    demand_ok(bench, "JOB-054", &answer);
    Ok(id)
}

async fn list(bench: &mut Bench) -> Checked {
    let ids = [waiting_twin(bench).await?, waiting_method(bench).await?];
    let all: Vec<&String> = ids.iter().collect();
    demand_listed(bench, "JOB-037", "", &ids, &all).await?;
    let pages = pages_of(bench, "JOB-037", "", None).await?;
    for job in pages.iter().flatten() {
        let holds = ["jobId", "type", "status"].iter().all(|name| field(job, name).is_string());
        bench.demand("JOB-037", holds, "a job with jobId, type and status", job.to_string());
    }
    Ok(())
}

async fn twin_jobs(bench: &mut Bench) -> Checked {
    let ids = [waiting_twin(bench).await?, waiting_method(bench).await?];
    let [twin, _] = &ids;
    demand_listed(bench, "JOB-038", "?jobType=scheduleUpdateTwin", &ids, &[twin]).await
}

async fn method_jobs(bench: &mut Bench) -> Checked {
    let ids = [waiting_twin(bench).await?, waiting_method(bench).await?];
    let [_, method] = &ids;
    demand_listed(bench, "JOB-038", "?jobType=scheduleDeviceMethod", &ids, &[method]).await
}

async fn by_status(bench: &mut Bench) -> Checked {
    let marked = Marked::new(bench, 1).await?;
    let done = bench.start_job(&marked.wave()).await?;
    completed(bench, "JOB-053", &done).await?;
    let ids = [done, cancelled_twin(bench).await?, waiting_twin(bench).await?];
    let [done, cancelled, waiting] = &ids;
    let lists = [("completed", done), ("cancelled", cancelled), ("scheduled", waiting)];
    for (status, job) in lists {
        let filter = format!("?jobStatus={status}");
        demand_listed(bench, "JOB-039", &filter, &ids, &[job]).await?;
    }
    Ok(())
}

async fn by_both(bench: &mut Bench) -> Checked {
    let ids =
        [waiting_twin(bench).await?, waiting_method(bench).await?, cancelled_twin(bench).await?];
    let [twin, _, cancelled] = &ids;
    for (requirement, status, job) in
        [("JOB-038", "scheduled", twin), ("JOB-039", "cancelled", cancelled)]
    {
        let filter = format!("?jobType=scheduleUpdateTwin&jobStatus={status}");
        demand_listed(bench, requirement, &filter, &ids, &[job]).await?;
    }
    Ok(())
}

async fn any_case(bench: &mut Bench) -> Checked {
    let ids = [waiting_twin(bench).await?, cancelled_twin(bench).await?];
    let [waiting, cancelled] = &ids;
    let both: &[&String] = &[waiting, cancelled];
    for (filter, expected) in [
        ("?jobType=scheduleUpdateTwin", both),
        ("?jobType=ScheduleUpdateTwin", both),
        ("?jobType=ScheduleDeviceMethod", &[]),
        ("?jobStatus=cancelled", &[cancelled]),
        ("?jobStatus=Cancelled", &[cancelled]),
        ("?jobType=SCHEDULEUPDATETWIN&jobStatus=SCHEDULED", &[waiting]),
    ] {
        demand_listed(bench, "JOB-040", filter, &ids, expected).await?;
    }
    Ok(())
}

async fn empty_filter(bench: &mut Bench) -> Checked {
    let ids = [waiting_twin(bench).await?, waiting_method(bench).await?];
    let all: Vec<&String> = ids.iter().collect();
    demand_listed(bench, "JOB-041", "?jobType=&jobStatus=", &ids, &all).await
}

async fn pages(bench: &mut Bench) -> Checked {
    demand_pages(bench, 1).await
}

async fn pages_of_two(bench: &mut Bench) -> Checked {
    demand_pages(bench, 2).await
}

/// Three jobs that wait, on pages of `size`.
async fn demand_pages(bench: &mut Bench, size: usize) -> Checked {
    let ids =
        [waiting_twin(bench).await?, waiting_method(bench).await?, waiting_twin(bench).await?];
    let all: Vec<&String> = ids.iter().collect();
    listed(bench, "JOB-037", "?jobStatus=scheduled", &ids, &all).await?;
    let pages = pages_of(bench, "JOB-042", "?jobStatus=scheduled", Some(size)).await?;
    let largest = pages.iter().map(Vec::len).max().unwrap_or_default();
    bench.demand("JOB-042", largest <= size, format!("at most {size} jobs"), largest.to_string());
    let mut found = own(&pages, &ids);
    found.sort();
    let mut expected = ids.to_vec();
    expected.sort();
    bench.equal("JOB-042", "own jobs of all pages", expected, found);
    Ok(())
}

/// How often a second page may repeat the first: a job that others create meanwhile moves the rest
/// on by one.
const REPEATED_PAGES_MAX: usize = 5;

/// What can be seen of pages while others create jobs too.
async fn next_page(bench: &mut Bench) -> Checked {
    let ids = [waiting_twin(bench).await?, waiting_method(bench).await?];
    let all: Vec<&String> = ids.iter().collect();
    listed(bench, "JOB-037", "", &ids, &all).await?;
    let (mut holds, mut seen) = (false, String::new());
    for _ in 0..REPEATED_PAGES_MAX {
        let first = page(bench, "", Some(1), None).await?;
        let Some(token) = first.header("x-ms-continuation").map(str::to_owned) else {
            seen = format!("{first}, without x-ms-continuation");
            break;
        };
        let second = page(bench, "", Some(1), Some(&token)).await?;
        seen = format!("{first}, then {second}");
        let (first, second) = (names(&first), names(&second));
        holds = first.len() == 1 && second.len() == 1 && first != second;
        let is_repeated = first.len() == 1 && first == second;
        if !is_repeated {
            break;
        }
    }
    let allowed = "a page of one job that leads to a page of another one";
    bench.demand("JOB-042", holds, allowed, seen);
    Ok(())
}

/// The ids of the jobs of a page.
fn names(answer: &Answer) -> Vec<String> {
    let jobs = jobs(answer).unwrap_or_default();
    jobs.iter().map(|job| at(job, "/jobId").as_str().unwrap_or_default().to_owned()).collect()
}

async fn last_page(bench: &mut Bench) -> Checked {
    let ids = [waiting_method(bench).await?, waiting_method(bench).await?];
    let all: Vec<&String> = ids.iter().collect();
    let filter = "?jobType=scheduleDeviceMethod&jobStatus=scheduled";
    listed(bench, "JOB-037", filter, &ids, &all).await?;
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let answer = page(bench, filter, Some(1), token.as_deref()).await?;
        token = answer.header("x-ms-continuation").map(str::to_owned);
        let rows = jobs(&answer).unwrap_or_default();
        let leads_on = token.as_deref().is_some_and(|token| !token.is_empty());
        if !leads_on || rows.is_empty() {
            let holds = token.is_none() && !rows.is_empty();
            let allowed = "a last page with a job and without x-ms-continuation";
            let seen = format!("{answer}, x-ms-continuation {token:?}");
            bench.demand("JOB-043", holds, allowed, seen);
            return Ok(());
        }
    }
    bench.demand("JOB-043", false, "a last page", format!("{PAGES_MAX} pages"));
    Ok(())
}

async fn item_type(bench: &mut Bench) -> Checked {
    let id = waiting_twin(bench).await?;
    let ids = [id];
    let [id] = &ids;
    listed(bench, "JOB-037", "", &ids, &[id]).await?;
    let answer = bench.call(Method::GET, PATH, IfMatch::Absent, None).await?;
    demand_item_type(bench, &answer);
    Ok(())
}

async fn item_type_empty(bench: &mut Bench) -> Checked {
    // Nothing has failed on a hub of the case's own; on another one the rows do not matter.
    let path = format!("{PATH}?jobStatus=failed");
    let answer = bench.call(Method::GET, &path, IfMatch::Absent, None).await?;
    demand_item_type(bench, &answer);
    Ok(())
}

fn demand_item_type(bench: &mut Bench, answer: &Answer) {
    let seen = answer.header("x-ms-item-type").unwrap_or("none");
    bench.equal("JOB-045", "x-ms-item-type", "JobResponse", seen);
}

async fn just_cancelled(bench: &mut Bench) -> Checked {
    let ids = [cancelled_twin(bench).await?];
    let [id] = &ids;
    demand_listed(bench, "JOB-046", "?jobStatus=cancelled", &ids, &[id]).await
}
