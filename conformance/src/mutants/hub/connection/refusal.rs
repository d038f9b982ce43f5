//! Defects of how a CONNECT is refused (HUB-CONN-015 to -017).

use std::collections::BTreeSet;

use twinspec_harness::clock::Clock;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{ConnAck, ConnectCode, Packet};

use crate::mutants::Mutant;
use crate::mutants::overlay::{on_both, on_output};

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "connection-refused-4",
        title: "Every refused CONNECT is answered 4",
        requirements: &["HUB-CONN-015"],
        overlay: || on_refusal(|answer| answer.code = ConnectCode::BadUserNameOrPassword),
    },
    Mutant {
        id: "connection-expired-refused-4",
        title: "A CONNECT whose token has expired is answered 4",
        requirements: &["HUB-CONN-015"],
        overlay: expired_refused_4,
    },
    Mutant {
        id: "connection-refused-silently",
        title: "A CONNECT that is not let in is not answered before the end",
        requirements: &["HUB-CONN-015"],
        overlay: || {
            on_output(|output| if refused(&output).is_some() { Vec::new() } else { vec![output] })
        },
    },
    Mutant {
        id: "connection-refused-kept-open",
        title: "The connection stays open after a CONNACK that refuses",
        requirements: &["HUB-CONN-016"],
        overlay: refused_kept_open,
    },
    Mutant {
        id: "connection-refused-session-present",
        title: "A CONNACK that refuses says that a session is present",
        requirements: &["HUB-CONN-017"],
        overlay: || on_refusal(|answer| answer.session_present = true),
    },
];

/// The code of a CONNACK that refuses.
fn refused(output: &Output) -> Option<ConnectCode> {
    match output {
        Output::Send(_, Packet::ConnAck(ConnAck { code, .. })) => {
            Some(*code).filter(|code| *code != ConnectCode::Accepted)
        }
        _ => None,
    }
}

fn on_refusal(edit: fn(&mut ConnAck)) -> Box<dyn Overlay> {
    on_output(move |mut output| {
        let is_refusal = refused(&output).is_some();
        if let Output::Send(_, Packet::ConnAck(answer)) = &mut output
            && is_refusal
        {
            edit(answer);
        }
        vec![output]
    })
}

fn expired_refused_4() -> Box<dyn Overlay> {
    on_both(
        BTreeSet::new(),
        |expired, input| {
            if let Input::Packet(id, Packet::Connect(connect)) = &input {
                let password = connect.password.as_deref().unwrap_or_default();
                let token = String::from_utf8_lossy(password);
                let expiry = token.split('&').find_map(|pair| pair.strip_prefix("se="));
                let expiry = expiry.and_then(|expiry| expiry.parse::<u64>().ok());
                if expiry.is_some_and(|expiry| expiry < Clock::default().now().unix_seconds()) {
                    expired.insert(*id);
                }
            }
            vec![input]
        },
        |expired, mut output| {
            let is_refusal = refused(&output).is_some();
            if let Output::Send(id, Packet::ConnAck(answer)) = &mut output
                && is_refusal
                && expired.contains(id)
            {
                answer.code = ConnectCode::BadUserNameOrPassword;
            }
            vec![output]
        },
    )
}

fn refused_kept_open() -> Box<dyn Overlay> {
    let mut open = BTreeSet::new();
    on_output(move |output| {
        match (&output, refused(&output)) {
            (Output::Send(id, _), Some(_)) => drop(open.insert(*id)),
            (Output::Close(id), _) if open.remove(id) => return Vec::new(),
            _ => {}
        }
        vec![output]
    })
}
