//! Small tools to write a defect with.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, ExchangeId, Input, Output};
use twinspec_model::wire::mqtt::{ConnAck, Connect, ConnectCode, Packet, Publish};
use twinspec_model::wire::topic::{DeviceTopic, HubTopic};

/// An overlay that rewrites every output.
pub fn on_output(rewrite: impl FnMut(Output) -> Vec<Output> + Send + 'static) -> Box<dyn Overlay> {
    Box::new(OnOutput(rewrite))
}

/// An overlay that rewrites every input.
pub fn on_input(rewrite: impl FnMut(Input) -> Vec<Input> + Send + 'static) -> Box<dyn Overlay> {
    Box::new(OnInput(rewrite))
}

/// An overlay that rewrites inputs and outputs, with one memory for both.
pub fn on_both<S: Send + 'static>(
    state: S,
    input: impl FnMut(&mut S, Input) -> Vec<Input> + Send + 'static,
    output: impl FnMut(&mut S, Output) -> Vec<Output> + Send + 'static,
) -> Box<dyn Overlay> {
    Box::new(OnBoth(state, input, output))
}

/// An overlay that edits every PUBLISH the hub sends, or drops it by returning `false`.
pub fn on_hub_publish(
    mut edit: impl FnMut(&HubTopic, &mut Publish) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    on_output(move |output| edit_hub_publish(output, |_, topic, publish| edit(topic, publish)))
}

/// Edits a PUBLISH the hub sends, or drops it where `edit` returns `false`.
pub fn edit_hub_publish(
    output: Output,
    edit: impl FnOnce(ConnectionId, &HubTopic, &mut Publish) -> bool,
) -> Vec<Output> {
    match output {
        Output::Send(id, Packet::Publish(mut publish)) => match HubTopic::parse(&publish.topic) {
            Some(topic) if !edit(id, &topic, &mut publish) => Vec::new(),
            _ => vec![Output::Send(id, Packet::Publish(publish))],
        },
        other => vec![other],
    }
}

/// An overlay that edits every PUBLISH a device sends before the model sees it, or hides it by
/// returning `false`.
pub fn on_device_publish(
    mut edit: impl FnMut(ConnectionId, &DeviceTopic, &mut Publish) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    on_input(move |input| edit_device_publish(input, &mut edit))
}

/// Edits a PUBLISH a device sends, or hides it where `edit` returns `false`.
pub fn edit_device_publish(
    input: Input,
    edit: impl FnOnce(ConnectionId, &DeviceTopic, &mut Publish) -> bool,
) -> Vec<Input> {
    match input {
        Input::Packet(id, Packet::Publish(mut publish)) => {
            match DeviceTopic::parse(&publish.topic) {
                Some(topic) if !edit(id, &topic, &mut publish) => Vec::new(),
                _ => vec![Input::Packet(id, Packet::Publish(publish))],
            }
        }
        other => vec![other],
    }
}

/// An overlay that edits every HTTP request before the model sees it.
pub fn on_request(
    mut edit: impl FnMut(&mut http::Request<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_input(move |input| match input {
        Input::Request(id, mut request) => {
            edit(&mut request);
            vec![Input::Request(id, request)]
        }
        other => vec![other],
    })
}

/// An overlay that edits every HTTP response.
pub fn on_response(
    mut edit: impl FnMut(&mut http::Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_output(move |output| match output {
        Output::Respond(id, mut response) => {
            edit(&mut response);
            vec![Output::Respond(id, response)]
        }
        other => vec![other],
    })
}

/// An overlay that edits every CONNECT before the model sees it.
pub fn on_connect(
    mut edit: impl FnMut(ConnectionId, &mut Connect) + Send + 'static,
) -> Box<dyn Overlay> {
    on_input(move |mut input| {
        if let Input::Packet(id, Packet::Connect(connect)) = &mut input {
            edit(*id, connect);
        }
        vec![input]
    })
}

/// An overlay that answers some packets in the model's place: what `answer` returns is done, and
/// the model never sees the packet.
pub fn answering(
    mut answer: impl FnMut(ConnectionId, &Packet) -> Option<Vec<Output>> + Send + 'static,
) -> Box<dyn Overlay> {
    on_both(
        Vec::new(),
        move |answers, input| {
            if let Input::Packet(id, packet) = &input
                && let Some(outputs) = answer(*id, packet)
            {
                *answers = outputs;
                return vec![nudge()];
            }
            vec![input]
        },
        |answers, output| if is_nudged(&output) { std::mem::take(answers) } else { vec![output] },
    )
}

/// No exchange of the shell has this number.
const NUDGE: ExchangeId = ExchangeId(u64::MAX);

/// An input that changes nothing and has one output, by which an overlay gets its turn.
#[must_use]
pub fn nudge() -> Input {
    Input::Request(NUDGE, http::Request::new(Bytes::new()))
}

/// Whether this is the output of [`nudge`].
#[must_use]
pub fn is_nudged(output: &Output) -> bool {
    matches!(output, Output::Respond(NUDGE, _))
}

/// The connection that this output lets in.
#[must_use]
pub fn accepted(output: &Output) -> Option<ConnectionId> {
    match output {
        Output::Send(id, Packet::ConnAck(ConnAck { code: ConnectCode::Accepted, .. })) => Some(*id),
        _ => None,
    }
}

/// An overlay that edits HTTP requests and, by what it found there, their responses.
///
/// `request` returns what `response` needs; `None` leaves the response alone.
pub fn on_exchange<S: Send + 'static, T: Send + 'static>(
    state: S,
    mut request: impl FnMut(&mut S, &mut http::Request<Bytes>) -> Option<T> + Send + 'static,
    mut response: impl FnMut(&mut S, T, &mut http::Response<Bytes>) + Send + 'static,
) -> Box<dyn Overlay> {
    // The outputs of an input pass before the next input comes.
    on_both(
        (state, None),
        move |(state, found), mut input| {
            if let Input::Request(_, asked) = &mut input {
                *found = request(state, asked);
            }
            vec![input]
        },
        move |(state, found), mut output| {
            if let Output::Respond(_, answer) = &mut output
                && let Some(found) = found.take()
            {
                response(state, found, answer);
            }
            vec![output]
        },
    )
}

/// Edits a JSON body in place; anything else is left alone.
pub fn edit_json(body: &mut Bytes, edit: impl FnOnce(&mut Value)) {
    if let Ok(mut value) = serde_json::from_slice(body) {
        edit(&mut value);
        *body = Bytes::from(value.to_string());
    }
}

/// An overlay whose two sides share `memory`.
///
/// The outputs of an input pass before the next input comes, so that remembering the last input is
/// enough to know what an output answers.
pub fn remembering<M: Send + 'static>(
    memory: M,
    input: fn(&mut M, Input) -> Vec<Input>,
    output: fn(&mut M, Output) -> Vec<Output>,
) -> Box<dyn Overlay> {
    Box::new(Remembering { memory, input, output })
}

/// An overlay that edits the members of each section that is written, before the model sees them.
///
/// The text names writer and section: `/twins/{id} tags`, `/twins/{id} desired` or
/// `connection {number} reported`.
pub fn on_written(
    mut edit: impl FnMut(&str, &mut Map<String, Value>) + Send + 'static,
) -> Box<dyn Overlay> {
    on_input(move |mut input| {
        match &mut input {
            Input::Request(_, request) if request.uri().path().starts_with("/twins/") => {
                let path = request.uri().path().to_owned();
                edit_json(request.body_mut(), |body| {
                    for (name, pointer) in [("tags", "/tags"), ("desired", "/properties/desired")] {
                        if let Some(Value::Object(members)) = body.pointer_mut(pointer) {
                            edit(&format!("{path} {name}"), members);
                        }
                    }
                });
            }
            Input::Packet(id, Packet::Publish(publish)) => {
                let topic = DeviceTopic::parse(&publish.topic);
                if matches!(topic, Some(DeviceTopic::TwinPatch { .. })) {
                    edit_json(&mut publish.payload, |body| {
                        if let Value::Object(members) = body {
                            edit(&format!("connection {} reported", id.0), members);
                        }
                    });
                }
            }
            _ => {}
        }
        vec![input]
    })
}

/// An overlay that edits `desired` and `reported` together, wherever back ends and devices read
/// them.
pub fn on_properties(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_output(move |mut output| {
        edit_properties(&mut output, &mut edit);
        vec![output]
    })
}

/// Edits `desired` and `reported` together, if `output` carries them.
pub fn edit_properties(output: &mut Output, edit: &mut impl FnMut(&mut Value)) {
    match output {
        Output::Respond(_, response) => edit_json(response.body_mut(), |twin| {
            if let Some(properties) = twin.get_mut("properties") {
                edit(properties);
            }
        }),
        Output::Send(_, Packet::Publish(publish)) => {
            let topic = HubTopic::parse(&publish.topic);
            if matches!(topic, Some(HubTopic::TwinResponse { status: 200, .. })) {
                edit_json(&mut publish.payload, edit);
            }
        }
        _ => {}
    }
}

/// An overlay that edits each twin that a back end is shown.
pub fn on_twin(mut edit: impl FnMut(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_response(move |response| {
        edit_json(response.body_mut(), |body| {
            if body.get("properties").is_some() {
                edit(body);
            }
        });
    })
}

/// Sets a member of a JSON object; anything else is left alone.
pub fn set(object: &mut Value, member: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
}

/// Lets `edit` see `value` and each value inside it, the outer ones first.
pub fn each_value(value: &mut Value, edit: &mut dyn FnMut(&mut Value)) {
    edit(value);
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|inner| each_value(inner, edit)),
        Value::Object(members) => members.values_mut().for_each(|inner| each_value(inner, edit)),
        _ => {}
    }
}

/// An overlay that edits each value in each section that is written.
pub fn on_written_values(edit: impl Fn(&mut Value) + Send + 'static) -> Box<dyn Overlay> {
    on_written(move |_, members| {
        members.values_mut().for_each(|value| each_value(value, &mut |value| edit(value)));
    })
}

/// Sets the status of a response.
pub fn set_status(response: &mut http::Response<Bytes>, status: u16) {
    if let Ok(status) = StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
}

/// The client ids of open connections, learnt from what goes in.
#[derive(Clone, Debug, Default)]
pub struct ClientIds(BTreeMap<ConnectionId, String>);

impl ClientIds {
    /// Learns from an input.
    pub fn learn(&mut self, input: &Input) {
        match input {
            Input::Packet(id, Packet::Connect(connect)) => {
                self.0.insert(*id, connect.client_id.clone());
            }
            Input::Closed(id) => drop(self.0.remove(id)),
            _ => {}
        }
    }

    /// The client id of a connection; empty when it is not known.
    #[must_use]
    pub fn of(&self, id: ConnectionId) -> &str {
        self.0.get(&id).map_or("", String::as_str)
    }

    /// All connections with their client ids.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &str)> {
        self.0.iter().map(|(id, client_id)| (*id, client_id.as_str()))
    }
}

struct OnBoth<S, I, O>(S, I, O);

impl<S, I, O> Overlay for OnBoth<S, I, O>
where
    S: Send,
    I: FnMut(&mut S, Input) -> Vec<Input> + Send,
    O: FnMut(&mut S, Output) -> Vec<Output> + Send,
{
    fn input(&mut self, input: Input) -> Vec<Input> {
        (self.1)(&mut self.0, input)
    }

    fn output(&mut self, output: Output) -> Vec<Output> {
        (self.2)(&mut self.0, output)
    }
}

struct OnOutput<F>(F);

impl<F: FnMut(Output) -> Vec<Output> + Send> Overlay for OnOutput<F> {
    fn output(&mut self, output: Output) -> Vec<Output> {
        (self.0)(output)
    }
}

struct OnInput<F>(F);

impl<F: FnMut(Input) -> Vec<Input> + Send> Overlay for OnInput<F> {
    fn input(&mut self, input: Input) -> Vec<Input> {
        (self.0)(input)
    }
}

struct Remembering<M> {
    memory: M,
    input: fn(&mut M, Input) -> Vec<Input>,
    output: fn(&mut M, Output) -> Vec<Output>,
}

impl<M: Send> Overlay for Remembering<M> {
    fn input(&mut self, input: Input) -> Vec<Input> {
        (self.input)(&mut self.memory, input)
    }

    fn output(&mut self, output: Output) -> Vec<Output> {
        (self.output)(&mut self.memory, output)
    }
}
