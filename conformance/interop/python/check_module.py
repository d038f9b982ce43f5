"""Modules: identities, connections and twins of their own (hub-twins.md § 1.3; hub-mqtt.md § 2)."""

import contextlib

from azure.iot.device import MethodResponse
from azure.iot.device.exceptions import CredentialError

import device
from backend import parse
from runner import run

MODULE = "vision"


def module_twin(hub):
    """A module connects with its own key and reads and patches its own twin."""
    me = hub.new_device()
    with device.connected(hub, _module(hub, me)) as module:
        fresh = {"desired": {"$version": 1}, "reported": {"$version": 1}}
        device.equal("twin", module.get_twin(), fresh)
        module.patch_twin_reported_properties({"frames": 25, "lens": None})
        reported = hub.backend.twin(me.id, MODULE)["properties"]["reported"]
        device.equal("frames", reported["frames"], 25)
        device.equal("version", reported["$version"], 2)
        of_device = hub.backend.twin(me.id)["properties"]["reported"]
        device.equal("version of the device's own twin", of_device["$version"], 1)


def module_desired(hub):
    """A module is notified of its own desired changes, a PATCH and a PUT, nulls included."""
    me = hub.new_device()
    with device.connected(hub, _module(hub, me)) as module:
        desired = device.watch_desired(module)
        hub.backend.patch_desired(me.id, {"fps": 30, "zoom": None}, MODULE)
        device.equal("PATCH", desired.take(), {"fps": 30, "zoom": None, "$version": 2})
        hub.backend.replace_desired(me.id, {"mode": "night"}, MODULE)
        device.equal("PUT", desired.take(), {"fps": None, "mode": "night", "$version": 3})


def beside_its_device(hub):
    """A device and its module are connected at once, and each is notified of its own changes."""
    me = hub.new_device()
    with (
        device.connected(hub, _module(hub, me)) as module,
        device.connected(hub, me.connection_string) as whole,
    ):
        to_module, to_device = device.watch_desired(module), device.watch_desired(whole)
        hub.backend.patch_desired(me.id, {"for": "the module"}, MODULE)
        hub.backend.patch_desired(me.id, {"for": "the device"})
        device.equal("the module's", to_module.take(), {"for": "the module", "$version": 2})
        device.equal("the device's", to_device.take(), {"for": "the device", "$version": 2})
        assert module.connected and whole.connected, "one evicted the other"


def module_method(hub):
    """A call to a module reaches the module, not its device."""
    me = hub.new_device()
    with contextlib.ExitStack() as clients:
        for name, string in (("module", _module(hub, me)), ("device", me.connection_string)):
            client = clients.enter_context(device.connected(hub, string))
            client.on_method_request_received = _answer_with(client, name)
        answer = hub.backend.invoke(me.id, "who", None, MODULE)
        device.equal("answer", answer, {"status": 200, "payload": "module"})


def keys_do_not_mix(hub):
    """The device's key does not open the module's connection, nor the module's the device's."""
    me = hub.new_device()
    module = _module(hub, me)
    for string, foreign in ((module, me.connection_string), (me.connection_string, module)):
        own_key, foreign_key = (parse(each)["SharedAccessKey"] for each in (string, foreign))
        string = string.replace(own_key, foreign_key)
        with device.shut_down_at_end(device.create(hub, string)) as client:
            device.raised(CredentialError, client.connect)


def _module(hub, me):
    return hub.backend.create_module(me.id, MODULE)


def _answer_with(client, payload):
    def handler(request):
        response = MethodResponse.create_from_method_request(request, 200, payload)
        client.send_method_response(response)

    return handler


if __name__ == "__main__":
    run()
