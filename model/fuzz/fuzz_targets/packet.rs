//! Bytes of any kind into the packet path: decoder, hub, encoder. What is decoded must survive a
//! round trip, and the hub must take it without a panic.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use twinspec_model::hub::{ConnectionId, Hub, HubConfig, Input, Output};
use twinspec_model::time::Time;
use twinspec_model::wire::mqtt::{self, Packet};

const LENGTH_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let mut hub = Hub::new(HubConfig::new("hub.example", [0; 32]));
    let (id, now) = (ConnectionId(1), Time::from_unix_seconds(1_900_000_000));
    hub.handle(now, Input::Opened(id, None));
    let mut input = BytesMut::from(data);
    loop {
        match mqtt::decode(&mut input, LENGTH_MAX) {
            Ok(Some(packet)) => {
                let is_other_version = matches!(&packet, Packet::Connect(c) if c.level != 4);
                if !is_other_version {
                    let again = mqtt::decode(&mut packet.to_bytes(), LENGTH_MAX);
                    assert_eq!(again, Ok(Some(packet.clone())));
                }
                for output in hub.handle(now, Input::Packet(id, packet)) {
                    if let Output::Send(_, packet) = output {
                        assert!(mqtt::decode(&mut packet.to_bytes(), LENGTH_MAX).is_ok());
                    }
                }
            }
            Ok(None) => return,
            Err(malformed) => {
                hub.handle(now, Input::Malformed(id, malformed));
                return;
            }
        }
    }
});
