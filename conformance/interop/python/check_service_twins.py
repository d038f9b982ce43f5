"""Twins of devices and modules through the service SDK (hub-twins.md § 4 to § 7; hub-http.md § 4)."""

from azure.iot.hub.models import Twin, TwinProperties

import device
import service
from runner import run

STALE = (412, "PreconditionFailed")


def updated(hub):
    """update_twin merges what is given, null removes, and the answer is the whole new twin."""
    registry, me = service.registry(hub), hub.new_device()
    first = registry.update_twin(me.id, _twin({"site": {"bay": 4, "row": 1}}, {"rpm": 1, "old": 1}))
    device.equal("desired", _values(first), {"rpm": 1, "old": 1, "$version": 2})
    twin = registry.update_twin(me.id, _twin({"site": {"row": None}}, {"old": None, "größe": [{}]}))
    device.equal("tags", twin.tags, {"site": {"bay": 4}})
    device.equal("desired", _values(twin), {"rpm": 1, "größe": [{}], "$version": 3})
    assert twin.version > first.version and twin.etag != first.etag, "version or etag stayed"
    device.equal("twin", registry.get_twin(me.id).as_dict(), twin.as_dict())


def replaced(hub):
    """replace_twin replaces tags and desired properties, and leaves what the device reported."""
    registry, me = service.registry(hub), hub.new_device()
    registry.update_twin(me.id, _twin({"site": 1}, {"rpm": 1}))
    with device.connected(hub, me.connection_string) as client:
        client.patch_twin_reported_properties({"mode": "eco"})
    twin = registry.replace_twin(me.id, _twin({"other": 2}, {"led": "on"}))
    device.equal("tags", twin.tags, {"other": 2})
    device.equal("desired", _values(twin), {"led": "on", "$version": 3})
    device.equal("reported", _values(twin, "reported"), {"mode": "eco", "$version": 2})


def by_etag(hub):
    """An etag guards a write: the current one works once, an old one gives 412."""
    registry, me = service.registry(hub), hub.new_device()
    etag = registry.get_twin(me.id).etag
    registry.update_twin(me.id, _twin({"n": 1}), etag)
    service.refused(*STALE, registry.update_twin, me.id, _twin({"n": 2}), etag)
    service.refused(*STALE, registry.replace_twin, me.id, _twin({"n": 3}), etag)
    device.equal("tags", registry.get_twin(me.id).tags, {"n": 1})
    # The SDK quotes an etag that is not quoted, and sends one that is as it is.
    quoted = f'"{registry.get_twin(me.id).etag}"'
    registry.replace_twin(me.id, _twin({"n": 4}), quoted)
    device.equal("tags", registry.get_twin(me.id).tags, {"n": 4})


def sent_back(hub):
    """A twin that was read, changed and sent back whole is taken, and says the same afterwards."""
    registry, me = service.registry(hub), hub.new_device()
    twin = registry.update_twin(me.id, _twin({"site": 1}, {"fan": {"rpm": 900}}))
    twin.tags["bay"] = 7
    written = registry.update_twin(me.id, twin, twin.etag)
    device.equal("tags", written.tags, {"site": 1, "bay": 7})
    device.equal("fan", written.properties.desired["fan"], {"rpm": 900})
    written = registry.replace_twin(me.id, written, written.etag)
    device.equal("tags", written.tags, {"site": 1, "bay": 7})
    device.equal("fan", written.properties.desired["fan"], {"rpm": 900})


def both_ways(hub):
    """Desired changes reach the connected device, and its reports are seen in the twin."""
    registry, me = service.registry(hub), hub.new_device()
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        registry.update_twin(me.id, _twin(None, {"fan": {"rpm": 900}, "old": None}))
        wanted = {"fan": {"rpm": 900}, "old": None, "$version": 2}
        device.equal("notification", desired.take(), wanted)
        client.patch_twin_reported_properties({"fan": {"rpm": 880}, "ids": [1, "a"]})
        twin = registry.get_twin(me.id)
        wanted = {"fan": {"rpm": 880}, "ids": [1, "a"], "$version": 2}
        device.equal("reported", _values(twin, "reported"), wanted)
        stamp = twin.properties.reported["$metadata"]["fan"]["rpm"]["$lastUpdated"]
        assert stamp.endswith("Z"), f"not in UTC: {stamp}"
        device.equal("state", twin.connection_state, "Connected")


def modules(hub):
    """A module's twin is a twin of its own."""
    registry, me = service.registry(hub), hub.new_device()
    registry.create_module_with_sas(me.id, "fan", "us", "", "")
    twin = registry.update_module_twin(me.id, "fan", _twin({"m": 1}, {"rpm": 1}))
    device.equal("ids", [twin.device_id, twin.module_id], [me.id, "fan"])
    registry.replace_module_twin(me.id, "fan", _twin({"m": 2}, {"led": 1}), twin.etag)
    service.refused(*STALE, registry.update_module_twin, me.id, "fan", _twin({"m": 3}), twin.etag)
    found = registry.get_module_twin(me.id, "fan")
    device.equal("tags", found.tags, {"m": 2})
    device.equal("desired", _values(found), {"led": 1, "$version": 3})
    device.equal("device", _values(registry.get_twin(me.id)), {"$version": 1})
    service.refused(404, "ModuleNotFound", registry.get_module_twin, me.id, "nothing")


def module_identities(hub):
    """Modules are created in each way, listed, updated and deleted by their etags."""
    registry, me = service.registry(hub), hub.new_device().id
    made = registry.create_module_with_sas(me, "fan", "us", "", "")
    device.equal("module", [made.device_id, made.module_id, made.managed_by], [me, "fan", "us"])
    keys = made.authentication.symmetric_key
    assert keys.primary_key and keys.secondary_key, "it has no keys"
    service.refused(
        409, "ModuleAlreadyExistsOnDevice", registry.create_module_with_sas, me, "fan", "", "", ""
    )
    registry.create_module_with_x509(me, "pump", "us", "A" * 40, "B" * 40)
    registry.create_module_with_certificate_authority(me, "led", "us")
    kinds = {each.module_id: each.authentication.type for each in registry.get_modules(me)}
    wanted = {"fan": "sas", "pump": "selfSigned", "led": "certificateAuthority"}
    device.equal("kinds", kinds, wanted)
    update = (registry.update_module_with_sas, me, "fan", "them", made.etag, "", "")
    device.equal("owner", update[0](*update[1:]).managed_by, "them")
    service.refused(*STALE, *update)
    service.refused(*STALE, registry.delete_module, me, "fan", made.etag)
    registry.delete_module(me, "fan")
    for action in (registry.get_module, registry.get_module_twin, registry.delete_module):
        service.refused(404, "ModuleNotFound", action, me, "fan")


def refused_writes(hub):
    """What breaks a twin's rules is refused whole, and so is what is for an unknown device."""
    registry, me = service.registry(hub), hub.new_device()
    before = registry.get_twin(me.id).as_dict()
    for bad in ({"a.b": 1}, {"a b": 1}, {"$a": 1}, {"a": "x" * 5000}, {"a": [None]}):
        error = device.raised(
            service.HttpOperationError, registry.update_twin, me.id, _twin({"n": 1}, bad)
        )
        device.equal("status", error.response.status_code, 400)
    device.equal("twin", registry.get_twin(me.id).as_dict(), before)
    unknown = service.new_id("nobody")
    for action, *rest in ((registry.get_twin,), (registry.update_twin, _twin({"n": 1}))):
        service.refused(404, "DeviceNotFound", action, unknown, *rest)


def _twin(tags=None, desired=None):
    properties = None if desired is None else TwinProperties(desired=desired)
    return Twin(tags=tags, properties=properties)


def _values(twin, section="desired"):
    members = getattr(twin.properties, section).items()
    return {name: value for name, value in members if name != "$metadata"}


if __name__ == "__main__":
    run()
