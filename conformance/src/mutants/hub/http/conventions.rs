//! Defects of versions, headers and paths (HUB-HTTP-001 to -004, -009 to -012, -015).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use twinspec_harness::hub::Overlay;

use crate::mutants::Mutant;
use crate::mutants::hub::registry::calls::{
    on_answer, refuse, renaming, set_path, set_query, succeed,
};
use crate::mutants::overlay::{edit_json, on_exchange, on_request, on_response, set};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "http-version-missing-taken",
        title: "A request without api-version is taken for one of the current version",
        requirements: &["HUB-HTTP-001"],
        overlay: || {
            on_request(|request| {
                if !query(request).contains("api-version=") {
                    set_query(request, CURRENT);
                }
            })
        },
    },
    Mutant {
        id: "http-version-missing-taken-elsewhere",
        title: "Jobs, configurations, queries and methods need no api-version",
        requirements: &["HUB-HTTP-001"],
        overlay: || {
            on_request(|request| {
                if is_elsewhere(request) && !query(request).contains("api-version=") {
                    set_query(request, CURRENT);
                }
            })
        },
    },
    Mutant {
        id: "http-version-unsupported-taken-elsewhere",
        title: "Jobs, configurations, queries and methods are served at any api-version",
        requirements: &["HUB-HTTP-002"],
        overlay: || {
            on_request(|request| {
                if is_elsewhere(request) {
                    set_query(request, CURRENT);
                }
            })
        },
    },
    Mutant {
        id: "http-version-missing-generic",
        title: "A request without api-version is refused as GenericBadRequest",
        requirements: &["HUB-HTTP-001"],
        overlay: || {
            let misses = |request: &Request<Bytes>| !query(request).contains("api-version=");
            on_answer(misses, |response| refuse(response, 400, "GenericBadRequest"))
        },
    },
    Mutant {
        id: "http-version-unsupported-taken",
        title: "A request of an unsupported api-version is taken",
        requirements: &["HUB-HTTP-002"],
        overlay: || {
            on_request(|request| {
                if query(request).contains("1999") {
                    set_query(request, CURRENT);
                }
            })
        },
    },
    Mutant {
        id: "http-version-unsupported-not-found",
        title: "A request of an unsupported api-version is refused with 404",
        requirements: &["HUB-HTTP-002"],
        overlay: || {
            let is_old = |request: &Request<Bytes>| query(request).contains("1999");
            on_answer(is_old, |response| refuse(response, 404, "GenericNotFound"))
        },
    },
    Mutant {
        id: "http-version-words-taken",
        title: "An api-version that is no date is taken for the current one",
        requirements: &["HUB-HTTP-002"],
        overlay: || taking(|version| version.starts_with(|c: char| c.is_ascii_alphabetic())),
    },
    Mutant {
        id: "http-version-empty-taken",
        title: "An empty api-version is taken for the current one",
        requirements: &["HUB-HTTP-002"],
        overlay: || taking(str::is_empty),
    },
    Mutant {
        id: "http-version-beginning-taken",
        title: "An api-version that begins with a served one is taken",
        requirements: &["HUB-HTTP-002"],
        overlay: || taking(|version| version.starts_with("2021-04-12")),
    },
    Mutant {
        id: "http-version-no-such-day-taken",
        title: "An api-version that is a date in no calendar is taken",
        requirements: &["HUB-HTTP-002"],
        overlay: || taking(|version| version.len() == 10 && version > "2021-12-31"),
    },
    Mutant {
        id: "http-version-not-for-deletions",
        title: "The current api-version is not supported for DELETEs of devices",
        requirements: &["HUB-HTTP-003"],
        overlay: || {
            unsupported(|method, path| method == Method::DELETE && path.matches('/').count() == 2)
        },
    },
    Mutant {
        id: "http-version-not-for-the-purge",
        title: "The current api-version is not supported for the purge of messages",
        requirements: &["HUB-HTTP-003"],
        overlay: || unsupported(|_, path| path.ends_with("/commands")),
    },
    Mutant {
        id: "http-version-not-for-module-lists",
        title: "The current api-version is not supported for lists of modules",
        requirements: &["HUB-HTTP-003"],
        overlay: || unsupported(|_, path| path.ends_with("/modules")),
    },
    Mutant {
        id: "http-version-not-for-twin-puts",
        title: "The current api-version is not supported for PUTs of twins",
        requirements: &["HUB-HTTP-003"],
        overlay: || unsupported(|method, path| method == Method::PUT && path.starts_with("/twins")),
    },
    Mutant {
        id: "http-version-not-for-statistics",
        title: "The current api-version is not supported for the count of connected devices",
        requirements: &["HUB-HTTP-003"],
        overlay: || unsupported(|_, path| path == "/statistics/service"),
    },
    Mutant {
        id: "http-json-type-missing",
        title: "Entities have no content type",
        requirements: &["HUB-HTTP-004"],
        overlay: || {
            on_response(|response| {
                if response.status() == StatusCode::OK {
                    response.headers_mut().remove(CONTENT_TYPE);
                }
            })
        },
    },
    Mutant {
        id: "http-json-type-text-of-errors",
        title: "Errors have the content type of plain text",
        requirements: &["HUB-HTTP-004"],
        overlay: || {
            on_response(|response| {
                if !response.status().is_success() {
                    let plain = HeaderValue::from_static("text/plain");
                    response.headers_mut().insert(CONTENT_TYPE, plain);
                }
            })
        },
    },
    Mutant {
        id: "http-json-type-missing-on-412",
        title: "Refusals of an outdated etag have no content type",
        requirements: &["HUB-HTTP-004"],
        overlay: || {
            on_response(|response| {
                if response.status() == StatusCode::PRECONDITION_FAILED {
                    response.headers_mut().remove(CONTENT_TYPE);
                }
            })
        },
    },
    Mutant {
        id: "http-json-type-missing-on-bulk-failures",
        title: "Bulk calls that fail have no content type",
        requirements: &["HUB-HTTP-004"],
        overlay: || {
            let is_bulk = |request: &Request<Bytes>| request.uri().path() == "/devices";
            on_answer(is_bulk, |response| {
                if response.status() == StatusCode::BAD_REQUEST {
                    response.headers_mut().remove(CONTENT_TYPE);
                }
            })
        },
    },
    Mutant {
        id: "http-json-type-text-of-method-errors",
        title: "Errors of method calls have the content type of plain text",
        requirements: &["HUB-HTTP-004"],
        overlay: || {
            let is_method = |request: &Request<Bytes>| request.uri().path().ends_with("/methods");
            on_answer(is_method, |response| {
                if !response.status().is_success() {
                    let plain = HeaderValue::from_static("text/plain");
                    response.headers_mut().insert(CONTENT_TYPE, plain);
                }
            })
        },
    },
    Mutant {
        id: "http-request-id-missing",
        title: "Errors carry no request id",
        requirements: &["HUB-HTTP-009"],
        overlay: || {
            on_response(|response| {
                if !response.status().is_success() {
                    response.headers_mut().remove("x-ms-request-id");
                }
            })
        },
    },
    Mutant {
        id: "http-request-id-on-errors-only",
        title: "Answers that are no errors carry no request id",
        requirements: &["HUB-HTTP-009"],
        overlay: || {
            on_response(|response| {
                if response.status().is_success() {
                    response.headers_mut().remove("x-ms-request-id");
                }
            })
        },
    },
    Mutant {
        id: "http-etag-header-missing-on-writes",
        title: "Answers to PUTs and PATCHes have no ETag header",
        requirements: &["HUB-HTTP-010"],
        overlay: || {
            let writes =
                |request: &Request<Bytes>| [Method::PUT, Method::PATCH].contains(request.method());
            on_answer(writes, |response| drop(response.headers_mut().remove(ETAG)))
        },
    },
    Mutant {
        id: "http-etag-header-not-quoted",
        title: "The ETag header has no quotes",
        requirements: &["HUB-HTTP-010"],
        overlay: || {
            on_response(|response| {
                let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
                let bare = etag.map(|etag| HeaderValue::from_str(etag.trim_matches('"')));
                if let Some(Ok(bare)) = bare {
                    response.headers_mut().insert(ETAG, bare);
                }
            })
        },
    },
    Mutant {
        id: "http-path-not-decoded",
        title: "Percent-encoded ids in paths are taken as they are",
        requirements: &["HUB-HTTP-011"],
        overlay: || on_path(|path| path.replace('%', "%25")),
    },
    Mutant {
        id: "http-path-decoded-twice",
        title: "Percent-encoded ids in paths are decoded twice",
        requirements: &["HUB-HTTP-011"],
        overlay: || on_path(|path| path.replace("%25", "%")),
    },
    Mutant {
        id: "http-path-plus-is-blank",
        title: "A plus in a path is taken for a blank",
        requirements: &["HUB-HTTP-011"],
        overlay: || on_path(|path| path.replace('+', "%20")),
    },
    Mutant {
        id: "http-path-plus-decoded-twice",
        title: "An encoded plus in a path is taken for a blank",
        requirements: &["HUB-HTTP-011"],
        overlay: || on_path(|path| path.replace("%2B", "%20")),
    },
    Mutant {
        id: "http-path-module-decoded-twice",
        title: "Percent-encoded ids of modules in paths are decoded twice",
        requirements: &["HUB-HTTP-011"],
        overlay: || {
            on_path(|path| match path.split_once("/modules/") {
                Some((start, end)) => format!("{start}/modules/{}", end.replace("%25", "%")),
                None => path.to_owned(),
            })
        },
    },
    Mutant {
        id: "http-twin-of-missing-device-generic",
        title: "The twin of a missing device is reported as GenericNotFound",
        requirements: &["HUB-HTTP-012"],
        overlay: || renaming("DeviceNotFound", "GenericNotFound", 404),
    },
    Mutant {
        id: "http-twin-of-missing-module-named-device",
        title: "The twin of a missing module is reported as DeviceNotFound",
        requirements: &["HUB-HTTP-012"],
        overlay: || renaming("ModuleNotFound", "DeviceNotFound", 404),
    },
    Mutant {
        id: "http-twin-of-missing-device-patched",
        title: "A PATCH of a missing device's twin is answered 200",
        requirements: &["HUB-HTTP-012"],
        overlay: || {
            let patches = |request: &Request<Bytes>| request.method() == Method::PATCH;
            on_answer(patches, |response| {
                if response.status() == StatusCode::NOT_FOUND {
                    succeed(response, &serde_json::json!({ "properties": {} }));
                }
            })
        },
    },
    Mutant {
        id: "http-unknown-members-refused",
        title: "A PUT of an identity with an unknown member is refused",
        requirements: &["HUB-HTTP-015"],
        overlay: || {
            let knows_not = |request: &Request<Bytes>| {
                request.uri().path().starts_with("/devices/") && mentions(request.body())
            };
            on_answer(knows_not, |response| refuse(response, 400, "ArgumentInvalid"))
        },
    },
    Mutant {
        id: "http-unknown-members-of-twins-refused",
        title: "A write of a twin with an unknown member is refused",
        requirements: &["HUB-HTTP-015"],
        overlay: || {
            let knows_not = |request: &Request<Bytes>| {
                request.uri().path().starts_with("/twins/") && mentions(request.body())
            };
            on_answer(knows_not, |response| refuse(response, 400, "ArgumentInvalid"))
        },
    },
    Mutant {
        id: "http-unknown-members-of-bulk-items-refused",
        title: "A bulk call with an unknown member is refused",
        requirements: &["HUB-HTTP-015"],
        overlay: || {
            let knows_not = |request: &Request<Bytes>| {
                request.uri().path() == "/devices" && mentions(request.body())
            };
            on_answer(knows_not, |response| refuse(response, 400, "ArgumentInvalid"))
        },
    },
    Mutant {
        id: "http-unknown-members-kept",
        title: "Unknown members of a PUT or PATCH are answered back",
        requirements: &["HUB-HTTP-015"],
        overlay: || {
            on_exchange(
                (),
                |(), request| mentions(request.body()).then_some(()),
                |(), (), response| edit_json(response.body_mut(), |body| set(body, "suite", 1)),
            )
        },
    },
];

/// The query of a request of the current version.
const CURRENT: &str = "api-version=2021-04-12";

/// Takes a request for one of the current version when its version is `chosen`.
fn taking(chosen: fn(&str) -> bool) -> Box<dyn Overlay> {
    on_request(move |request| {
        let version = query(request).split('&').find_map(|pair| pair.strip_prefix("api-version="));
        if version.is_some_and(chosen) {
            set_query(request, CURRENT);
        }
    })
}

/// Whether a request is neither for the registry nor for twins alone.
fn is_elsewhere(request: &Request<Bytes>) -> bool {
    let path = request.uri().path();
    ["/jobs", "/configurations", "/devices/query"].iter().any(|start| path.starts_with(start))
        || path.ends_with("/methods")
}

fn query(request: &Request<Bytes>) -> &str {
    request.uri().query().unwrap_or_default()
}

/// Whether a body has a member that only this suite knows.
fn mentions(body: &Bytes) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let first = body.get(0).unwrap_or(&body);
    first.get("suite").is_some()
}

/// Takes the current version for an unknown one in some calls.
fn unsupported(chosen: fn(&Method, &str) -> bool) -> Box<dyn Overlay> {
    on_request(move |request| {
        if query(request).contains(CURRENT) && chosen(request.method(), request.uri().path()) {
            set_query(request, "api-version=1999-01-01");
        }
    })
}

fn on_path(edit: fn(&str) -> String) -> Box<dyn Overlay> {
    on_request(move |request| {
        let path = edit(request.uri().path());
        set_path(request, &path);
    })
}
