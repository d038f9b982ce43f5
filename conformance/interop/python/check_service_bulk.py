"""Many identities in one call through the service SDK (hub-http.md § 2.4)."""

import concurrent.futures

from azure.iot.hub.models import ExportImportDevice, PropertyContainer

import device
import service
from runner import run


def life(hub):
    """A hundred devices are created, updated and deleted in one call each."""
    registry = service.registry(hub)
    ids = [service.new_id() for _ in range(service.BULK_ITEMS_MAX)]
    _succeeds(registry, [_item(each, "create", status="disabled") for each in ids])
    device.equal("status", registry.get_device(ids[-1]).status, "disabled")
    _succeeds(registry, [_item(each, "update", status="enabled") for each in ids])
    device.equal("status", registry.get_device(ids[0]).status, "enabled")
    _succeeds(registry, [_item(each, "delete") for each in ids])
    for each in (ids[0], ids[-1]):
        service.refused(404, "DeviceNotFound", registry.get_device, each)


def what_fails_alone(hub):
    """What fails is named, and fails alone; the SDK gives the result although the status is 400."""
    registry = service.registry(hub)
    (old,) = service.register(registry, 1)
    new, missing = service.new_id(), service.new_id()
    items = [_item(old, "create"), _item(new, "create"), _item(missing, "update")]
    result = registry.bulk_create_or_update_devices(items)
    device.equal("success", result.is_successful, False)
    errors = {each.device_id: each.error_code for each in result.errors}
    device.equal("errors", errors, {old: "DeviceAlreadyExists", missing: "DeviceNotFound"})
    device.equal("device", registry.get_device(new).device_id, new)


def twins(hub):
    """updateTwin merges tags and desired properties; with an etag only while it is current."""
    registry = service.registry(hub)
    first, second = service.register(registry, 2, {"site": {"a": 1}})
    stale = registry.get_twin(first).etag
    tags, desired = {"site": {"b": 2}}, {"rpm": 900, "modes": ["eco"]}
    update = [_twin_item(each, "updateTwin", tags, desired) for each in (first, second)]
    _succeeds(registry, update)
    for each in (first, second):
        twin = registry.get_twin(each)
        device.equal("tags", twin.tags, {"site": {"a": 1, "b": 2}})
        device.equal("desired", _values(twin), {"rpm": 900, "modes": ["eco"], "$version": 2})
    tags = {"site": None}
    guarded = _twin_item(first, "updateTwinIfMatchETag", tags, {}, twin_etag=stale)
    result = registry.bulk_create_or_update_devices([guarded])
    device.equal("errors", [each.device_id for each in result.errors], [first])
    guarded.twin_etag = registry.get_twin(first).etag
    _succeeds(registry, [guarded])
    assert not registry.get_twin(first).tags, "the tag is still there"


def modules(hub):
    """Modules are created, get their twins and are deleted in bulk beside their device."""
    registry = service.registry(hub)
    (me,) = service.register(registry, 1)
    _succeeds(registry, [_item(me, "create", module_id=name) for name in ("fan", "pump")])
    found = sorted(each.module_id for each in registry.get_modules(me))
    device.equal("modules", found, ["fan", "pump"])
    _succeeds(registry, [_twin_item(me, "updateTwin", None, {"rpm": 1}, module_id="fan")])
    for name, version in (("fan", 2), ("pump", 1)):
        twin = registry.get_module_twin(me, name)
        device.equal("version", twin.properties.desired["$version"], version)
    _succeeds(registry, [_item(me, "delete", module_id="fan")])
    device.equal("modules", [each.module_id for each in registry.get_modules(me)], ["pump"])


def too_many(hub):
    """More than a hundred in one call are refused, and none of them is created."""
    registry = service.registry(hub)
    ids = [service.new_id() for _ in range(service.BULK_ITEMS_MAX + 1)]
    result = _outcome(registry, [_item(each, "create") for each in ids])
    assert result is None or not result.is_successful, "101 items were taken"
    service.refused(404, "DeviceNotFound", registry.get_device, ids[-1])


def at_once(hub):
    """Ten calls at once create a thousand devices."""
    registry = service.registry(hub)
    before = registry.get_device_registry_statistics().total_device_count
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(service.register, service.registry(hub), 100) for _ in range(10)]
        ids = {each for call in calls for each in call.result()}
    device.equal("devices", len(ids), 1000)
    after = registry.get_device_registry_statistics().total_device_count
    device.equal("more devices", after - before, 1000)


def _item(device_id, mode, **members):
    return ExportImportDevice(id=device_id, import_mode=mode, **members)


def _twin_item(device_id, mode, tags, desired, **members):
    properties = PropertyContainer(desired=desired)
    return _item(device_id, mode, tags=tags, properties=properties, **members)


def _succeeds(registry, items):
    result = registry.bulk_create_or_update_devices(items)
    errors = [each.as_dict() for each in result.errors]
    assert result.is_successful and not errors, f"it failed: {errors}"


def _outcome(registry, items):
    """The result of a call; none where the hub refused it as a whole."""
    try:
        return registry.bulk_create_or_update_devices(items)
    except Exception as error:
        device.equal("status", error.response.status_code // 100, 4)
        return None


def _values(twin):
    return {name: value for name, value in twin.properties.desired.items() if name != "$metadata"}


if __name__ == "__main__":
    run()
