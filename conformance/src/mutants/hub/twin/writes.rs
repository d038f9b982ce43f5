//! Tools for defects of twin writes, whoever makes them: back ends over HTTP, devices over MQTT.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, ExchangeId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
use twinspec_model::wire::topic::DeviceTopic;

use crate::mutants::overlay::{edit_json, on_input};

/// The members of a section.
pub(super) type Members = Map<String, Value>;

/// A section of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Tags,
    Desired,
    Reported,
}

/// One write of one section.
pub(super) struct Write<'a> {
    pub(super) part: Part,
    /// PUT: the section is replaced; else it is merged into.
    pub(super) replaces: bool,
    /// What earlier writes left there.
    pub(super) stored: &'a Members,
    /// What is written.
    pub(super) members: &'a mut Members,
}

/// An overlay that edits what is written to a section before the model sees it.
pub(super) fn on_write(edit: impl FnMut(Write<'_>) + Send + 'static) -> Box<dyn Overlay> {
    let mut sections = Sections { stored: BTreeMap::new(), edit };
    on_input(move |mut input| {
        match &mut input {
            Input::Packet(id, Packet::Publish(publish)) => {
                if let Some(DeviceTopic::TwinPatch { .. }) = DeviceTopic::parse(&publish.topic) {
                    let writer = format!("{id:?}");
                    edit_json(&mut publish.payload, |patch| {
                        sections.write(writer, Part::Reported, false, Some(patch));
                    });
                }
            }
            Input::Request(_, request) if is_twin_write(request) => {
                let replaces = request.method() == Method::PUT;
                let path = request.uri().path().to_owned();
                edit_json(request.body_mut(), |body| {
                    sections.write(path.clone(), Part::Tags, replaces, body.get_mut("tags"));
                    let desired = body.pointer_mut("/properties/desired");
                    sections.write(path, Part::Desired, replaces, desired);
                });
            }
            _ => {}
        }
        vec![input]
    })
}

/// An overlay like [`on_write`] that sees PATCHes only.
pub(super) fn on_merge(mut edit: impl FnMut(Write<'_>) + Send + 'static) -> Box<dyn Overlay> {
    on_write(move |write| {
        if !write.replaces {
            edit(write);
        }
    })
}

/// Whether `request` is a PATCH or PUT of a twin.
pub(super) fn is_twin_write(request: &http::Request<Bytes>) -> bool {
    [Method::PATCH, Method::PUT].contains(request.method())
        && request.uri().path().starts_with("/twins/")
}

/// What is stored where, as far as writes tell; refused writes count too, which no defect minds.
struct Sections<F> {
    stored: BTreeMap<(String, Part), Members>,
    edit: F,
}

impl<F: FnMut(Write<'_>)> Sections<F> {
    fn write(&mut self, writer: String, part: Part, replaces: bool, section: Option<&mut Value>) {
        let Some(section) = section else { return };
        let stored = self.stored.entry((writer, part)).or_default();
        let Value::Object(members) = section else {
            stored.clear();
            return;
        };
        (self.edit)(Write { part, replaces, stored, members });
        if replaces {
            stored.clear();
        }
        merge(stored, members);
    }
}

fn merge(stored: &mut Members, patch: &Members) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                stored.remove(key);
            }
            Value::Object(inner) => {
                let target = stored.entry(key).or_insert_with(|| Value::Object(Members::new()));
                if !target.is_object() {
                    *target = Value::Object(Members::new());
                }
                if let Value::Object(target) = target {
                    merge(target, inner);
                }
            }
            other => {
                stored.insert(key.clone(), other.clone());
            }
        }
    }
}

/// An overlay that edits HTTP requests and, by what it found there, their responses.
///
/// `request` returns what `response` needs; `None` leaves the response alone.
pub(super) fn on_exchange<S, T>(
    state: S,
    request: impl FnMut(&mut S, &mut http::Request<Bytes>) -> Option<T> + Send + 'static,
    response: impl FnMut(&mut S, T, &mut http::Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay>
where
    S: Send + 'static,
    T: Send + 'static,
{
    Box::new(OnExchange { state, request, response, open: HashMap::new() })
}

struct OnExchange<S, T, A, B> {
    state: S,
    request: A,
    response: B,
    open: HashMap<ExchangeId, T>,
}

impl<S, T, A, B> Overlay for OnExchange<S, T, A, B>
where
    S: Send,
    T: Send,
    A: FnMut(&mut S, &mut http::Request<Bytes>) -> Option<T> + Send,
    B: FnMut(&mut S, T, &mut http::Response<Bytes>) + Send,
{
    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Request(id, request) = &mut input
            && let Some(found) = (self.request)(&mut self.state, request)
        {
            self.open.insert(*id, found);
        }
        vec![input]
    }

    fn output(&mut self, mut output: Output) -> Vec<Output> {
        if let Output::Respond(id, response) = &mut output
            && let Some(found) = self.open.remove(id)
        {
            (self.response)(&mut self.state, found, response);
        }
        vec![output]
    }
}

/// An overlay that lets a back end's write of `method` also write the reported section: `choose`
/// turns the write's body into a reported PATCH, which is made in the name of the device.
pub(super) fn reports_too(
    method: Method,
    choose: impl Fn(&Value) -> Option<Value> + Send + 'static,
) -> Box<dyn Overlay> {
    let mut connections: HashMap<String, ConnectionId> = HashMap::new();
    on_input(move |input| {
        let mut inputs = Vec::new();
        match &input {
            Input::Packet(id, Packet::Connect(connect)) => {
                connections.insert(connect.client_id.clone(), *id);
            }
            Input::Request(_, request) if is_twin_write(request) && request.method() == method => {
                let path = request.uri().path().trim_start_matches("/twins/");
                let connection = connections.get(&path.replace("/modules/", "/"));
                let body = serde_json::from_slice(request.body()).unwrap_or_default();
                if let (Some(id), Some(patch)) = (connection, choose(&body)) {
                    let topic = DeviceTopic::TwinPatch { rid: None, version: None }.to_topic();
                    let publish = Publish::at_most_once(topic, patch.to_string());
                    inputs.push(Input::Packet(*id, Packet::Publish(publish)));
                }
            }
            _ => {}
        }
        inputs.push(input);
        inputs
    })
}

/// Applies `edit` to every value in `members` and below.
pub(super) fn edit_values(members: &mut Members, edit: &impl Fn(&mut Value)) {
    members.values_mut().for_each(|value| edit_value(value, edit));
}

fn edit_value(value: &mut Value, edit: &impl Fn(&mut Value)) {
    match value {
        Value::Object(members) => edit_values(members, edit),
        Value::Array(elements) => elements.iter_mut().for_each(|e| edit_value(e, edit)),
        _ => {}
    }
    edit(value);
}

/// Whether `value` is a Boolean, number or string.
pub(super) fn is_scalar(value: &Value) -> bool {
    value.is_boolean() || value.is_number() || value.is_string()
}

/// Adds a key that every hub refuses.
pub(super) fn spoil(members: &mut Members) {
    members.insert("not allowed".to_owned(), Value::Bool(true));
}
