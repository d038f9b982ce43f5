"""A plain MQTT client, paho, with tokens of its own (hub-mqtt.md § 1 to § 6).

It knows nothing of hubs: no retries, no hidden subscriptions, and MQTT 5 if it is asked to.
"""

import contextlib
import json

import paho.mqtt.client as mqtt

import device
from backend import parse, sas_token
from runner import run
from steer import HTTPS, MQTTS

TRANSPORTS = ("tcp", "websockets")
NOT_SERVED = 132
"""What paho 1 calls a refusal for the protocol's version, in both versions of MQTT."""


def everything(hub):
    """Over TLS and WebSocket: telemetry, the twin both ways, a method."""
    for transport in TRANSPORTS:
        me = hub.new_device()
        with _connected(hub, me, transport) as client:
            client.subscribe_to("$iothub/twin/res/#", 0)
            client.subscribe_to("$iothub/twin/PATCH/properties/desired/#", 1)
            client.subscribe_to("$iothub/methods/POST/#", 1)
            client.send(f"devices/{me.id}/messages/events/$.ct=application%2Fjson&a=b", "{}", 1)
            client.send("$iothub/twin/GET/?$rid=1", "", 0)
            topic, body = client.messages.take()
            device.equal("topic", topic, "$iothub/twin/res/200/?$rid=1")
            sections = {"desired": {"$version": 1}, "reported": {"$version": 1}}
            device.equal("twin", body, sections)
            client.send("$iothub/twin/PATCH/properties/reported/?$rid=2", '{"a":1}', 1)
            topic, body = client.messages.take()
            device.equal("topic", topic, "$iothub/twin/res/204/?$rid=2&$version=2")
            hub.backend.patch_desired(me.id, {"b": None, "c": 1})
            topic, body = client.messages.take()
            device.equal("topic", topic, "$iothub/twin/PATCH/properties/desired/?$version=2")
            device.equal("body", body, {"b": None, "c": 1, "$version": 2})


def methods(hub):
    """A method is answered by hand, over either transport."""
    for transport in TRANSPORTS:
        me = hub.new_device()
        with _connected(hub, me, transport) as client:
            client.answer_methods_with = 207
            client.subscribe_to("$iothub/methods/POST/#", 0)
            answer = hub.backend.invoke(me.id, "stop", {"now": True})
            device.equal("answer", answer, {"status": 207, "payload": {"now": True}})


def sessions(hub):
    """A kept session is present on return, with its subscriptions; a clean one is not."""
    me = hub.new_device()
    desired = "$iothub/twin/PATCH/properties/desired/#"
    with _connected(hub, me) as client:
        device.equal("session present", client.session_present, 0)
        client.subscribe_to(desired, 0)
    with _connected(hub, me) as client:
        device.equal("session present", client.session_present, 1)
        hub.backend.patch_desired(me.id, {"on": 1})
        device.equal("body", client.messages.take()[1], {"on": 1, "$version": 2})
    with _connected(hub, me, clean_session=True) as client:
        device.equal("session present", client.session_present, 0)
        hub.backend.patch_desired(me.id, {"on": 2})
        client.subscribe_to("$iothub/twin/res/#", 0)
        client.send("$iothub/twin/GET/?$rid=1", "", 0)
        device.equal("topic", client.messages.take()[0], "$iothub/twin/res/200/?$rid=1")
    with _connected(hub, me) as client:
        device.equal("session present", client.session_present, 0)


def other_versions(hub):
    """Clients of MQTT 5 and of 3.1 are told that their version is not served, and 3.1.1 is."""
    me = hub.new_device()
    for transport in TRANSPORTS:
        for version in (mqtt.MQTTv5, mqtt.MQTTv31):
            client = _Client(hub, me, transport, version)
            with client.running():
                wanted = NOT_SERVED if version == mqtt.MQTTv5 else 1
                device.equal(f"version {version}", client.outcome.take(), wanted)
        with _connected(hub, me, transport):
            pass


def refusals(hub):
    """A token of another device, an expired one and no user name are answered 5."""
    me, other = hub.new_device(), hub.new_device()
    good = (_user(hub, me), _token(hub, me))
    for user, password in (
        (good[0], _token(hub, other)),
        (good[0], _token(hub, me, life_seconds=-600)),
        (_user(hub, other), good[1]),
        (good[0], "no token"),
        (f"{hub.hostname}/{me.id}", None),
        (None, None),
        good,
    ):
        client = _Client(hub, me, login=(user, password))
        with client.running():
            wanted = 0 if (user, password) == good else 5
            device.equal(f"outcome of {user} and {password}", client.outcome.take(), wanted)


def forbidden(hub):
    """Quality 2 and foreign topics end the connection; the device may come back."""
    me, other = hub.new_device(), hub.new_device()
    own = f"devices/{me.id}/messages/events/"
    for topic, quality in ((own, 2), (f"devices/{other.id}/messages/events/", 1), ("news", 1)):
        with _connected(hub, me) as client:
            client.send(own, "good", 1)
            client.publish(topic, "bad", quality)
            assert client.ended.take() != 0, "the client ended the connection itself"
    with _connected(hub, me) as client:
        device.equal("grant", client.subscribe_to("$iothub/methods/POST/#", 2), 1)
        client.subscribe("news/#", 1)
        assert client.ended.take() != 0, "the client ended the connection itself"


class _Client(mqtt.Client):
    """Paho's client; what happens to it is put into inboxes."""

    def __init__(
        self, hub, me, transport="tcp", version=mqtt.MQTTv311, clean_session=False, login=None
    ):
        options = {} if version == mqtt.MQTTv5 else {"clean_session": clean_session}
        super().__init__(client_id=me.id, protocol=version, transport=transport, **options)
        user, password = login or (_user(hub, me), _token(hub, me))
        if user is not None:
            self.username_pw_set(user, password)
        self.tls_set(ca_certs=str(hub.ca_file))
        self.ws_set_options(path="/$iothub/websocket")
        self.answer_methods_with = None
        self.outcome, self.ended = device.Inbox(), device.Inbox()
        self.messages, self._grants, self._sent = device.Inbox(), device.Inbox(), device.Inbox()
        self.on_connect = self._connected
        self.on_disconnect = lambda client, data, reason, *_: self.ended(int(reason))
        self.on_message = self._received
        self.on_subscribe = lambda client, data, number, granted, *_: self._grants(granted[0])
        self.on_publish = lambda client, data, number: self._sent(number)
        self._address = (hub.hostname, MQTTS if transport == "tcp" else HTTPS)

    @contextlib.contextmanager
    def running(self):
        self.connect(*self._address, keepalive=30)
        self.loop_start()
        try:
            yield self
        finally:
            self.disconnect()
            self.loop_stop()

    def subscribe_to(self, topic, quality):
        """What is granted for the topic."""
        self.subscribe(topic, quality)
        return self._grants.take()

    def send(self, topic, payload, quality):
        """Returns once it is sent and, above quality 0, acknowledged."""
        self.publish(topic, payload, quality)
        self._sent.take()

    def _connected(self, client, data, flags, reason, *_):
        self.session_present = flags["session present"]
        self.outcome(reason.value if hasattr(reason, "value") else reason)

    def _received(self, client, data, message):
        if self.answer_methods_with is None:
            body = json.loads(message.payload) if message.payload else None
            self.messages((message.topic, body))
            return
        answer = f"$iothub/methods/res/{self.answer_methods_with}/"
        self.publish(answer + message.topic.split("/")[-1], message.payload, 0)


@contextlib.contextmanager
def _connected(hub, me, transport="tcp", **options):
    with _Client(hub, me, transport, **options).running() as client:
        device.equal("outcome", client.outcome.take(), 0)
        yield client


def _user(hub, me):
    return f"{hub.hostname}/{me.id}/?api-version=2021-04-12"


def _token(hub, me, **options):
    key = parse(me.connection_string)["SharedAccessKey"]
    return sas_token(f"{hub.hostname}/devices/{me.id}", key, **options)


if __name__ == "__main__":
    run()
