//! Overlays that let somebody in who must stay out, or the other way round.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use twinspec_harness::clock::Clock;
use twinspec_harness::hub::Overlay;
use twinspec_model::auth::{self, Certificate};
use twinspec_model::hub::{Input, Output};
use twinspec_model::wire::mqtt::{ConnAck, ConnectCode, Packet};

use super::keyring::{Attempt, Entry, HOST, Keyring, Token};
use crate::mutants::overlay::on_both;
use crate::target::in_an_hour;

/// An overlay that knows the keyring, and rewrites inputs and outputs with it.
pub(super) fn knowing(
    mut input: impl FnMut(&mut Keyring, Input) -> Vec<Input> + Send + 'static,
    mut output: impl FnMut(&mut Keyring, Output) -> Vec<Output> + Send + 'static,
) -> Box<dyn Overlay> {
    on_both(
        Keyring::default(),
        move |keyring, event| {
            keyring.learn_input(&event);
            input(keyring, event)
        },
        move |keyring, event| {
            keyring.learn_output(&event);
            output(keyring, event)
        },
    )
}

/// An overlay that gives a CONNECT another password, where `password` has one for it.
pub(super) fn on_password(password: fn(&Attempt) -> Option<Bytes>) -> Box<dyn Overlay> {
    knowing(
        move |keyring, mut input| {
            if let Input::Packet(_, Packet::Connect(connect)) = &mut input
                && connect.password.is_some()
                && let Some(password) = password(&Attempt::new(keyring, connect))
            {
                connect.password = Some(password);
            }
            vec![input]
        },
        |_, output| vec![output],
    )
}

/// An overlay that lets those in for whom `is_let_in` holds, with a good token of their own.
pub(super) fn letting_in(is_let_in: fn(&Attempt) -> bool) -> Box<dyn Overlay> {
    knowing(
        move |keyring, mut input| {
            if let Input::Packet(_, Packet::Connect(connect)) = &mut input
                && connect.password.is_some()
            {
                let attempt = Attempt::new(keyring, connect);
                if is_let_in(&attempt) {
                    attempt.let_in(connect);
                }
            }
            vec![input]
        },
        |_, output| vec![output],
    )
}

/// An overlay that keeps those out for whom `is_kept_out` holds.
pub(super) fn keeping_out(is_kept_out: fn(&Attempt) -> bool) -> Box<dyn Overlay> {
    knowing(
        move |keyring, mut input| {
            if let Input::Packet(_, Packet::Connect(connect)) = &mut input
                && connect.password.is_some()
                && is_kept_out(&Attempt::new(keyring, connect))
            {
                connect.password = Some(Bytes::from_static(b"kept out"));
            }
            vec![input]
        },
        |_, output| vec![output],
    )
}

/// An overlay that answers CONNACK 0 where it would be 5 and `is_admitted` holds, and keeps the
/// connection.
pub(super) fn admitting(is_admitted: fn(&Attempt) -> bool) -> Box<dyn Overlay> {
    knowing(
        move |keyring, input| {
            if let Input::Packet(id, Packet::Connect(connect)) = &input
                && is_admitted(&Attempt::new(keyring, connect))
            {
                keyring.admitted.insert(*id);
            }
            vec![input]
        },
        |keyring, output| match output {
            Output::Send(id, Packet::ConnAck(answer)) if keyring.admitted.contains(&id) => {
                let answer = ConnAck { code: ConnectCode::Accepted, ..answer };
                vec![Output::Send(id, Packet::ConnAck(answer))]
            }
            Output::Close(id) if keyring.admitted.contains(&id) => Vec::new(),
            other => vec![other],
        },
    )
}

/// An overlay that changes the certificate a client showed, once its CONNECT says who it is.
pub(super) fn on_certificate(
    edit: fn(&str, &Entry, Certificate) -> Option<Certificate>,
) -> Box<dyn Overlay> {
    knowing(
        move |keyring, input| {
            if let Input::Packet(id, Packet::Connect(connect)) = &input
                && let Some(certificate) = keyring.certificate(*id)
            {
                let entry = keyring.entry(&connect.client_id);
                let edited = edit(&connect.client_id, &entry, certificate);
                return vec![Input::Opened(*id, edited), input];
            }
            vec![input]
        },
        |_, output| vec![output],
    )
}

/// An overlay that changes the `Authorization` header of requests: `edit` is given the token, or
/// nothing, and the path.
pub(super) fn on_authorization(
    edit: impl Fn(&Keyring, &http::Request<Bytes>, Option<&Token>) -> Verdict + Send + 'static,
) -> Box<dyn Overlay> {
    knowing(
        move |keyring, mut input| {
            if let Input::Request(_, request) = &mut input {
                let header = request.headers().get(AUTHORIZATION);
                let token = header.and_then(|header| header.to_str().ok()).map(Token::new);
                match edit(keyring, request, token.as_ref()) {
                    Verdict::AsItIs => {}
                    Verdict::LetIn(header) => {
                        request.headers_mut().insert(AUTHORIZATION, header);
                    }
                    Verdict::KeepOut => drop(request.headers_mut().remove(AUTHORIZATION)),
                }
            }
            vec![input]
        },
        |_, output| vec![output],
    )
}

/// What becomes of a request.
pub(super) enum Verdict {
    /// The hub decides.
    AsItIs,
    /// It gets these credentials.
    LetIn(HeaderValue),
    /// It loses its credentials.
    KeepOut,
}

impl Verdict {
    /// Lets a request in with the rights of the policy that owns the hub.
    pub(super) fn owner(keyring: &Keyring) -> Self {
        keyring.header("iothubowner").map_or(Self::AsItIs, Self::LetIn)
    }

    /// Lets a device's request in with a good token of its own, whoever's path it is.
    pub(super) fn own(keyring: &Keyring, path: &str) -> Self {
        let device = path.trim_start_matches("/devices/").split('/').next().unwrap_or_default();
        let key = keyring.entry(device).primary_key;
        let token = auth::sign(
            &key,
            &format!("{HOST}/devices/{device}"),
            in_an_hour(&Clock::default()),
            None,
        );
        let header = token.and_then(|token| HeaderValue::from_str(&token).ok());
        header.map_or(Self::AsItIs, Self::LetIn)
    }
}
