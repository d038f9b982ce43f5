//! What the defects of this subject know about identities, tokens and credentials, learnt from
//! what passes by.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;
use twinspec_harness::clock::Clock;
use twinspec_model::auth::{self, Certificate, SasToken};
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::Connect;

use crate::target::in_an_hour;

/// The host name of embedded hubs.
pub(super) const HOST: &str = "localhost";

/// What the registry answered about one identity last.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) primary_key: String,
    pub(super) secondary_key: String,
    /// Lower-case hex.
    pub(super) primary_print: String,
    pub(super) secondary_print: String,
    pub(super) is_disabled: bool,
    /// Whether it was disabled at any time.
    pub(super) was_disabled: bool,
    pub(super) is_deleted: bool,
}

/// Everything learnt.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    /// By client id.
    entries: BTreeMap<String, Entry>,
    /// By name of the policy.
    headers: BTreeMap<String, HeaderValue>,
    certificates: BTreeMap<ConnectionId, Certificate>,
    /// Connections whose refusal is turned into acceptance.
    pub(super) admitted: BTreeSet<ConnectionId>,
}

impl Keyring {
    pub(super) fn entry(&self, client_id: &str) -> Entry {
        self.entries.get(client_id).cloned().unwrap_or_default()
    }

    /// The last header of the policy `name`, valid or not.
    pub(super) fn header(&self, name: &str) -> Option<HeaderValue> {
        self.headers.get(name).cloned()
    }

    pub(super) fn certificate(&self, id: ConnectionId) -> Option<Certificate> {
        self.certificates.get(&id).cloned()
    }

    pub(super) fn learn_input(&mut self, input: &Input) {
        match input {
            Input::Opened(id, Some(certificate)) => {
                self.certificates.insert(*id, certificate.clone());
            }
            Input::Request(_, request) => {
                let device = request.uri().path().strip_prefix("/devices/").unwrap_or_default();
                if let Some(entry) = self.entries.get_mut(device) {
                    entry.is_deleted |= request.method() == Method::DELETE;
                }
                let Some(header) = request.headers().get(AUTHORIZATION) else { return };
                let token = header.to_str().ok().and_then(|text| SasToken::parse(text).ok());
                let Some(SasToken { policy: Some(name), .. }) = token else { return };
                // The first one is that of the step that registers something, and good.
                self.headers.entry(name).or_insert_with(|| header.clone());
            }
            _ => {}
        }
    }

    pub(super) fn learn_output(&mut self, output: &Output) {
        let Output::Respond(_, response) = output else { return };
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let text = |pointer: &str| {
            body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let device = text("/deviceId");
        if device.is_empty() || body.get("authentication").is_none() {
            return;
        }
        let client_id = match body.get("moduleId").and_then(Value::as_str) {
            None => device,
            Some(module) => format!("{device}/{module}"),
        };
        let is_disabled = text("/status") == "disabled";
        let was_disabled = self.entry(&client_id).was_disabled || is_disabled;
        let print = |which: &str| {
            let print = text(&format!("/authentication/x509Thumbprint/{which}Thumbprint"));
            print.to_ascii_lowercase()
        };
        let entry = Entry {
            primary_key: text("/authentication/symmetricKey/primaryKey"),
            secondary_key: text("/authentication/symmetricKey/secondaryKey"),
            primary_print: print("primary"),
            secondary_print: print("secondary"),
            is_disabled,
            was_disabled,
            is_deleted: false,
        };
        self.entries.insert(client_id, entry);
    }
}

/// A token, field by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Token {
    text: String,
    /// The names of the fields in their order.
    pub(super) order: Vec<String>,
}

impl Token {
    pub(super) fn new(text: &str) -> Self {
        let fields = text.strip_prefix("SharedAccessSignature ").unwrap_or_default().split('&');
        let names = fields.filter_map(|field| field.split_once('='));
        let order = names.map(|(name, _)| name.to_owned()).collect();
        Self { text: text.to_owned(), order }
    }

    /// A field as it is written; empty when there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        let fields = self.text.strip_prefix("SharedAccessSignature ").unwrap_or_default();
        let mut fields = fields.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// Host and path.
    pub(super) fn resource(&self) -> String {
        SasToken::parse(&self.text).map(|token| token.resource).unwrap_or_default()
    }

    pub(super) fn expiry(&self) -> Time {
        Time::from_unix_seconds(self.field("se").parse().unwrap_or_default())
    }

    /// Whether `key` made the signature.
    pub(super) fn is_signed_with(&self, key: &str) -> bool {
        let Ok(token) = SasToken::parse(&self.text) else { return false };
        let resource = token.resource.clone();
        token.verify(&[key], &resource, Time::from_unix_seconds(0)).is_ok()
    }
}

/// A CONNECT with a token, and what is known of who tries.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) client_id: String,
    pub(super) token: Token,
    pub(super) entry: Entry,
}

impl Attempt {
    pub(super) fn new(keyring: &Keyring, connect: &Connect) -> Self {
        let password = connect.password.as_deref().unwrap_or_default();
        Self {
            client_id: connect.client_id.clone(),
            token: Token::new(&String::from_utf8_lossy(password)),
            entry: keyring.entry(&connect.client_id),
        }
    }

    pub(super) fn is_module(&self) -> bool {
        self.client_id.contains('/')
    }

    /// Host and path of who tries.
    pub(super) fn own_resource(&self) -> String {
        match self.client_id.split_once('/') {
            None => format!("{HOST}/devices/{}", self.client_id),
            Some((device, module)) => format!("{HOST}/devices/{device}/modules/{module}"),
        }
    }

    /// Has `connect` carry a good token.
    pub(super) fn let_in(&self, connect: &mut Connect) {
        connect.password = Some(self.good_token(in_an_hour(&Clock::default())));
    }

    /// A good token that ends at `end`.
    pub(super) fn good_token(&self, end: Time) -> Bytes {
        let token = auth::sign(&self.entry.primary_key, &self.own_resource(), end, None);
        Bytes::from(token.unwrap_or_default())
    }

    /// Whether the token is the identity's own, good but for its end.
    pub(super) fn is_own(&self) -> bool {
        let keys = [&self.entry.primary_key, &self.entry.secondary_key];
        self.token.resource() == self.own_resource()
            && keys.into_iter().any(|key| self.token.is_signed_with(key))
    }
}
