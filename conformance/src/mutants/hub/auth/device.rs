//! Defects of how tokens open connections (HUB-AUTH-001 to -014).

use std::collections::BTreeSet;
use std::time::Duration;

use twinspec_harness::clock::Clock;
use twinspec_model::hub::Input;
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::Packet;

use super::doors::{admitting, keeping_out, knowing, letting_in};
use super::keyring::Attempt;
use crate::mutants::Mutant;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "auth-primary-key-refused",
        title: "Tokens signed with the primary key are refused",
        requirements: &["HUB-AUTH-001"],
        overlay: || keeping_out(|a| a.is_own() && a.token.is_signed_with(&a.entry.primary_key)),
    },
    Mutant {
        id: "auth-primary-key-refused-for-modules",
        title: "Modules are refused with tokens signed with their primary key",
        requirements: &["HUB-AUTH-001"],
        overlay: || {
            keeping_out(|attempt| {
                let key = &attempt.entry.primary_key;
                attempt.is_module() && attempt.token.is_signed_with(key)
            })
        },
    },
    Mutant {
        id: "auth-secondary-key-refused",
        title: "Tokens signed with the secondary key are refused",
        requirements: &["HUB-AUTH-002"],
        overlay: || keeping_out(|a| a.token.is_signed_with(&a.entry.secondary_key)),
    },
    Mutant {
        id: "auth-no-password-opens",
        title: "Who shows neither a password nor a certificate is let in",
        requirements: &["HUB-AUTH-005"],
        overlay: || {
            knowing(
                |keyring, mut input| {
                    if let Input::Packet(id, Packet::Connect(connect)) = &mut input
                        && connect.password.as_deref().unwrap_or_default().is_empty()
                        && keyring.certificate(*id).is_none()
                    {
                        Attempt::new(keyring, connect).let_in(connect);
                    }
                    vec![input]
                },
                |_, output| vec![output],
            )
        },
    },
    Mutant {
        id: "auth-token-opens-again",
        title: "A token that was shown once is not checked again",
        requirements: &["HUB-AUTH-005"],
        overlay: || {
            let mut shown = BTreeSet::new();
            knowing(
                move |keyring, mut input| {
                    if let Input::Packet(_, Packet::Connect(connect)) = &mut input
                        && let Some(password) = connect.password.clone()
                        && !shown.insert(password)
                    {
                        Attempt::new(keyring, connect).let_in(connect);
                    }
                    vec![input]
                },
                |_, output| vec![output],
            )
        },
    },
    Mutant {
        id: "auth-field-order-fixed",
        title: "Tokens that do not begin with sr are refused",
        requirements: &["HUB-AUTH-003"],
        overlay: || keeping_out(|a| a.token.order.first().is_none_or(|name| name != "sr")),
    },
    Mutant {
        id: "auth-lower-escapes-refused",
        title: "Tokens with lower-case escapes in sr are refused",
        requirements: &["HUB-AUTH-004"],
        overlay: || keeping_out(|attempt| attempt.token.field("sr").contains("%2f")),
    },
    Mutant {
        id: "auth-upper-escapes-refused",
        title: "Tokens with upper-case escapes in sr are refused",
        requirements: &["HUB-AUTH-004"],
        overlay: || keeping_out(|attempt| attempt.token.field("sr").contains("%2F")),
    },
    Mutant {
        id: "auth-escapes-normalised",
        title: "The signature may cover sr with escapes of the other case",
        requirements: &["HUB-AUTH-004"],
        overlay: || {
            letting_in(|attempt| {
                let resource = attempt.token.field("sr").to_owned();
                let spellings = [resource.replace("%2F", "%2f"), resource.replace("%2f", "%2F")];
                spellings.iter().any(|signed| is_signed_over(attempt, signed))
            })
        },
    },
    Mutant {
        id: "auth-signature-ignored",
        title: "Any signature of a device's own token is taken",
        requirements: &["HUB-AUTH-005"],
        overlay: || {
            letting_in(|attempt| {
                let names_own = attempt.token.resource() == attempt.own_resource();
                let has_policy = !attempt.token.field("skn").is_empty();
                names_own && !has_policy && !attempt.is_own() && !is_ended(attempt)
            })
        },
    },
    Mutant {
        id: "auth-expiry-ignored",
        title: "Tokens that have ended connect devices",
        requirements: &["HUB-AUTH-006"],
        overlay: || letting_in(|attempt| attempt.is_own() && is_ended(attempt)),
    },
    Mutant {
        id: "auth-expiry-ignored-for-modules",
        title: "Tokens that have ended connect modules",
        requirements: &["HUB-AUTH-006"],
        overlay: || letting_in(|a| a.is_module() && a.is_own() && is_ended(a)),
    },
    Mutant {
        id: "auth-no-clock-difference",
        title: "A token is refused from the second on in which it ends",
        requirements: &["HUB-AUTH-007"],
        overlay: || keeping_out(|attempt| Clock::default().now() > attempt.token.expiry()),
    },
    Mutant {
        id: "auth-other-device-connects",
        title: "A token that names another device connects a device",
        requirements: &["HUB-AUTH-008"],
        overlay: || {
            letting_in(|attempt| {
                let resource = attempt.token.resource();
                let names_other = resource != attempt.own_resource();
                names_other && resource.matches('/').count() == 2 && !attempt.is_module()
            })
        },
    },
    Mutant {
        id: "auth-scope-by-text",
        title: "The scope of a policy's token is compared as text, not by segments",
        requirements: &["HUB-AUTH-009"],
        overlay: || {
            letting_in(|attempt| {
                let own = attempt.own_resource();
                let has_policy = !attempt.token.field("skn").is_empty();
                let rest = own.strip_prefix(&attempt.token.resource());
                has_policy && rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
            })
        },
    },
    Mutant {
        id: "auth-policy-for-device-refused",
        title: "A policy's token for one device is refused",
        requirements: &["HUB-AUTH-010"],
        overlay: || {
            keeping_out(|attempt| {
                let is_of_policy = !attempt.token.field("skn").is_empty();
                is_of_policy && attempt.token.resource() == attempt.own_resource()
            })
        },
    },
    Mutant {
        id: "auth-owner-connects-no-device",
        title: "The policy that owns the hub connects no device",
        requirements: &["HUB-AUTH-010"],
        overlay: || keeping_out(|attempt| attempt.token.field("skn") == "iothubowner"),
    },
    Mutant {
        id: "auth-policy-for-all-refused",
        title: "A policy's token for all devices is refused",
        requirements: &["HUB-AUTH-011"],
        overlay: || keeping_out(|attempt| attempt.token.resource().ends_with("/devices")),
    },
    Mutant {
        id: "auth-service-connects-devices",
        title: "The policy service connects devices",
        requirements: &["HUB-AUTH-012"],
        overlay: || letting_in(|attempt| attempt.token.field("skn") == "service"),
    },
    Mutant {
        id: "auth-registry-policy-connects-devices",
        title: "Policies of the registry connect devices with a token for all",
        requirements: &["HUB-AUTH-012"],
        overlay: || {
            letting_in(|attempt| {
                let is_of_registry = attempt.token.field("skn").starts_with("registryRead");
                is_of_registry && attempt.token.resource().ends_with("/devices")
            })
        },
    },
    Mutant {
        id: "auth-unregistered-admitted",
        title: "A policy's token connects devices that are not registered",
        requirements: &["HUB-AUTH-013"],
        overlay: || {
            admitting(|attempt| {
                let is_unknown = attempt.entry.primary_key.is_empty();
                is_unknown && attempt.token.field("skn") == "device"
            })
        },
    },
    Mutant {
        id: "auth-deleted-admitted",
        title: "A policy's token connects devices that were deleted",
        requirements: &["HUB-AUTH-013"],
        overlay: || {
            admitting(|attempt| attempt.entry.is_deleted && attempt.token.field("skn") == "device")
        },
    },
    Mutant {
        id: "auth-device-opens-modules",
        title: "A device's own token opens its modules' connections",
        requirements: &["HUB-AUTH-014"],
        overlay: || {
            letting_in(|attempt| {
                let resource = attempt.token.resource();
                let is_below = attempt.own_resource().starts_with(&format!("{resource}/modules/"));
                is_below && attempt.token.field("skn").is_empty()
            })
        },
    },
    Mutant {
        id: "auth-module-opens-device",
        title: "A module's own token opens the connection of its device",
        requirements: &["HUB-AUTH-014"],
        overlay: || {
            letting_in(|attempt| {
                let above = format!("{}/modules/", attempt.own_resource());
                attempt.token.resource().starts_with(&above)
            })
        },
    },
];

/// Whether the token ended longer ago than clocks may differ.
fn is_ended(attempt: &Attempt) -> bool {
    let end: Time = attempt.token.expiry();
    Clock::default().now() > end.after(Duration::from_secs(300))
}

/// Whether the primary key signed `resource` and the token's end.
fn is_signed_over(attempt: &Attempt, resource: &str) -> bool {
    let text = format!("{resource}\n{}", attempt.token.field("se"));
    let signature = twinspec_model::auth::signature(&attempt.entry.primary_key, &text);
    let seen = twinspec_model::wire::percent::decode(attempt.token.field("sig"));
    signature.is_some() && signature == seen
}
