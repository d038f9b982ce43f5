//! Defects of how requests are let in (HUB-AUTH-003, -005, -006, -024 to -028).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request};
use twinspec_harness::clock::Clock;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::Input;

use super::doors::{Verdict, on_authorization};
use super::keyring::{Keyring, Token};
use crate::mutants::Mutant;
use crate::mutants::overlay::{on_input, on_response, set_status};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "auth-field-order-fixed-for-requests",
        title: "Requests are refused whose token does not begin with sr",
        requirements: &["HUB-AUTH-003"],
        overlay: || {
            on_authorization(|_, _, token| {
                let first = token.and_then(|token| token.order.first());
                keep_out_if(first.is_some_and(|name| name != "sr"))
            })
        },
    },
    Mutant {
        id: "auth-signature-ignored-for-requests",
        title: "Requests are let in with a signature that differs from the good one",
        requirements: &["HUB-AUTH-005"],
        overlay: || ignoring_signatures(|path| !is_by_device(path)),
    },
    Mutant {
        id: "auth-signature-ignored-for-https",
        title: "Devices' HTTPS requests are let in with a signature that differs from the good one",
        requirements: &["HUB-AUTH-005"],
        overlay: || ignoring_signatures(is_by_device),
    },
    Mutant {
        id: "auth-expiry-ignored-for-requests",
        title: "Back ends' requests are let in with tokens that have ended",
        requirements: &["HUB-AUTH-006"],
        overlay: || {
            on_authorization(|keyring, request, token| {
                let is_ended = token.is_some_and(|token| token.expiry() < Clock::default().now());
                let is_back_end = !is_by_device(request.uri().path());
                owner_if(keyring, is_ended && is_back_end)
            })
        },
    },
    Mutant {
        id: "auth-expiry-ignored-for-https",
        title: "Devices' HTTPS requests are let in with tokens that have ended",
        requirements: &["HUB-AUTH-006"],
        overlay: || {
            on_authorization(|keyring, request, token| {
                let path = request.uri().path();
                let is_ended = token.is_some_and(|token| token.expiry() < Clock::default().now());
                if is_ended && is_by_device(path) {
                    return Verdict::own(keyring, path);
                }
                Verdict::AsItIs
            })
        },
    },
    Mutant {
        id: "auth-reads-need-no-header",
        title: "Back ends may read without credentials",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_authorization(|keyring, request, token| {
                owner_if(keyring, token.is_none() && request.method() == Method::GET)
            })
        },
    },
    Mutant {
        id: "auth-writes-need-no-header",
        title: "Back ends may write without credentials",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_authorization(|keyring, request, token| {
                let is_write = [Method::PUT, Method::PATCH].contains(request.method());
                owner_if(keyring, token.is_none() && is_write)
            })
        },
    },
    Mutant {
        id: "auth-https-needs-no-header",
        title: "Devices' HTTPS requests need no credentials",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_authorization(|keyring, request, token| match request.uri().path() {
                path if token.is_none() && is_by_device(path) => Verdict::own(keyring, path),
                _ => Verdict::AsItIs,
            })
        },
    },
    Mutant {
        id: "auth-other-scheme-let-in",
        title: "An Authorization header of another scheme is let in",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_authorization(|keyring, request, _| {
                let header = request.headers().get(AUTHORIZATION);
                let is_basic = header.is_some_and(|header| header.as_bytes().starts_with(b"Basic"));
                owner_if(keyring, is_basic)
            })
        },
    },
    Mutant {
        id: "auth-unknown-policy-let-in",
        title: "A token of a policy that does not exist is let in",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_authorization(|keyring, _, token| {
                let is_unknown = token.is_some_and(|token| token.field("skn").contains("unknown"));
                owner_if(keyring, is_unknown)
            })
        },
    },
    Mutant {
        id: "auth-endless-token-let-in",
        title: "A token without se is let in",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_authorization(|keyring, _, token| {
                let is_endless = token.is_some_and(|token| {
                    token.field("se").is_empty() && !token.field("sig").is_empty()
                });
                owner_if(keyring, is_endless)
            })
        },
    },
    Mutant {
        id: "auth-refusal-is-403",
        title: "Requests with bad credentials are answered 403",
        requirements: &["HUB-AUTH-024"],
        overlay: || {
            on_response(|response| {
                if response.status().as_u16() == 401 {
                    set_status(response, 403);
                }
            })
        },
    },
    Mutant {
        id: "auth-error-name-missing",
        title: "A 401 has no header that names the error",
        requirements: &["HUB-AUTH-025"],
        overlay: || {
            on_response(|response| {
                if response.status().as_u16() == 401 {
                    response.headers_mut().remove("iothub-errorcode");
                }
            })
        },
    },
    Mutant {
        id: "auth-error-name-of-logs",
        title: "A 401 names the error as the logs do",
        requirements: &["HUB-AUTH-025"],
        overlay: || {
            on_response(|response| {
                if response.status().as_u16() == 401 {
                    let name = HeaderValue::from_static("IotHubUnauthorized");
                    response.headers_mut().insert("iothub-errorcode", name);
                }
            })
        },
    },
];

/// Whether a device makes requests with this path on its own behalf.
fn is_by_device(path: &str) -> bool {
    path.ends_with("/messages/events")
}

fn owner_if(keyring: &Keyring, holds: bool) -> Verdict {
    if holds { Verdict::owner(keyring) } else { Verdict::AsItIs }
}

fn keep_out_if(holds: bool) -> Verdict {
    if holds { Verdict::KeepOut } else { Verdict::AsItIs }
}

/// Replaces a token that differs only in its signature from one that came before.
fn ignoring_signatures(concerns: fn(&str) -> bool) -> Box<dyn Overlay> {
    let mut first: BTreeMap<[String; 3], HeaderValue> = BTreeMap::new();
    on_input(move |mut input| {
        if let Input::Request(_, request) = &mut input {
            let known = parts(request).map(|(parts, header)| first.entry(parts).or_insert(header));
            if let Some(known) = known.cloned()
                && concerns(request.uri().path())
            {
                request.headers_mut().insert(AUTHORIZATION, known);
            }
        }
        vec![input]
    })
}

/// The token of a request without its signature, and the header.
fn parts(request: &Request<Bytes>) -> Option<([String; 3], HeaderValue)> {
    let header = request.headers().get(AUTHORIZATION)?;
    let token = Token::new(header.to_str().ok()?);
    let signed = ["sr", "se", "skn"].map(|name| token.field(name).to_owned());
    (!signed.iter().take(2).any(String::is_empty)).then(|| (signed, header.clone()))
}
