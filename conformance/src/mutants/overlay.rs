//! Small tools to write a defect with.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use twinspec_harness::hub::Overlay;
use twinspec_model::hub::{ConnectionId, Input, Output};
use twinspec_model::wire::mqtt::{Packet, Publish};
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

/// Edits a JSON body in place; anything else is left alone.
pub fn edit_json(body: &mut Bytes, edit: impl FnOnce(&mut Value)) {
    if let Ok(mut value) = serde_json::from_slice(body) {
        edit(&mut value);
        *body = Bytes::from(value.to_string());
    }
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
