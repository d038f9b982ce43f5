//! Defects of what policies allow (HUB-AUTH-026 to -028).

use bytes::Bytes;
use http::{Method, Request};
use twinspec_harness::hub::Overlay;

use super::doors::{Verdict, on_authorization};
use crate::mutants::Mutant;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "auth-registry-read-refused",
        title: "The policy registryRead may not read devices",
        requirements: &["HUB-AUTH-026"],
        overlay: || keeping_out(|policy, request| policy == "registryRead" && is_registry(request)),
    },
    Mutant {
        id: "auth-registry-read-writes",
        title: "The policy registryRead may create and update devices",
        requirements: &["HUB-AUTH-026"],
        overlay: || {
            letting_in(|policy, request| {
                policy == "registryRead" && request.method() == Method::PUT && is_registry(request)
            })
        },
    },
    Mutant {
        id: "auth-registry-read-writes-in-bulk",
        title: "The policy registryRead may make bulk calls",
        requirements: &["HUB-AUTH-026"],
        overlay: || {
            letting_in(|policy, request| {
                policy == "registryRead" && request.uri().path() == "/devices"
            })
        },
    },
    Mutant {
        id: "auth-service-writes-in-bulk",
        title: "The policy service may make bulk calls",
        requirements: &["HUB-AUTH-027"],
        overlay: || {
            letting_in(|policy, request| policy == "service" && request.uri().path() == "/devices")
        },
    },
    Mutant {
        id: "auth-registry-policies-call-methods",
        title: "Policies for the registry may call methods",
        requirements: &["HUB-AUTH-028"],
        overlay: || {
            letting_in(|policy, request| {
                policy.starts_with("registry") && request.uri().path().ends_with("/methods")
            })
        },
    },
    Mutant {
        id: "auth-registry-policies-query",
        title: "Policies for the registry may query twins",
        requirements: &["HUB-AUTH-028"],
        overlay: || {
            letting_in(|policy, request| {
                policy.starts_with("registry") && request.uri().path() == "/devices/query"
            })
        },
    },
    Mutant {
        id: "auth-registry-read-deletes",
        title: "The policy registryRead may delete devices",
        requirements: &["HUB-AUTH-026"],
        overlay: || {
            letting_in(|policy, request| {
                policy == "registryRead" && request.method() == Method::DELETE
            })
        },
    },
    Mutant {
        id: "auth-service-reads-no-twin",
        title: "The policy service may not read twins",
        requirements: &["HUB-AUTH-027"],
        overlay: || {
            keeping_out(|policy, request| {
                policy == "service" && request.method() == Method::GET && !is_registry(request)
            })
        },
    },
    Mutant {
        id: "auth-service-replaces-no-twin",
        title: "The policy service may not replace the twins of modules",
        requirements: &["HUB-AUTH-027"],
        overlay: || {
            keeping_out(|policy, request| {
                let is_module = request.uri().path().contains("/modules/");
                policy == "service" && request.method() == Method::PUT && is_module
            })
        },
    },
    Mutant {
        id: "auth-service-creates-devices",
        title: "The policy service may create and update devices",
        requirements: &["HUB-AUTH-027"],
        overlay: || {
            letting_in(|policy, request| {
                policy == "service" && request.method() == Method::PUT && is_registry(request)
            })
        },
    },
    Mutant {
        id: "auth-service-deletes-devices",
        title: "The policy service may delete devices",
        requirements: &["HUB-AUTH-027"],
        overlay: || {
            letting_in(|policy, request| policy == "service" && request.method() == Method::DELETE)
        },
    },
    Mutant {
        id: "auth-registry-policy-reads-twins",
        title: "The policy registryRead may read twins",
        requirements: &["HUB-AUTH-028"],
        overlay: || {
            letting_in(|policy, request| {
                let is_read = request.method() == Method::GET;
                policy == "registryRead" && is_read && !is_registry(request)
            })
        },
    },
    Mutant {
        id: "auth-registry-policy-writes-twins",
        title: "The policy registryReadWrite may write twins",
        requirements: &["HUB-AUTH-028"],
        overlay: || {
            letting_in(|policy, request| {
                let is_read = request.method() == Method::GET;
                policy == "registryReadWrite" && !is_read && !is_registry(request)
            })
        },
    },
    Mutant {
        id: "auth-device-policy-reads-module-twins",
        title: "The policy device may read the twins of modules",
        requirements: &["HUB-AUTH-028"],
        overlay: || {
            letting_in(|policy, request| {
                let is_module = request.uri().path().contains("/modules/");
                policy == "device" && is_module && !is_registry(request)
            })
        },
    },
];

fn is_registry(request: &Request<Bytes>) -> bool {
    request.uri().path().starts_with("/devices")
}

/// Gives those requests all rights for which `concerns` holds, given the policy.
fn letting_in(concerns: fn(&str, &Request<Bytes>) -> bool) -> Box<dyn Overlay> {
    on_authorization(move |keyring, request, token| {
        let policy = token.map_or("", |token| token.field("skn"));
        if concerns(policy, request) { Verdict::owner(keyring) } else { Verdict::AsItIs }
    })
}

/// Takes all rights from those requests for which `concerns` holds, given the policy.
fn keeping_out(concerns: fn(&str, &Request<Bytes>) -> bool) -> Box<dyn Overlay> {
    on_authorization(move |_, request, token| {
        let policy = token.map_or("", |token| token.field("skn"));
        if concerns(policy, request) { Verdict::KeepOut } else { Verdict::AsItIs }
    })
}
