//! Small tools to write a defect with.

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

/// An overlay that edits every PUBLISH the hub sends, or drops it by returning `false`.
pub fn on_hub_publish(
    mut edit: impl FnMut(&HubTopic, &mut Publish) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    on_output(move |output| match output {
        Output::Send(id, Packet::Publish(mut publish)) => match HubTopic::parse(&publish.topic) {
            Some(topic) if !edit(&topic, &mut publish) => Vec::new(),
            _ => vec![Output::Send(id, Packet::Publish(publish))],
        },
        other => vec![other],
    })
}

/// An overlay that edits every PUBLISH a device sends before the model sees it, or hides it by
/// returning `false`.
pub fn on_device_publish(
    mut edit: impl FnMut(ConnectionId, &DeviceTopic, &mut Publish) -> bool + Send + 'static,
) -> Box<dyn Overlay> {
    on_input(move |input| match input {
        Input::Packet(id, Packet::Publish(mut publish)) => {
            match DeviceTopic::parse(&publish.topic) {
                Some(topic) if !edit(id, &topic, &mut publish) => Vec::new(),
                _ => vec![Input::Packet(id, Packet::Publish(publish))],
            }
        }
        other => vec![other],
    })
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
