//! Defects of how the body of a call is read (HUB-METH-015, -016, -022 to -025).

use serde_json::Value;
use twinspec_harness::hub::Overlay;

use super::tools::{on_call, seconds};
use crate::mutants::Mutant;
use crate::mutants::overlay::set;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "method-response-timeout-raised",
        title: "A response timeout below 5 s is taken as 5 s",
        requirements: &["HUB-METH-015"],
        overlay: || clamping("responseTimeoutInSeconds", |timeout| timeout.max(5)),
    },
    Mutant {
        id: "method-response-timeout-lowered",
        title: "A response timeout above 300 s is taken as 300 s",
        requirements: &["HUB-METH-015"],
        overlay: || clamping("responseTimeoutInSeconds", |timeout| timeout.min(300)),
    },
    Mutant {
        id: "method-response-timeout-below-100",
        title: "A response timeout above 100 s is refused",
        requirements: &["HUB-METH-015"],
        overlay: || {
            clamping(
                "responseTimeoutInSeconds",
                |timeout| if timeout > 100 { 301 } else { timeout },
            )
        },
    },
    Mutant {
        id: "method-connect-timeout-raised",
        title: "A negative connect timeout is taken as 0",
        requirements: &["HUB-METH-016"],
        overlay: || clamping("connectTimeoutInSeconds", |timeout| timeout.max(0)),
    },
    Mutant {
        id: "method-connect-timeout-lowered",
        title: "A connect timeout above 300 s is taken as 300 s",
        requirements: &["HUB-METH-016"],
        overlay: || clamping("connectTimeoutInSeconds", |timeout| timeout.min(300)),
    },
    Mutant {
        id: "method-name-missing-accepted",
        title: "A call without a method name is delivered under a name of the hub's own",
        requirements: &["HUB-METH-022"],
        overlay: || renaming(|name| name.is_none().then(|| "unnamed".to_owned())),
    },
    Mutant {
        id: "method-name-blank-accepted",
        title: "A call with a blank method name is delivered under a name of the hub's own",
        requirements: &["HUB-METH-022"],
        overlay: || {
            renaming(|name| {
                name.filter(|name| name.trim().is_empty()).map(|_| "unnamed".to_owned())
            })
        },
    },
    Mutant {
        id: "method-name-64",
        title: "Method names of more than 64 characters are refused",
        requirements: &["HUB-METH-023"],
        overlay: || renaming(|name| name.filter(|name| name.len() > 64).map(|_| "n".repeat(102))),
    },
    Mutant {
        id: "method-name-cut",
        title: "Method names of more than 100 characters are cut off and delivered",
        requirements: &["HUB-METH-023"],
        overlay: || renaming(|name| name.map(|name| name.chars().take(100).collect())),
    },
    Mutant {
        id: "method-timeouts-required",
        title: "A call without timeouts is refused",
        requirements: &["HUB-METH-024"],
        overlay: || without_timeouts(|call| set(call, "responseTimeoutInSeconds", 0)),
    },
    Mutant {
        id: "method-timeouts-absent-short",
        title: "A call without timeouts waits 5 s for the answer",
        requirements: &["HUB-METH-024"],
        overlay: || without_timeouts(|call| set(call, "responseTimeoutInSeconds", 5)),
    },
    Mutant {
        id: "method-timeouts-absent-patient",
        title: "A call without timeouts waits for the device",
        requirements: &["HUB-METH-024"],
        overlay: || without_timeouts(|call| set(call, "connectTimeoutInSeconds", 60)),
    },
    Mutant {
        id: "method-unknown-member-refused",
        title: "A call with a member that means nothing is refused",
        requirements: &["HUB-METH-025"],
        overlay: || {
            on_call(|call| {
                let names = call.as_object().into_iter().flat_map(|members| members.keys());
                if names.into_iter().any(|name| !KNOWN.contains(&name.as_str())) {
                    set(call, "responseTimeoutInSeconds", 0);
                }
            })
        },
    },
    Mutant {
        id: "method-old-timeout-taken",
        title: "timeoutInSeconds is taken as the response timeout",
        requirements: &["HUB-METH-025"],
        overlay: || {
            on_call(|call| {
                if let Some(timeout) = seconds(call, "timeoutInSeconds") {
                    set(call, "responseTimeoutInSeconds", timeout);
                }
            })
        },
    },
];

/// The members of a call that mean something.
const KNOWN: [&str; 4] =
    ["methodName", "payload", "responseTimeoutInSeconds", "connectTimeoutInSeconds"];

/// Reads a timeout that is there as `clamp` has it.
fn clamping(member: &'static str, clamp: fn(i64) -> i64) -> Box<dyn Overlay> {
    on_call(move |call| {
        if let Some(timeout) = seconds(call, member) {
            set(call, member, clamp(timeout));
        }
    })
}

/// Gives methods another name where `rename` knows one.
fn renaming(rename: fn(Option<&str>) -> Option<String>) -> Box<dyn Overlay> {
    on_call(move |call| {
        if let Some(name) = rename(call.get("methodName").and_then(Value::as_str)) {
            set(call, "methodName", name);
        }
    })
}

/// Edits calls that have neither timeout.
fn without_timeouts(edit: fn(&mut Value)) -> Box<dyn Overlay> {
    on_call(move |call| {
        let members = ["responseTimeoutInSeconds", "connectTimeoutInSeconds"];
        if members.iter().all(|member| call.get(member).is_none()) {
            edit(call);
        }
    })
}
