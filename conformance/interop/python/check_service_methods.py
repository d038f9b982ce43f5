"""Direct methods from the service SDK to the device SDK (hub-methods.md § 2 to § 6)."""

import contextlib
import threading
import time

from azure.iot.device import MethodResponse
from azure.iot.hub.models import CloudToDeviceMethod

import device
import service
from runner import run

NOT_ONLINE = (404, "DeviceNotOnline")


def round_trip(hub):
    """A method reaches the device by name and payload; its status and payload come back."""
    registry, me = service.registry(hub), hub.new_device()
    with _echoing(hub, me.connection_string, status=201) as requests:
        result = registry.invoke_device_method(me.id, _call({"rate": 7, "was": None}))
        device.equal("result", _plain(result), [201, {"rate": 7, "was": None}])
        request = requests.take()
        device.equal("request", [request.name, request.payload], ["echo", {"rate": 7, "was": None}])


def payloads(hub):
    """Payloads of every JSON type come back as they were sent; none is an empty text."""
    registry, me = service.registry(hub), hub.new_device()
    with _echoing(hub, me.connection_string):
        others = (0, -1.5, False, [], [1, [None]], {}, {"a.b": {"$c": None}})
        for payload in ("", "µm 🙂", "2031-01-02T03:04:05Z", "x" * 120_000, *others):
            result = registry.invoke_device_method(me.id, _call(payload))
            device.equal("result", _plain(result), [200, payload])
        # The SDK sends an empty text where no payload is given.
        device.equal("result", _plain(registry.invoke_device_method(me.id, _call(None))), [200, ""])


def error_status(hub):
    """The device's own status is a result, whatever it is."""
    registry, me = service.registry(hub), hub.new_device()
    for status in (299, 404, 500, 1001):
        with _echoing(hub, me.connection_string, status):
            result = registry.invoke_device_method(me.id, _call("x"))
            device.equal("result", _plain(result), [status, "x"])


def offline(hub):
    """A device that is away or listens to no methods gives 404 at once, an unknown one too."""
    registry, me = service.registry(hub), hub.new_device()
    service.refused(*NOT_ONLINE, registry.invoke_device_method, me.id, _call())
    with device.connected(hub, me.connection_string):
        service.refused(*NOT_ONLINE, registry.invoke_device_method, me.id, _call())
    unknown = (registry.invoke_device_method, service.new_id("nobody"), _call())
    service.refused(404, "DeviceNotFound", *unknown)
    module = (registry.invoke_device_module_method, me.id, "nothing", _call())
    service.refused(404, "ModuleNotFound", *module)


def awaited(hub):
    """With a connect timeout the call waits for the device to come, and is then delivered."""
    registry, me = service.registry(hub), hub.new_device()
    results = device.Inbox()
    call = _call("early", connect_timeout_in_seconds=20)
    waiting = threading.Thread(
        target=lambda: results(_plain(registry.invoke_device_method(me.id, call))), daemon=True
    )
    waiting.start()
    with _echoing(hub, me.connection_string):
        device.equal("result", results.take(), [200, "early"])


def silent_device(hub):
    """A device that does not answer gives 504 after the response timeout."""
    registry, me = service.registry(hub), hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        client.on_method_request_received = lambda request: None
        begin = time.monotonic()
        call = (registry.invoke_device_method, me.id, _call(response_timeout_in_seconds=5))
        service.refused(504, "GatewayTimeout", *call)
        assert time.monotonic() - begin > 4.5, "it gave up early"


def bad_calls(hub):
    """Timeouts out of range, no name and payloads above 128 KB are refused; a good call works."""
    registry, me = service.registry(hub), hub.new_device()
    with _echoing(hub, me.connection_string):
        for bad in (
            _call(response_timeout_in_seconds=4),
            _call(response_timeout_in_seconds=301),
            _call(connect_timeout_in_seconds=301),
            _call("x" * 140_000),
            CloudToDeviceMethod(payload=1),
        ):
            error = device.raised(
                service.HttpOperationError, registry.invoke_device_method, me.id, bad
            )
            device.equal("status", error.response.status_code, 400)
        device.equal("result", _plain(registry.invoke_device_method(me.id, _call(1))), [200, 1])


def modules(hub):
    """A method of a module reaches the module, not its device."""
    registry, me = service.registry(hub), hub.new_device()
    connection_string = hub.backend.create_module(me.id, "fan")
    with _echoing(hub, me.connection_string, 201), _echoing(hub, connection_string, 202):
        result = registry.invoke_device_module_method(me.id, "fan", _call("x"))
        device.equal("module", _plain(result), [202, "x"])
        device.equal("device", _plain(registry.invoke_device_method(me.id, _call(1))), [201, 1])


def _call(payload=None, response_timeout_in_seconds=10, **timeouts):
    return CloudToDeviceMethod(
        method_name="echo",
        payload=payload,
        response_timeout_in_seconds=response_timeout_in_seconds,
        **timeouts,
    )


@contextlib.contextmanager
def _echoing(hub, connection_string, status=200):
    """A connected client that answers each call with its payload."""
    requests = device.Inbox()
    with device.connected(hub, connection_string) as client:

        def handler(request):
            requests(request)
            response = MethodResponse.create_from_method_request(request, status, request.payload)
            client.send_method_response(response)

        client.on_method_request_received = handler
        yield requests


def _plain(result):
    return [result.status, result.payload]


if __name__ == "__main__":
    run()
