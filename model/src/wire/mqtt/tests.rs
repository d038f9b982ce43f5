//! The codec against hand-made bytes, and its laws.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

fn decoded(bytes: &[u8]) -> Result<Option<Packet>, Malformed> {
    decode(&mut BytesMut::from(bytes), MAX)
}

/// CONNECT with the given flags and payload; keep-alive 60.
fn connect_bytes(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x10, u8::try_from(10 + payload.len()).unwrap()];
    bytes.extend(b"\x00\x04MQTT\x04");
    bytes.extend([flags, 0, 60]);
    bytes.extend(payload);
    bytes
}

#[test]
fn packets_that_the_standard_forbids_are_refused_with_their_clause() {
    let cases: &[(&[u8], &str)] = &[
        (&[0x00, 0], "§ 2.2.1"),
        (&[0xf0, 0], "§ 2.2.1"),
        (&[0xc1, 0], "MQTT-2.2.2-2"),
        (&[0x80, 6, 0, 1, 0, 1, b'a', 0], "MQTT-2.2.2-2"),
        (&[0x36, 5, 0, 1, b'a', 0, 1], "MQTT-3.3.1-4"),
        (&[0x38, 3, 0, 1, b'a'], "MQTT-3.3.1-2"),
        (&[0x30, 3, 0, 1, b'#'], "MQTT-3.3.2-2"),
        (&[0x30, 2, 0, 0], "MQTT-4.7.3-1"),
        (&[0x30, 3, 0, 1, 0], "MQTT-1.5.3-2"),
        (&[0x30, 3, 0, 1, 0xff], "MQTT-1.5.3-1"),
        (&[0x30, 3, 0, 9, b'a'], "§ 2.2.3"),
        (&[0x32, 5, 0, 1, b'a', 0, 0], "MQTT-2.3.1-1"),
        (&[0x82, 2, 0, 1], "MQTT-3.8.3-3"),
        (&[0x82, 6, 0, 1, 0, 1, b'a', 3], "MQTT-3.8.3-4"),
        (&[0x82, 8, 0, 1, 0, 3, b'#', b'/', b'a', 0], "MQTT-4.7.1-2"),
        (&[0x82, 7, 0, 1, 0, 2, b'a', b'+', 0], "MQTT-4.7.1-3"),
        (&[0xa2, 2, 0, 1], "MQTT-3.10.3-2"),
        (&[0x40, 3, 0, 1, 0], "§ 2.2.3"),
        (&[0xc0, 1, 0], "§ 2.2.3"),
        (&[0xc0, 0xff, 0xff, 0xff, 0xff, 1], "§ 2.2.3"),
    ];
    for (bytes, clause) in cases {
        let error = decoded(bytes).expect_err(&format!("accepted {bytes:02x?}"));
        assert_eq!(error.clause, *clause, "{bytes:02x?}: {error}");
    }
}

#[test]
fn connect_flags_are_checked() {
    let cases: &[(u8, &[u8], &str)] = &[
        (0b11, b"\x00\x01a", "MQTT-3.1.2-3"),
        (0b1010, b"\x00\x01a", "MQTT-3.1.2-11"),
        (0b1_1110, b"\x00\x01a\x00\x01t\x00\x00", "MQTT-3.1.2-14"),
        (0x42, b"\x00\x01a\x00\x01p", "MQTT-3.1.2-22"),
        (0x00, b"\x00\x00", "MQTT-3.1.3-7"),
    ];
    for (flags, payload, clause) in cases {
        let error = decoded(&connect_bytes(*flags, payload)).expect_err(clause);
        assert_eq!(error.clause, *clause, "{error}");
    }
}

#[test]
fn a_binary_password_is_legal() {
    let bytes = connect_bytes(0xc2, b"\x00\x01a\x00\x01u\x00\x02\xff\x00");
    let Some(Packet::Connect(connect)) = decoded(&bytes).unwrap() else { panic!("no CONNECT") };
    assert_eq!(connect.password, Some(Bytes::from_static(b"\xff\x00")));
}

#[test]
fn another_protocol_level_is_told_and_not_parsed() {
    let bytes = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00";
    let Some(Packet::Connect(connect)) = decoded(bytes).unwrap() else { panic!("no CONNECT") };
    assert_eq!(connect.level, 5);
    let bytes = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a";
    let Some(Packet::Connect(connect)) = decoded(bytes).unwrap() else { panic!("no CONNECT") };
    assert_eq!(connect.level, 3);
    for bytes in [
        &b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x3c\x00\x01a"[..],
        b"\x10\x0f\x00\x06MQIsdp\x04\x02\x00\x3c\x00\x01a",
    ] {
        assert_eq!(decoded(bytes).expect_err("another name").clause, "MQTT-3.1.2-1");
    }
}

#[test]
fn a_packet_above_the_limit_is_refused_before_its_body_arrives() {
    assert!(decode(&mut BytesMut::from(&[0x30, 0xff, 0x7f][..]), 1000).is_err());
}

fn id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn qos() -> impl Strategy<Value = Qos> {
    (0..=2_u8).prop_map(|level| Qos::from_level(level).unwrap())
}

fn packet() -> impl Strategy<Value = Packet> {
    let text = "[a-z/$?=éü]{1,20}";
    let delivery = prop_oneof![
        Just(Delivery::AtMostOnce),
        id().prop_map(Delivery::AtLeastOnce),
        id().prop_map(Delivery::ExactlyOnce),
    ];
    let payload = || prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let publish = (delivery, any::<bool>(), any::<bool>(), text, payload()).prop_map(
        |(delivery, dup, retain, topic, payload)| {
            let dup = dup && delivery != Delivery::AtMostOnce;
            Packet::Publish(Publish { dup, delivery, retain, topic, payload })
        },
    );
    let will = (text, payload(), qos(), any::<bool>())
        .prop_map(|(topic, payload, qos, retain)| Will { topic, payload, qos, retain });
    let connect = (
        text,
        any::<bool>(),
        any::<u16>(),
        prop::option::of(will),
        prop::option::of((text, prop::option::of(payload()))),
    );
    let connect = connect.prop_map(|(client_id, clean_session, keep_alive, will, login)| {
        let (user_name, password) =
            login.map_or((None, None), |(name, password)| (Some(name), password));
        let fresh = Connect::new(client_id);
        Packet::Connect(Box::new(Connect {
            clean_session,
            keep_alive,
            will,
            user_name,
            password,
            ..fresh
        }))
    });
    prop_oneof![
        connect,
        publish,
        (id(), prop::collection::vec((text, qos()), 1..4))
            .prop_map(|(id, filters)| Packet::Subscribe(Subscribe { id, filters })),
        (id(), prop::collection::vec(prop::option::of(qos()), 1..4))
            .prop_map(|(id, granted)| Packet::SubAck(SubAck { id, granted })),
        (id(), prop::collection::vec(text, 1..4))
            .prop_map(|(id, filters)| Packet::Unsubscribe(Unsubscribe { id, filters })),
        id().prop_map(Packet::PubAck),
        id().prop_map(Packet::PubRel),
        id().prop_map(Packet::UnsubAck),
        Just(Packet::PingReq),
        Just(Packet::Disconnect),
    ]
}

proptest! {
    #[test]
    fn decode_undoes_encode(packet in packet()) {
        prop_assert_eq!(decoded(&packet.to_bytes()).unwrap(), Some(packet));
    }

    #[test]
    fn one_byte_pieces_decode_like_the_whole(packets in prop::collection::vec(packet(), 1..4)) {
        let mut wire = BytesMut::new();
        packets.iter().for_each(|packet| packet.encode(&mut wire));
        let (mut input, mut seen) = (BytesMut::new(), Vec::new());
        for byte in wire {
            input.extend([byte]);
            seen.extend(decode(&mut input, MAX).unwrap());
        }
        prop_assert_eq!(seen, packets);
    }

    #[test]
    fn decoding_is_total(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _any_answer_will_do = decoded(&bytes);
    }
}
