"""What the handler for desired properties is given (hub-twins.md § 6; hub-mqtt.md § 6.3)."""

import device
from runner import run


def patch(hub):
    """A PATCH arrives as the back end made it, with the new version and nothing of the rest."""
    me = hub.new_device()
    hub.backend.patch_desired(me.id, {"old": True})
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        hub.backend.patch_desired(me.id, {"fan": {"rpm": 4}, "led": "on"})
        wanted = {"fan": {"rpm": 4}, "led": "on", "$version": 3}
        device.equal("notification", desired.take(), wanted)
        whole = {"old": True, "fan": {"rpm": 4}, "led": "on", "$version": 3}
        device.equal("twin", client.get_twin()["desired"], whole)


def nulls_are_forwarded(hub):
    """The nulls of a PATCH reach the device, and the keys are gone from the twin."""
    me = hub.new_device()
    hub.backend.patch_desired(me.id, {"led": "on", "fan": {"rpm": 4, "on": True}})
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        hub.backend.patch_desired(me.id, {"led": None, "fan": {"rpm": None}})
        wanted = {"led": None, "fan": {"rpm": None}, "$version": 3}
        device.equal("notification", desired.take(), wanted)
        left = {"fan": {"on": True}, "$version": 3}
        device.equal("twin", client.get_twin()["desired"], left)


def unchanged_values_are_sent(hub):
    """A PATCH that changes nothing is sent all the same, with a higher version."""
    me = hub.new_device()
    hub.backend.patch_desired(me.id, {"rpm": 4})
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        hub.backend.patch_desired(me.id, {"rpm": 4})
        device.equal("notification", desired.take(), {"rpm": 4, "$version": 3})


def put_names_vanished_keys(hub):
    """A PUT arrives as the new document plus a null for each key that vanished."""
    me = hub.new_device()
    hub.backend.patch_desired(me.id, {"rpm": 3, "led": "on"})
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        hub.backend.replace_desired(me.id, {"rpm": 3, "mode": "eco"})
        wanted = {"rpm": 3, "led": None, "mode": "eco", "$version": 3}
        device.equal("notification", desired.take(), wanted)
        left = {"rpm": 3, "mode": "eco", "$version": 3}
        device.equal("twin", client.get_twin()["desired"], left)


def put_of_nothing(hub):
    """A PUT of an empty section arrives as nulls for all that was there."""
    me = hub.new_device()
    hub.backend.patch_desired(me.id, {"rpm": 3, "led": "on"})
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        hub.backend.replace_desired(me.id, {})
        device.equal("notification", desired.take(), {"rpm": None, "led": None, "$version": 3})
        device.equal("twin", client.get_twin()["desired"], {"$version": 3})


def tags_are_not_announced(hub):
    """A change of tags alone reaches no device: the next thing to arrive is a later PATCH."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        hub.backend.patch_tags(me.id, {"site": "north"})
        hub.backend.patch_desired(me.id, {"sentinel": 1})
        device.equal("notification", desired.take(), {"sentinel": 1, "$version": 2})
        assert desired.is_empty(), "there was more than the sentinel"


def every_change_is_announced(hub):
    """Twenty PATCHes in quick succession give twenty notifications with consecutive versions."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        for step in range(20):
            hub.backend.patch_desired(me.id, {"step": step})
        # The SDK runs the handler on four threads, so that the order is not the hub's alone.
        got = sorted((desired.take() for _ in range(20)), key=lambda each: each["$version"])
        wanted = [{"step": step, "$version": step + 2} for step in range(20)]
        device.equal("notifications", got, wanted)


def unsubscribing_ends_it(hub):
    """After the handler is withdrawn nothing arrives; with a new one it does again."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        first = device.watch_desired(client)
        hub.backend.patch_desired(me.id, {"step": 1})
        device.equal("with a handler", first.take(), {"step": 1, "$version": 2})
        client.on_twin_desired_properties_patch_received = None
        hub.backend.patch_desired(me.id, {"step": 2})
        second = device.watch_desired(client)
        hub.backend.patch_desired(me.id, {"step": 3})
        device.equal("with a new handler", second.take(), {"step": 3, "$version": 4})
        assert first.is_empty() and second.is_empty(), "the PATCH in between was announced"


def only_the_device_concerned(hub):
    """A PATCH of one device does not reach another that is connected as well."""
    me, other = hub.new_device(), hub.new_device()
    with (
        device.connected(hub, me.connection_string) as mine,
        device.connected(hub, other.connection_string) as others,
    ):
        to_me, to_other = device.watch_desired(mine), device.watch_desired(others)
        hub.backend.patch_desired(me.id, {"for": "me"})
        hub.backend.patch_desired(other.id, {"for": "the other"})
        device.equal("mine", to_me.take(), {"for": "me", "$version": 2})
        device.equal("the other's", to_other.take(), {"for": "the other", "$version": 2})


if __name__ == "__main__":
    run()
