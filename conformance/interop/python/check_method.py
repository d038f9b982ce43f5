"""Direct methods (hub-methods.md § 3 to § 5)."""

import threading

from azure.iot.device import MethodResponse

import device
from backend import Refused
from runner import run

METHODS = "$iothub/methods/POST/#"
PAYLOADS = (None, "", "text", "größe 🙂", 7, 0.5, True, [], [1, "two"], {}, {"a": {"b": 1}})


def call(hub):
    """A call reaches the handler by name, and the handler's status and payload reach the caller."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        requests = _answer(client, 222, {"done": True})
        answer = hub.backend.invoke(me.id, "Reboot", {"delay": 5})
        device.equal("answer", answer, {"status": 222, "payload": {"done": True}})
        request = requests.take()
        device.equal("name", request.name, "Reboot")
        device.equal("payload", request.payload, {"delay": 5})


def payload_kinds(hub):
    """Payloads of every JSON type go to the device and come back unchanged."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        _answer(client, 200)
        for payload in PAYLOADS:
            answer = hub.backend.invoke(me.id, "echo", payload)
            device.equal("answer", answer, {"status": 200, "payload": payload})


def error_status(hub):
    """A device's own error status arrives inside an answer that itself succeeded."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        for status in (404, 500, 1234):
            _answer(client, status, None)
            answer = hub.backend.invoke(me.id, "anything", {})
            device.equal("answer", answer, {"status": status, "payload": None})


def not_subscribed(hub):
    """A device that is away, or is there without a handler, is not online for methods."""
    me = hub.new_device()
    _not_online(hub, me)
    with device.connected(hub, me.connection_string) as client:
        _not_online(hub, me)
        _answer(client, 200, "here")
        device.equal("answer", hub.backend.invoke(me.id, "call", None)["payload"], "here")
    _not_online(hub, me)


def late_answer(hub):
    """A call the device answers too late fails with 504, and the late answer harms no later call."""
    me = hub.new_device()
    hold = threading.Event()
    with device.connected(hub, me.connection_string) as client:

        def handler(request):
            if request.name == "slow":
                hold.wait(device.MESSAGE_SECONDS)
            client.send_method_response(_response(request, 200, request.name))

        client.on_method_request_received = handler
        error = device.raised(Refused, lambda: _slow(hub, me))
        device.equal("status", error.status, 504)
        hold.set()
        device.equal("answer", hub.backend.invoke(me.id, "quick", None)["payload"], "quick")


def after_an_outage(hub):
    """After an outage calls arrive again, though the SDK does not subscribe again."""
    me = hub.new_device()
    with hub.behind_relay() as relay, device.connected(hub, me.connection_string) as client:
        with device.Subscriptions() as subscriptions:
            _answer(client, 200, "here")
        device.equal("topics the SDK subscribed to", subscriptions.topics, [METHODS])
        with device.Subscriptions() as subscriptions:
            with relay.outage():
                device.eventually("the drop is noticed", lambda: not client.connected)
            device.eventually("the SDK is back", lambda: client.connected)
            answer = hub.backend.invoke(me.id, "call", None)
            device.equal("answer", answer, {"status": 200, "payload": "here"})
        device.equal("topics the SDK subscribed to again", subscriptions.topics, [])


_ECHO = object()


def _answer(client, status, payload=_ECHO):
    """Lets the client answer every call, with the request's own payload unless another is given."""
    requests = device.Inbox()

    def handler(request):
        requests(request)
        answer = request.payload if payload is _ECHO else payload
        client.send_method_response(_response(request, status, answer))

    client.on_method_request_received = handler
    return requests


def _response(request, status, payload):
    return MethodResponse.create_from_method_request(request, status, payload)


def _slow(hub, me):
    """Five seconds is the least a caller may allow."""
    return hub.backend.invoke(me.id, "slow", None, response_seconds=5)


def _not_online(hub, me):
    error = device.raised(Refused, lambda: hub.backend.invoke(me.id, "call", None))
    device.equal("status", error.status, 404)
    assert "404103" in error.body, f"another 404: {error.body}"


if __name__ == "__main__":
    run()
