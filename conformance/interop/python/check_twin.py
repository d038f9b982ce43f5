"""Reading the twin and reporting (hub-twins.md § 1 to § 5, § 8; hub-mqtt.md § 6.1, § 6.2)."""

from azure.iot.device.exceptions import ClientError, ServiceError

import device
from runner import run

SMALLEST, LARGEST = -4503599627370496, 4503599627370495


def fresh_twin(hub):
    """get_twin of a fresh device gives two empty sections with version 1, and nothing else."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        fresh = {"desired": {"$version": 1}, "reported": {"$version": 1}}
        device.equal("twin", client.get_twin(), fresh)


def tags_stay_hidden(hub):
    """get_twin shows desired properties set before, but neither tags nor metadata."""
    me = hub.new_device()
    hub.backend.patch_tags(me.id, {"site": "north"})
    hub.backend.patch_desired(me.id, {"rpm": 4})
    with device.connected(hub, me.connection_string) as client:
        wanted = {"desired": {"rpm": 4, "$version": 2}, "reported": {"$version": 1}}
        device.equal("twin", client.get_twin(), wanted)


def reported_patch(hub):
    """A reported patch is merged, seen by the back end, and raises the version by one."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties({"fan": {"rpm": 900, "on": True}})
        client.patch_twin_reported_properties({"fan": {"rpm": 950}, "door": "shut"})
        merged = {"fan": {"rpm": 950, "on": True}, "door": "shut", "$version": 3}
        device.equal("seen by the device", client.get_twin()["reported"], merged)
        device.equal("seen by the back end", _reported(hub, me), merged)
    metadata = hub.backend.twin(me.id)["properties"]["reported"]["$metadata"]
    assert "$lastUpdated" in metadata["fan"]["rpm"], f"no time on a leaf: {metadata}"


def null_deletes(hub):
    """A null deletes its key and nothing else, also inside an object."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties({"a": 1, "b": 2, "c": {"d": 3, "e": 4}})
        client.patch_twin_reported_properties({"a": None, "c": {"d": None}})
        device.equal("reported", _reported(hub, me), {"b": 2, "c": {"e": 4}, "$version": 3})


def null_creates_nothing(hub):
    """A null for a key that does not exist creates nothing but the object around it."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties({"gone": None, "a": {"b": None}})
        device.equal("reported", _reported(hub, me), {"a": {}, "$version": 2})


def value_kinds(hub):
    """Every JSON type comes back as it was sent, the integer limits and date-like text included."""
    me = hub.new_device()
    values = {
        "text": "2031-05-04T10:11:12.000Z",
        "empty": "",
        "numbers": {"smallest": SMALLEST, "largest": LARGEST, "fraction": 0.1, "zero": 0},
        "truth": {"yes": True, "no": False},
        "list": [1, "two", [3], {"four": 4}],
        "nothing": {},
    }
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties(values)
        wanted = values | {"$version": 2}
        device.equal("seen by the device", client.get_twin()["reported"], wanted)
        device.equal("seen by the back end", _reported(hub, me), wanted)


def non_ascii_text(hub):
    """Non-ASCII keys and values survive both ways, also outside the basic plane."""
    me = hub.new_device()
    # The SDK escapes them, the emoji as a pair of surrogates; our back end sends raw UTF-8.
    values = {"größe": "µm ≈ 10⁻⁶", "状態": {"表情": "🙂"}}
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        client.patch_twin_reported_properties(values)
        device.equal("seen by the back end", _reported(hub, me), values | {"$version": 2})
        hub.backend.patch_desired(me.id, values)
        device.equal("notification", desired.take(), values | {"$version": 2})
        whole = {"desired": values | {"$version": 2}, "reported": values | {"$version": 2}}
        device.equal("twin", client.get_twin(), whole)


def large_twin(hub):
    """A reported section of about 30 KB, sent at once, makes the round trip."""
    me = hub.new_device()
    values = _kilobytes(30)
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties(values)
        wanted = values | {"$version": 2}
        device.equal("seen by the device", client.get_twin()["reported"], wanted)
        device.equal("seen by the back end", _reported(hub, me), wanted)


def too_large_twin(hub):
    """A reported section of about 36 KB is refused with 403, and the stored one stays."""
    me = hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties({"before": 1})
        _refused(client, _kilobytes(36), status=403)
        device.equal("reported", _reported(hub, me), {"before": 1, "$version": 2})


def refused_patch(hub):
    """A bad key raises a ServiceError of 400, applies nothing, and the connection stays usable."""
    me = hub.new_device()
    changes = device.Inbox()
    with device.connected(hub, me.connection_string) as client:
        client.on_connection_state_change = changes
        for bad in ("a.b", "$set", "a b", "tab\t"):
            _refused(client, {"good": 1, bad: 2}, status=400)
        _refused(client, {"list": [None]}, status=400)
        device.equal("nothing of it applied", _reported(hub, me), {"$version": 1})
        client.patch_twin_reported_properties({"good": 1})
        device.equal("reported", _reported(hub, me), {"good": 1, "$version": 2})
        assert changes.is_empty(), "the connection was dropped meanwhile"


def _refused(client, patch, status):
    error = device.raised(ClientError, client.patch_twin_reported_properties, patch)
    service_error = error.__cause__
    assert isinstance(service_error, ServiceError), f"caused by {service_error!r}"
    assert str(status) in str(service_error), f"wanted status {status}; got {service_error}"


def _reported(hub, me):
    """The section as the back end sees it, without the metadata that no device sees."""
    section = hub.backend.twin(me.id)["properties"]["reported"]
    return {key: value for key, value in section.items() if key != "$metadata"}


def _kilobytes(count):
    """Strings of one KB, spread over objects: far below the limit of a single value."""
    return {f"block{n}": {"head": "h" * 512, "tail": "t" * 499} for n in range(count)}


if __name__ == "__main__":
    run()
