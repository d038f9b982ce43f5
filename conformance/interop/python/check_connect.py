"""Connecting: keys, refusals, trust (hub-auth.md § 6, § 8; sdk-wire-facts.md, Python device)."""

import base64

from azure.iot.device import Message
from azure.iot.device.exceptions import ClientError, CredentialError

import device
from backend import parse, sas_token
from runner import run


def primary_key(hub):
    """A device connects with its primary key, and the back end sees it come and go."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        assert client.connected, "the SDK says that it is not connected"
        device.eventually("Connected", lambda: _connection_state(hub, me) == "Connected")
    device.eventually("Disconnected", lambda: _connection_state(hub, me) == "Disconnected")


def secondary_key(hub):
    """A device connects with its secondary key as well."""
    me = hub.new_device()
    keys = hub.backend.device(me.id)["authentication"]["symmetricKey"]
    assert keys["secondaryKey"] != keys["primaryKey"], "both keys are the same"
    with device.connected(hub, _with_key(me, keys["secondaryKey"])) as client:
        assert client.connected, "the SDK says that it is not connected"


def token_instead_of_key(hub):
    """A device connects with a token signed outside the SDK."""
    me = hub.new_device()
    token = sas_token(f"{hub.hostname}/devices/{me.id}", _key(me))
    with device.connected_with_token(hub, token) as client:
        device.equal("desired version", client.get_twin()["desired"]["$version"], 1)


def telemetry(hub):
    """A telemetry message with properties is acknowledged."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        message = Message('{"temperature":21.5}', content_encoding="utf-8")
        message.content_type = "application/json"
        message.custom_properties["höhe"] = "5 m & more"
        # Returns only after the PUBACK.
        client.send_message(message)
        assert client.connected, "the hub closed the connection"


def untrusted_hub(hub):
    """Steering leaves TLS alone: without the hub's CA the SDK does not connect."""
    me = hub.new_device()
    with device.shut_down_at_end(
        device.create(hub, me.connection_string, server_verification_cert=None)
    ) as client:
        error = device.raised(ClientError, client.connect)
        assert "TLS" in str(error), f"failed for another reason: {error!r}"


def wrong_key(hub):
    """A wrong key gives CredentialError, and the right one still connects afterwards."""
    me = hub.new_device()
    _refused(hub, _with_key(me, base64.b64encode(bytes(32)).decode()))
    with device.connected(hub, me.connection_string):
        pass


def key_of_another_device(hub):
    """The key of one device does not open the connection of another."""
    me, other = hub.new_device(), hub.new_device()
    _refused(hub, _with_key(me, _key(other)))


def unknown_device(hub):
    """A device that is not registered gets CredentialError."""
    me = hub.new_device()
    _refused(hub, me.connection_string.replace(me.id, "nobody"))


def disabled_device(hub):
    """Disabling a device ends its connection and shuts it out until it is enabled again."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        hub.backend.set_status(me.id, "disabled")
        device.eventually("dropped", lambda: not client.connected)
    _refused(hub, me.connection_string)
    hub.backend.set_status(me.id, "enabled")
    with device.connected(hub, me.connection_string):
        pass


def _refused(hub, connection_string):
    with device.shut_down_at_end(device.create(hub, connection_string)) as client:
        device.raised(CredentialError, client.connect)
        assert not client.connected, "the SDK says that it is connected"


def _connection_state(hub, me):
    return hub.backend.twin(me.id)["connectionState"]


def _key(me):
    return parse(me.connection_string)["SharedAccessKey"]


def _with_key(me, key):
    return me.connection_string.replace(_key(me), key)


if __name__ == "__main__":
    run()
