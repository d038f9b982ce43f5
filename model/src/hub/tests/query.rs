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
    check("registryRead", &[], good, "IotHubUnauthorizedAccess");
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
