//! Defects of queries: of pages, of refusals, and of the language, which are made by rewriting the
//! text that the model gets to see.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use serde_json::{Value, json};
use twinspec_harness::hub::Overlay;

use super::registry::calls::{on_answer, refuse, succeed};
use crate::mutants::Mutant;
use crate::mutants::overlay::{edit_json, on_request};

const ITEM_TYPE: &str = "x-ms-item-type";

const MAX_ITEM_COUNT: &str = "x-ms-max-item-count";

const CONTINUATION: &str = "x-ms-continuation";

/// All of the subject.
pub(super) const MUTANTS: &[&[Mutant]] = &[PAGES, OTHER_PAGES, COLLECTION, LANGUAGE, EDGES];

const PAGES: &[Mutant] = &[
    Mutant {
        id: "query-rows-wrapped",
        title: "The rows are wrapped in an object",
        requirements: &["QRY-001"],
        overlay: || {
            on_rows(|response| {
                edit_json(response.body_mut(), |rows| *rows = json!({ "value": rows.take() }));
            })
        },
    },
    Mutant {
        id: "query-empty-null",
        title: "An empty result is null",
        requirements: &["QRY-002"],
        overlay: || {
            on_rows(|response| {
                if response.body().as_ref() == b"[]" {
                    *response.body_mut() = Bytes::from_static(b"null");
                }
            })
        },
    },
    Mutant {
        id: "query-item-type-missing",
        title: "Whole twins come without x-ms-item-type",
        requirements: &["QRY-004"],
        overlay: || {
            on_rows(|response| {
                response.headers_mut().remove(ITEM_TYPE);
            })
        },
    },
    Mutant {
        id: "query-item-type-always-twin",
        title: "The rows of a count are called Twin",
        requirements: &["QRY-006"],
        overlay: || on_rows(|response| set_header(response, ITEM_TYPE, "Twin")),
    },
    Mutant {
        id: "query-item-type-small-letters",
        title: "x-ms-item-type is written in small letters",
        requirements: &["QRY-007"],
        overlay: || {
            on_rows(|response| {
                let is_twin = response.headers().get(ITEM_TYPE).is_some_and(|t| t == "Twin");
                set_header(response, ITEM_TYPE, if is_twin { "twin" } else { "raw" });
            })
        },
    },
    Mutant {
        id: "query-page-size-ignored",
        title: "Every page is as large as it can be",
        requirements: &["QRY-008"],
        overlay: || {
            on_request(|request| {
                request.headers_mut().remove(MAX_ITEM_COUNT);
            })
        },
    },
    Mutant {
        id: "query-first-page-only",
        title: "The first page has no token although there are more",
        requirements: &["QRY-009"],
        overlay: || {
            on_rows(|response| {
                response.headers_mut().remove(CONTINUATION);
            })
        },
    },
    Mutant {
        id: "query-last-page-empty-token",
        title: "The last page carries an empty token",
        requirements: &["QRY-010"],
        overlay: || {
            on_rows(|response| {
                if !response.headers().contains_key(CONTINUATION) {
                    set_header(response, CONTINUATION, "");
                }
            })
        },
    },
    Mutant {
        id: "query-missing-text-taken",
        title: "A body without a query is answered with nothing",
        requirements: &["QRY-013"],
        overlay: || on_refusals("ArgumentNull", |response| succeed(response, &json!([]))),
    },
    Mutant {
        id: "query-syntax-taken",
        title: "A text that breaks the grammar is answered with nothing",
        requirements: &["QRY-014"],
        overlay: || on_refusals("ArgumentInvalid", |response| succeed(response, &json!([]))),
    },
    Mutant {
        id: "query-long-text-cut",
        title: "A query that is too long is cut",
        requirements: &["QRY-015"],
        overlay: || rewriting(|text| text.chars().take(8192).collect()),
    },
    Mutant {
        id: "query-without-credentials-forbidden",
        title: "A query without credentials is answered with 403",
        requirements: &["QRY-016"],
        overlay: || {
            on_refusals("IotHubUnauthorizedAccess", |response| {
                refuse(response, 403, "IotHubUnauthorizedAccess");
            })
        },
    },
    Mutant {
        id: "query-rows-without-etag",
        title: "Rows of twins have no etag",
        requirements: &["QRY-072"],
        overlay: || {
            on_rows(|response| {
                edit_json(response.body_mut(), |rows| {
                    for row in rows.as_array_mut().into_iter().flatten() {
                        row.as_object_mut().and_then(|row| row.remove("etag"));
                    }
                });
            })
        },
    },
];

/// Defects of pages of other rows than device twins.
const OTHER_PAGES: &[Mutant] = &[
    Mutant {
        id: "query-projections-on-one-page",
        title: "Projections come on one page",
        requirements: &["QRY-008"],
        overlay: || without_header("SELECT deviceId FROM devices", MAX_ITEM_COUNT),
    },
    Mutant {
        id: "query-groups-on-one-page",
        title: "Groups come on one page",
        requirements: &["QRY-008"],
        overlay: || without_header("GROUP BY", MAX_ITEM_COUNT),
    },
    Mutant {
        id: "query-modules-first-page-again",
        title: "The page after the first one of modules is the first one",
        requirements: &["QRY-009"],
        overlay: || without_header("FROM devices.modules", CONTINUATION),
    },
    Mutant {
        id: "query-job-rows-first-page-again",
        title: "The page after the first one of rows of jobs is the first one",
        requirements: &["QRY-009"],
        overlay: || without_header("FROM devices.jobs", CONTINUATION),
    },
    Mutant {
        id: "query-item-type-first-page-only",
        title: "Only the first page says what its rows are",
        requirements: &["QRY-004", "QRY-005"],
        overlay: || {
            on_answer(
                |request| is_query(request) && request.headers().contains_key(CONTINUATION),
                |response| drop(response.headers_mut().remove(ITEM_TYPE)),
            )
        },
    },
];

/// Hides a header of queries with `words` in them.
fn without_header(words: &'static str, header: &'static str) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_query(request) && String::from_utf8_lossy(request.body()).contains(words) {
            request.headers_mut().remove(header);
        }
    })
}

/// A defect of the language: what the model reads instead of what was asked.
macro_rules! misread {
    ($id:literal, $title:literal, $requirement:literal, $asked:literal => $read:literal) => {
        Mutant {
            id: $id,
            title: $title,
            requirements: &[$requirement],
            overlay: || rewriting(|text| text.replace($asked, $read)),
        }
    };
}

/// Defects that concern whole collections.
const COLLECTION: &[Mutant] = &[
    Mutant {
        id: "query-member-with-case",
        title: "The member Query is not seen",
        requirements: &["QRY-003"],
        overlay: || {
            on_request(|request| {
                if is_query(request) {
                    edit_json(request.body_mut(), |body| {
                        body.as_object_mut().and_then(|body| body.remove("Query"));
                    });
                }
            })
        },
    },
    Mutant {
        id: "query-jobs-raw",
        title: "Rows of jobs are called Raw",
        requirements: &["QRY-005"],
        overlay: || on_rows(|response| rename_item_type(response, "DeviceJob", "Raw")),
    },
    Mutant {
        id: "query-jobs-item-type-other-case",
        title: "Rows of jobs are called deviceJob",
        requirements: &["QRY-007"],
        overlay: || on_rows(|response| rename_item_type(response, "DeviceJob", "deviceJob")),
    },
    Mutant {
        id: "query-page-of-100-refused",
        title: "Pages of 100 are refused as too large",
        requirements: &["QRY-011"],
        overlay: || {
            on_answer(
                |request| {
                    is_query(request)
                        && request.headers().get(MAX_ITEM_COUNT).is_some_and(|size| size == "100")
                },
                |response| refuse(response, 400, "ArgumentInvalid"),
            )
        },
    },
    Mutant {
        id: "query-corrupt-token-ignored",
        title: "A token that cannot be read begins again",
        requirements: &["QRY-012"],
        overlay: || {
            on_request(|request| {
                let is_corrupt =
                    request.headers().get(CONTINUATION).is_some_and(|token| token.len() < 20);
                if is_query(request) && is_corrupt {
                    request.headers_mut().remove(CONTINUATION);
                }
            })
        },
    },
    Mutant {
        id: "query-overload-unavailable",
        title: "Overload with queries is answered 503",
        requirements: &["QRY-018"],
        overlay: || {
            on_refusals("ThrottlingException", |response| {
                refuse(response, 503, "ServiceUnavailable");
            })
        },
    },
    misread!("query-jobs-type-ignored", "The type of a job is not looked at", "QRY-064", " AND devices.jobs.jobType = 'scheduleDeviceMethod'" => ""),
    misread!("query-jobs-device-ignored", "The device of a row of a job is not looked at", "QRY-064", " AND devices.jobs.deviceId =" => " AND devices.jobs.jobType !="),
    misread!("query-other-than-jobs", "Queries do not see NOT where jobs do", "QRY-073", "(NOT tags.kind = 'valve'" => "(tags.kind = 'valve'"),
    Mutant {
        id: "query-jobs-condition-loose",
        title: "Jobs read OR as true where queries do not",
        requirements: &["QRY-073"],
        overlay: || {
            on_request(|request| {
                if request.method() == Method::PUT && request.uri().path().starts_with("/jobs/v2/")
                {
                    edit_json(request.body_mut(), |body| {
                        if let Some(Value::String(text)) = body.get_mut("queryCondition") {
                            *text = text.replace("IN ['south'] OR", "IN ['south'] OR true OR");
                        }
                    });
                }
            })
        },
    },
    misread!("query-first-device-only", "SELECT * shows one device", "QRY-030", "SELECT * FROM devices" => "SELECT TOP 1 * FROM devices"),
    misread!("query-modules-among-devices", "devices means modules", "QRY-030", "SELECT * FROM devices" => "SELECT * FROM devices.modules"),
    misread!("query-old-tags", "Conditions look at tags as they first were", "QRY-017", "tags.stage = 'after'" => "tags.stage = 'before'"),
];

const LANGUAGE: &[Mutant] = &[
    misread!("query-small-or-lost", "Small or means and", "QRY-031", " or " => " AND "),
    misread!("query-count-of-versions", "COUNT shows a version", "QRY-032", "SELECT COUNT()" => "SELECT MIN(version)"),
    misread!("query-equal-any", "= on tags means any", "QRY-033", "region = 'north'" => "region != ''"),
    misread!("query-or-and", "OR means AND", "QRY-034", " OR " => " AND "),
    misread!("query-parentheses-lost", "Parentheses are not seen", "QRY-034", "(tags.kind = 'valve' OR tags.kind = 'gate')" => "tags.kind = 'valve' OR tags.kind = 'pump'"),
    misread!("query-at-least-more", ">= means >", "QRY-035", ">=" => ">"),
    misread!("query-other-than-equal", "<> means =", "QRY-036", "<>" => "="),
    misread!("query-in-first-only", "IN looks at the first element only", "QRY-037", "['valve', 'pump']" => "['valve']"),
    misread!("query-defined-always", "IS_DEFINED is always true", "QRY-039", "IS_DEFINED(tags.site.bay)" => "true"),
    misread!("query-missing-is-small", "A missing number is smaller than any other", "QRY-040", "tags.site.bay < 100" => "true"),
    misread!("query-two-paths-never", "Two properties are never equal", "QRY-043", "properties.desired.cap" => "undefined"),
    misread!("query-double-quotes-other", "Double quotes are part of the string", "QRY-046", "\"north\"" => "'\"north\"'"),
    misread!("query-escape-doubled", "A backslash is a character like any other", "QRY-047", "\\" => "\\\\"),
    misread!("query-brackets-in-name", "Brackets are part of the name", "QRY-051", "[[group]]" => "[[[group]]"),
    misread!("query-tags-any-case", "Names of tags are found in any case", "QRY-052", "tags.kind = 'pump'" => "(tags.kind = 'pump' OR tags.Kind = 'pump')"),
    misread!("query-roots-with-case", "Root names are found in their own case only", "QRY-053", "DeviceId =" => "tags.DeviceId ="),
    misread!("query-keys-as-typed", "Projected names come back as they were typed", "QRY-054", "SELECT DeviceId, STATUS" => "SELECT DeviceId AS DeviceId, STATUS AS STATUS"),
    misread!("query-alias-ignored", "AS gives another name than the one asked for", "QRY-055", "AS total" => "AS count1"),
    misread!("query-groups-of-one", "Every device is a group of its own", "QRY-057", "GROUP BY tags.kind" => "GROUP BY deviceId"),
    misread!("query-version-unknown", "$version is no member", "QRY-069", "$version" => "$none"),
    misread!("query-string-number", "A string equals the number in it", "QRY-042", "tags.v = 60" => "(tags.v = 60 OR tags.v = '60')"),
    misread!("query-text-is-true", "A string is a condition that holds", "QRY-044", "('abc')" => "(true)"),
    misread!("query-true-is-text", "Boolean constants are strings", "QRY-045", "= true" => "= 'true'"),
    misread!("query-hexadecimal-zero", "A hexadecimal number is zero", "QRY-048", "0x7" => "0"),
    misread!("query-remainder-divides", "% divides", "QRY-049", " % " => " / "),
    misread!("query-or-before-and", "OR binds before AND", "QRY-050", "tags.name = 'elm-1' OR tags.on = true" => "(tags.name = 'elm-1' OR tags.on = true)"),
    misread!("query-key-of-first-segment", "A projected path has the name of its first segment", "QRY-056", "tags.site.Row" => "tags.site.Row AS tags"),
    misread!("query-mean-largest", "AVG shows the largest", "QRY-058", "AVG(" => "MAX("),
    misread!("query-prefix-whole", "STARTSWITH compares the whole string", "QRY-059", "'oak')" => "'oak-1')"),
    misread!("query-routing-prefix-taken", "STARTS_WITH works too", "QRY-060", "STARTS_WITH" => "STARTSWITH"),
    misread!("query-modules-of-all-names", "moduleId is not looked at", "QRY-062", "AND moduleId = 'left'" => ""),
    misread!("query-prefixed-device-unknown", "The prefix devices is a member that is missing", "QRY-063", "devices.deviceId" => "tags.devices.deviceId"),
    misread!("query-jobs-projected", "Projections of jobs are those of devices", "QRY-065", "SELECT deviceId FROM devices.jobs" => "SELECT deviceId FROM devices"),
    misread!("query-parentheses-for-brackets", "IN takes parentheses", "QRY-066", "('elm-1')" => "['elm-1']"),
    misread!("query-object-equals", "An object equals every string", "QRY-071", "tags.v = 'x'" => "IS_DEFINED(tags.v)"),
    misread!("query-nin-means-in", "NIN means IN", "QRY-038", " NIN " => " IN "),
    misread!("query-configurations-unknown", "A path to the state of a configuration is refused", "QRY-070", "configurations.[[" => "configurations[["),
    Mutant {
        id: "query-deep-nesting-fails",
        title: "Thousands of parentheses end in an internal error",
        requirements: &["QRY-014"],
        overlay: || failing("(((((((((("),
    },
    Mutant {
        id: "query-far-too-long-fails",
        title: "A query of a megabyte ends in an internal error",
        requirements: &["QRY-015"],
        overlay: || failing("xxxxxxxxxx"),
    },
    misread!("query-other-clauses-ignored", "ORDER BY is read over", "QRY-067", " ORDER BY deviceId" => ""),
    misread!("query-top-one-less", "TOP shows one row less", "QRY-068", "TOP 2" => "TOP 1"),
    Mutant {
        id: "query-nin-fails",
        title: "NIN ends in an internal error",
        requirements: &["QRY-041"],
        overlay: || failing(" NIN "),
    },
    Mutant {
        id: "query-unknown-function-fails",
        title: "A function that nobody knows ends in an internal error",
        requirements: &["QRY-061"],
        overlay: || failing("LENGTH("),
    },
];

/// Defects that only some values bring to light.
const EDGES: &[Mutant] = &[
    Mutant {
        id: "query-disabled-left-out",
        title: "Devices that are disabled are not found",
        requirements: &["QRY-030"],
        overlay: || leaving_out(|row| row["status"] == "disabled"),
    },
    Mutant {
        id: "query-untouched-left-out",
        title: "Devices whose twin nobody has written are not found",
        requirements: &["QRY-030"],
        overlay: || leaving_out(|row| row["version"] == 2),
    },
    misread!("query-zero-undefined", "Zero is not defined", "QRY-039", "IS_DEFINED(tags.n)" => "(IS_DEFINED(tags.n) AND tags.n != 0)"),
    misread!("query-false-undefined", "False is not defined", "QRY-039", "IS_DEFINED(tags.on)" => "tags.on = true"),
    misread!("query-empty-text-undefined", "An empty text is not defined", "QRY-039", "IS_DEFINED(tags.text)" => "(IS_DEFINED(tags.text) AND tags.text != '')"),
    misread!("query-arrays-undefined", "Arrays are not defined", "QRY-039", "IS_DEFINED(tags.list)" => "false"),
    misread!("query-zero-equals-nothing", "Nothing equals zero", "QRY-035", "tags.n = 0" => "false"),
    misread!("query-empty-text-equals-nothing", "Nothing equals an empty text", "QRY-033", "tags.text = ''" => "false"),
    misread!("query-missing-at-most", "A missing number is at most any other", "QRY-040", "tags.n <= 100" => "(tags.n <= 100 OR NOT IS_DEFINED(tags.n))"),
    misread!("query-missing-below", "A missing number is below zero", "QRY-040", "tags.n < 0" => "(tags.n < 0 OR NOT IS_DEFINED(tags.n))"),
    misread!("query-fractions-cut", "Numbers lose their fraction when they are compared", "QRY-035", "tags.n > 2" => "tags.n >= 3"),
    misread!("query-numbers-of-24-bits", "Numbers are compared with 24 bits", "QRY-035", "tags.count = 16777217" => "(tags.count = 16777216 OR tags.count = 16777217)"),
    misread!("query-constant-left-swapped", "A constant on the left is read as one on the right", "QRY-035", "2.5 < tags.n" => "tags.n < 2.5"),
    misread!("query-strings-any-case", "Strings are equal in any case", "QRY-033", "tags.word = 'pump'" => "tags.word IN ['pump', 'Pump']"),
    misread!("query-strings-padded", "Blanks at the end of a string do not count", "QRY-033", "tags.word = 'pump'" => "tags.word IN ['pump', 'pump ']"),
    misread!("query-words-in-strings", "AND inside a string joins conditions", "QRY-033", "'pump AND valve'" => "'pump' AND 'valve'"),
    misread!("query-in-first-five", "IN looks at the first five elements", "QRY-037", ", 'w6', 'w7', 'w8', 'w9', 'last']" => "]"),
    misread!("query-whole-quotients", "A quotient loses its fraction", "QRY-049", "tags.n / 2 = 2.5" => "tags.n / 2 = 2"),
    misread!("query-differences-from-the-right", "Differences are taken from right to left", "QRY-049", "10 - tags.n - 2" => "10 - (tags.n - 2)"),
    misread!("query-hexadecimal-small-only", "Hexadecimal digits are small letters", "QRY-048", "0xFF" => "0"),
    misread!("query-largest-from-zero", "The largest number is at least zero", "QRY-058", "MAX(tags.rate) AS hi" => "SUM(tags.none) AS hi"),
    misread!("query-groups-before-condition", "Groups are made before the condition is looked at", "QRY-057", "AND tags.site = 'n'" => ""),
];

/// An overlay that answers queries with `words` in them 500.
fn failing(words: &'static str) -> Box<dyn Overlay> {
    on_answer(
        move |request| is_query(request) && String::from_utf8_lossy(request.body()).contains(words),
        |response| refuse(response, 500, "ServerError"),
    )
}

/// Gives rows of the type `from` the type `to`.
fn rename_item_type(response: &mut Response<Bytes>, from: &str, to: &'static str) {
    if response.headers().get(ITEM_TYPE).is_some_and(|seen| seen == from) {
        set_header(response, ITEM_TYPE, to);
    }
}

fn is_query(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/devices/query"
}

/// Edits answers to queries that succeed.
fn on_rows(mut edit: impl FnMut(&mut Response<Bytes>) + Send + 'static) -> Box<dyn Overlay> {
    on_answer(is_query, move |response| {
        if response.status().is_success() {
            edit(response);
        }
    })
}

/// Leaves rows out.
fn leaving_out(is_left_out: fn(&Value) -> bool) -> Box<dyn Overlay> {
    on_rows(move |response| {
        edit_json(response.body_mut(), |rows| {
            if let Value::Array(rows) = rows {
                rows.retain(|row| !is_left_out(row));
            }
        });
    })
}

/// Edits refusals of queries with the code `name`.
fn on_refusals(
    name: &'static str,
    mut edit: impl FnMut(&mut Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_answer(is_query, move |response| {
        if response.headers().get("iothub-errorcode").is_some_and(|code| code == name) {
            edit(response);
        }
    })
}

/// Has the model read another text than the one that was asked.
fn rewriting(rewrite: impl Fn(&str) -> String + Send + 'static) -> Box<dyn Overlay> {
    on_request(move |request| {
        if is_query(request) {
            edit_json(request.body_mut(), |body| {
                if let Some(Value::String(text)) = body.get_mut("query") {
                    *text = rewrite(text);
                }
            });
        }
    })
}

fn set_header(response: &mut Response<Bytes>, name: &'static str, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
