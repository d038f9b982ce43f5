//! Queries over HTTP: pages, headers, refusals.

use http::HeaderMap;

use super::*;

impl Bench {
    /// Asks with the rights of `policy` and further headers.
    fn ask(
        &mut self,
        policy: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let policy = self.hub.policies().iter().find(|p| p.name == policy).unwrap();
        let expiry = self.now.after(Duration::from_secs(60));
        let token = auth::sign(&policy.primary_key, HOST, expiry, Some(&policy.name)).unwrap();
        let mut request = http::Request::builder()
            .method(Method::POST)
            .uri("/devices/query?api-version=2021-04-12")
            .header(http::header::AUTHORIZATION, token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_string())).unwrap();
        let outputs = self.hub.handle(self.now, Input::Request(ExchangeId(0), request));
        match outputs.into_iter().last() {
            Some(Output::Respond(_, response)) => {
                let (parts, body) = response.into_parts();
                (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
            }
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The ids of all pages of `query`, page by page.
    fn pages(&mut self, query: &str, size: &str) -> Vec<Vec<String>> {
        let body = json!({ "query": query });
        let mut token = String::new();
        let mut pages = Vec::new();
        loop {
            let headers = [("x-ms-max-item-count", size), ("x-ms-continuation", &token)];
            let (status, headers, rows) = self.ask("service", &headers, &body);
            assert_eq!(status, StatusCode::OK, "{rows}");
            let id = |row: &Value| row["deviceId"].as_str().unwrap_or("?").to_owned();
            pages.push(rows.as_array().unwrap().iter().map(id).collect());
            match headers.get("x-ms-continuation") {
                Some(next) => token = next.to_str().unwrap().to_owned(),
                None => return pages,
            }
        }
    }
}

fn fleet() -> Bench {
    let mut bench = Bench::new();
    for (device, bay) in [("d1", 1), ("d2", 1), ("d3", 2), ("d4", 1)] {
        bench.device(device);
        let body = json!({ "tags": { "bay": bay } });
        let (status, _) = bench.call(Method::PATCH, &format!("/twins/{device}"), &body);
        assert_eq!(status, StatusCode::OK);
    }
    let (status, _) = bench.call(Method::PUT, "/devices/d1/modules/m", &json!({}));
    assert_eq!(status, StatusCode::OK);
    bench
}

#[test]
fn pages_hold_each_row_once_and_the_last_one_has_no_token_even_when_it_is_full() {
    let mut bench = fleet();
    assert_eq!(bench.pages("SELECT * FROM devices", "2"), [["d1", "d2"], ["d3", "d4"]]);
    let pages = bench.pages("SELECT deviceId FROM devices WHERE tags.bay = 1", "2");
    assert_eq!(pages, [vec!["d1", "d2"], vec!["d4"]]);
    assert_eq!(bench.pages("SELECT TOP 3 * FROM devices", "2"), [vec!["d1", "d2"], vec!["d3"]]);
    assert_eq!(bench.pages("SELECT TOP 2 * FROM devices", "2"), [["d1", "d2"]]);
    assert_eq!(bench.pages("SELECT * FROM devices.modules", "0"), [["d1"]]);
    let grouped = "SELECT tags.bay AS bay, COUNT() AS n FROM devices GROUP BY tags.bay";
    assert_eq!(bench.pages(grouped, "1").len(), 2);
}

#[test]
fn rows_say_what_they_are_and_whole_rows_are_the_twins() {
    let mut bench = fleet();
    let expected = [
        ("SELECT * FROM devices WHERE deviceId = 'd1'", "Twin"),
        ("SELECT deviceId FROM devices", "Raw"),
        ("SELECT COUNT() AS n FROM devices WHERE tags.bay = 9", "Raw"),
        ("SELECT * FROM devices.jobs", "DeviceJob"),
    ];
    for (query, item_type) in expected {
        let (_, headers, _) = bench.ask("service", &[], &json!({ "Query": query }));
        assert_eq!(headers["x-ms-item-type"], item_type, "{query}");
    }
    let body = json!({ "query": "SELECT * FROM devices WHERE deviceId = 'd1'" });
    let (_, _, rows) = bench.ask("service", &[], &body);
    assert_eq!(rows, json!([bench.call(Method::GET, "/twins/d1", &json!(null)).1]));
}

#[test]
fn refusals_carry_the_documented_codes() {
    let mut bench = fleet();
    let mut check = |policy: &str, headers: &[(&'static str, &str)], body: Value, code: &str| {
        let (_, answered, _) = bench.ask(policy, headers, &body);
        assert_eq!(answered["iothub-errorcode"], code, "{body}");
    };
    let good = json!({ "query": "SELECT * FROM devices" });
    check("service", &[], json!({}), "ArgumentNull");
    check("service", &[], json!({ "query": 7 }), "ArgumentInvalid");
    check("service", &[], json!({ "query": "SELECT" }), "ArgumentInvalid");
    check("service", &[("x-ms-continuation", "x")], good.clone(), "ArgumentInvalid");
    check("service", &[("x-ms-max-item-count", "x")], good.clone(), "ArgumentInvalid");
    check("service", &[("x-ms-max-item-count", "-")], good.clone(), "ArgumentInvalid");
    check("service", &[("x-ms-max-item-count", "1.5")], good.clone(), "ArgumentInvalid");
    check("registryRead", &[], good, "IotHubUnauthorizedAccess");
}

#[test]
fn a_page_size_out_of_range_is_taken_for_the_nearest_one() {
    let mut bench = fleet();
    let query = json!({ "query": "SELECT * FROM devices" });
    let mut rows = |size: &str| {
        let headers = [("x-ms-max-item-count", size)];
        bench.ask("service", &headers, &query).2.as_array().map(Vec::len)
    };
    let all = rows("100");
    assert!(all > Some(1));
    for large in ["101", "+101", "9223372036854775808", "99999999999999999999999999"] {
        assert_eq!(rows(large), all, "{large}");
    }
    for small in ["0", "-1", "-0", "-99999999999999999999999999"] {
        assert_eq!(rows(small), Some(1), "{small}");
    }
}

#[test]
fn a_token_is_good_for_its_own_query_only() {
    let mut bench = fleet();
    let size = ("x-ms-max-item-count", "1");
    let (_, headers, _) =
        bench.ask("service", &[size], &json!({ "query": "SELECT * FROM devices" }));
    let token = headers["x-ms-continuation"].to_str().unwrap();
    let other = json!({ "query": "SELECT deviceId FROM devices" });
    let (status, ..) = bench.ask("service", &[size, ("x-ms-continuation", token)], &other);
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[test]
fn a_page_begins_where_the_one_before_stopped_looking() {
    let mut bench = fleet();
    let query = json!({ "query": "SELECT * FROM devices WHERE tags.bay = 1" });
    let size = ("x-ms-max-item-count", "2");
    let (_, headers, _) = bench.ask("service", &[size], &query);
    let token = headers["x-ms-continuation"].to_str().unwrap();
    // The page before looked at d3 already; what it becomes now is not looked at again.
    let body = json!({ "tags": { "bay": 1 } });
    bench.call(Method::PATCH, "/twins/d3", &body);
    let (_, headers, rows) = bench.ask("service", &[size, ("x-ms-continuation", token)], &query);
    let ids: Vec<&str> =
        rows.as_array().unwrap().iter().flat_map(|r| r["deviceId"].as_str()).collect();
    assert_eq!(ids, ["d4"]);
    assert!(!headers.contains_key("x-ms-continuation"));
}

/// All paths of `value` below `path`, the one to `value` itself included.
fn paths(value: &Value, path: &[String], all: &mut Vec<Vec<String>>) {
    all.push(path.to_vec());
    for (name, member) in value.as_object().into_iter().flatten() {
        paths(member, &[path, std::slice::from_ref(name)].concat(), all);
    }
}

#[test]
fn a_query_finds_in_a_stored_twin_what_its_document_shows() {
    use crate::identity::Identity;
    use crate::query::{Row, TWIN_MEMBERS};

    let mut bench = fleet();
    let body = json!({
        "tags": { "note": "x", "site": { "bay": 7, "list": [1, "a", { "b": 2 }] } },
        "properties": { "desired": { "rate": 1.5, "flags": { "on": true }, "empty": {} } },
    });
    bench.call(Method::PATCH, "/twins/d1", &body);
    bench.call(Method::PATCH, "/twins/d1/modules/m", &body);
    for identity in [Identity::device("d1"), Identity::device("d2"), Identity::module("d1", "m")] {
        let entity = &bench.hub.entities[&identity];
        let document = entity.twin_json();
        let mut all = Vec::new();
        paths(&document, &[], &mut all);
        all.extend(TWIN_MEMBERS.map(|name| vec![name.to_owned()]));
        for path in all.clone() {
            all.push([path, vec!["no".to_owned()]].concat());
        }
        for path in all {
            let Some((root, rest)) = path.split_first() else { continue };
            assert_eq!(entity.look(root, rest), document.look(root, rest), "{path:?}");
        }
    }
}
