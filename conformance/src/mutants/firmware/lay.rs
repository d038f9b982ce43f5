//! Small tools to lay a defect over a device.

use serde_json::Value;
use twinspec_model::firmware::{self as model, Input, Output};
use twinspec_model::time::Time;

use super::Device;

struct Laid<S, F> {
    inner: Device,
    state: S,
    handle: F,
}

impl<S, F> model::Device for Laid<S, F>
where
    S: Send,
    F: FnMut(&mut Device, &mut S, Time, Input) -> Vec<Output> + Send,
{
    fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        (self.handle)(&mut self.inner, &mut self.state, now, input)
    }

    fn is_busy(&self) -> bool {
        self.inner.is_busy()
    }
}

/// A device whose inputs and outputs pass through `handle`, which has a memory.
pub(super) fn laid<S: Send + 'static>(
    inner: Device,
    state: S,
    handle: impl FnMut(&mut Device, &mut S, Time, Input) -> Vec<Output> + Send + 'static,
) -> Device {
    Box::new(Laid { inner, state, handle })
}

/// A device whose reports are edited, or lost where `edit` returns `false`.
pub(super) fn on_report(
    inner: Device,
    mut edit: impl FnMut(&mut Value) -> bool + Send + 'static,
) -> Device {
    laid(inner, (), move |inner, (), now, input| {
        let mut outputs = inner.handle(now, input);
        outputs.retain_mut(|output| match output {
            Output::Report(patch) => edit(patch),
            Output::Answer { .. } | Output::Begin(_) => true,
        });
        outputs
    })
}

/// A device whose inputs are edited, or lost where `edit` returns `false`.
pub(super) fn on_input(
    inner: Device,
    mut edit: impl FnMut(&mut Input) -> bool + Send + 'static,
) -> Device {
    laid(
        inner,
        (),
        move |inner, (), now, mut input| {
            if edit(&mut input) { inner.handle(now, input) } else { Vec::new() }
        },
    )
}

/// A device that says nothing when it is connected again.
pub(super) fn silent_after_reconnect(inner: Device) -> Device {
    laid(inner, false, |inner, was_connected, now, input| {
        let again = matches!(input, Input::Connected { .. }) && *was_connected;
        *was_connected |= matches!(input, Input::Connected { .. });
        let outputs = inner.handle(now, input);
        let stays = |output: &Output| !(again && matches!(output, Output::Report(_)));
        outputs.into_iter().filter(stays).collect()
    })
}

/// A device that never hears that the image is applied.
pub(super) fn stops_half_way(inner: Device) -> Device {
    on_input(inner, |input| !matches!(input, Input::Done(model::Phase::Apply, _)))
}

/// The text at a JSON pointer; empty when there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Replaces the text at a JSON pointer where it is `old`.
pub(super) fn replace(value: &mut Value, pointer: &str, old: &str, new: &str) {
    if let Some(place) = value.pointer_mut(pointer)
        && place.as_str() == Some(old)
    {
        *place = Value::from(new);
    }
}

/// Removes the member at a JSON pointer.
pub(super) fn remove(value: &mut Value, pointer: &str) {
    if let Some((outer, name)) = pointer.rsplit_once('/')
        && let Some(Value::Object(members)) = value.pointer_mut(outer)
    {
        members.remove(name);
    }
}
