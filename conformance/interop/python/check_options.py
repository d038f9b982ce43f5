"""The SDK behind options of its own: WebSocket, short-lived tokens, keep-alive, no retries
(hub-mqtt.md § 1, § 2.5; hub-auth.md § 7; sdk-wire-facts.md, Python device)."""

import threading

from azure.iot.device import Message, MethodResponse
from azure.iot.device.exceptions import CredentialError

import device
from runner import run

QUIET_SECONDS = 4
"""Longer than a hub waits for a client whose keep-alive is one second and that sends nothing."""


def websockets(hub):
    """Over WebSocket too: telemetry, the twin both ways, and methods."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string, websockets=True) as client:
        _answer(client)
        desired = device.watch_desired(client)
        client.send_message(Message("x" * 200_000))
        hub.backend.patch_desired(me.id, {"on": 1})
        device.equal("notification", desired.take(), {"on": 1, "$version": 2})
        client.patch_twin_reported_properties({"größe": "x" * 3000})
        device.equal("reported", len(client.get_twin()["reported"]["größe"]), 3000)
        answer = hub.backend.invoke(me.id, "echo", "y" * 100_000)
        device.equal("answer", len(answer["payload"]), 100_000)


def websockets_outage(hub):
    """A WebSocket that was cut comes back, still subscribed."""
    me = hub.new_device()
    with (
        hub.behind_relay(websockets=True) as relay,
        device.connected(hub, me.connection_string, websockets=True) as client,
    ):
        desired = device.watch_desired(client)
        with device.Subscriptions() as subscriptions:
            with relay.outage():
                device.eventually("the drop is noticed", lambda: not client.connected)
            device.eventually("the SDK is back", lambda: client.connected)
            hub.backend.patch_desired(me.id, {"on": 1})
            device.equal("change", desired.take()["on"], 1)
        device.equal("topics the SDK subscribed to again", subscriptions.topics, [])


def websockets_refused(hub):
    """A wrong key is refused over WebSocket as well."""
    me = hub.new_device()
    other = me.connection_string.replace(me.id, hub.new_device().id)
    with device.shut_down_at_end(device.create(hub, other, websockets=True)) as client:
        device.raised(CredentialError, client.connect)
    with device.connected(hub, me.connection_string, websockets=True) as client:
        assert client.connected, "the SDK says that it is not connected"


def short_lived_tokens(hub):
    """With tokens of 123 s the SDK renews after 3 s, and stays subscribed."""
    me = hub.new_device()
    changes = device.Inbox()
    # The SDK renews two minutes before a token expires.
    with device.connected(hub, me.connection_string, sastoken_ttl=123) as client:
        desired = device.watch_desired(client)
        client.on_connection_state_change = changes
        with device.Subscriptions() as subscriptions:
            changes.take(), changes.take()
            device.eventually("the SDK is back", lambda: client.connected)
            hub.backend.patch_desired(me.id, {"on": 1})
            device.equal("change", desired.take()["on"], 1)
        device.equal("topics the SDK subscribed to again", subscriptions.topics, [])


def quiet_client(hub):
    """A client that has nothing to say is kept as long as it pings."""
    me = hub.new_device()
    changes = device.Inbox()
    with device.connected(hub, me.connection_string, keep_alive=1) as client:
        client.on_connection_state_change = changes
        _answer(client, after_seconds=QUIET_SECONDS)
        answer = hub.backend.invoke(me.id, "slow", "still here")
        device.equal("answer", answer["payload"], "still here")
        assert changes.is_empty(), "the connection was lost meanwhile"


def without_retries(hub):
    """A client that does not reconnect by itself is where it was when it is told to."""
    me = hub.new_device()
    options = {"connection_retry": False, "auto_connect": False}
    with (
        hub.behind_relay() as relay,
        device.connected(hub, me.connection_string, **options) as client,
    ):
        desired = device.watch_desired(client)
        # Without this the SDK asks for the twin on its return and does not listen to the answer.
        client.get_twin()
        hub.backend.patch_desired(me.id, {"on": 1})
        device.equal("notification", desired.take(), {"on": 1, "$version": 2})
        with relay.outage():
            device.eventually("the drop is noticed", lambda: not client.connected)
            hub.backend.patch_desired(me.id, {"on": 2})
        assert not client.connected, "it came back by itself"
        client.connect()
        device.equal("synthetic patch", desired.take(), {"on": 2, "$version": 3})
        hub.backend.patch_desired(me.id, {"on": 3})
        device.equal("notification", desired.take(), {"on": 3, "$version": 4})


def product_info(hub):
    """A product name in the user name, with characters that must be encoded, is no hindrance."""
    me = hub.new_device()
    options = {"product_info": "pump/1.0 (größe & more?=#)"}
    with device.connected(hub, me.connection_string, **options) as client:
        device.equal("version", client.get_twin()["desired"]["$version"], 1)


def _answer(client, after_seconds=0):
    """Lets the client answer every call with its payload, at once or later."""

    def answer(request):
        response = MethodResponse.create_from_method_request(request, 200, request.payload)
        client.send_method_response(response)

    def handler(request):
        if after_seconds:
            timer = threading.Timer(after_seconds, answer, [request])
            timer.daemon = True
            timer.start()
        else:
            answer(request)

    client.on_method_request_received = handler


if __name__ == "__main__":
    run()
