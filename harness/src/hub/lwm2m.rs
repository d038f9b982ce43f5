//! One LWM2M connection of the reference hub.

use bytes::BytesMut;
use twinspec_model::hub::{ConnectionId, Input};
use twinspec_model::wire::coap;

use super::mqtt::see_through;
use super::shared::Shared;
use crate::device::Stream;

pub(super) async fn serve(stream: impl Stream, shared: &Shared) {
    let (id, link) = shared.open_link(Input::Lwm2mOpened);
    see_through(stream, shared, id, &link, inputs).await;
}

/// Everything complete in `inbox`; a message has 64 KB at most, so that this bounds what waits.
fn inputs(id: ConnectionId, inbox: &mut BytesMut) -> Vec<Input> {
    let mut inputs = Vec::new();
    loop {
        match coap::decode(inbox) {
            Ok(Some(message)) => inputs.push(Input::Lwm2m(id, message)),
            Ok(None) => return inputs,
            Err(malformed) => {
                inbox.clear();
                inputs.push(Input::Lwm2mMalformed(id, malformed));
                return inputs;
            }
        }
    }
}
