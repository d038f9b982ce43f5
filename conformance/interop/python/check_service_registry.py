"""Identities through the service SDK (hub-http.md § 2, § 4)."""

import base64

import device
import service
from runner import run

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
THUMBPRINTS = ["A" * 40, "B" * 64]
NEVER = "0001-01-01T00:00:00"
NOT_FOUND = (404, "DeviceNotFound")
STALE = (412, "PreconditionFailed")


def created(hub):
    """create_device_with_sas keeps the keys given, and get_device gives the same device."""
    registry, me = service.registry(hub), service.new_id()
    made = registry.create_device_with_sas(me, *KEYS, "enabled", status_reason="new")
    device.equal("id and status", [made.device_id, made.status], [me, "enabled"])
    device.equal("reason", made.status_reason, "new")
    keys = made.authentication.symmetric_key
    device.equal("keys", [keys.primary_key, keys.secondary_key], KEYS)
    device.equal("type", made.authentication.type, "sas")
    device.equal("state", made.connection_state, "Disconnected")
    device.equal("messages", made.cloud_to_device_message_count, 0)
    assert made.last_activity_time.isoformat().startswith(NEVER), made.last_activity_time
    assert made.etag and made.generation_id, "it has no etag or generation id"
    device.equal("device", registry.get_device(me).as_dict(), made.as_dict())


def generated_keys(hub):
    """Keys left out are made by the hub, two of them, and a device connects with them."""
    registry, me = service.registry(hub), service.new_id()
    registry.create_device_with_sas(me, "", "", "enabled")
    keys = registry.get_device(me).authentication.symmetric_key
    assert keys.primary_key != keys.secondary_key, "both keys are the same"
    for key in (keys.primary_key, keys.secondary_key):
        identity = f"HostName={hub.hostname};DeviceId={me};SharedAccessKey={key}"
        with device.connected(hub, identity) as client:
            assert client.connected, "the SDK says that it is not connected"


def kinds(hub):
    """Thumbprints come back as given; a device of an authority has neither keys nor thumbprints."""
    registry, own, signed = service.registry(hub), service.new_id(), service.new_id()
    registry.create_device_with_x509(own, *THUMBPRINTS, "enabled")
    found = registry.get_device(own).authentication
    prints = found.x509_thumbprint
    device.equal("type", found.type, "selfSigned")
    seen = [prints.primary_thumbprint, prints.secondary_thumbprint]
    device.equal("thumbprints", seen, THUMBPRINTS)
    registry.create_device_with_certificate_authority(signed, "disabled")
    found = registry.get_device(signed)
    device.equal("kind", [found.authentication.type, found.status], _authority("disabled"))
    secrets = [found.authentication.symmetric_key, found.authentication.x509_thumbprint]
    held = [each.as_dict() for each in secrets if each is not None]
    assert not any(held), f"it has keys or thumbprints: {held}"
    etag = registry.get_device(own).etag
    registry.update_device_with_x509(own, etag, *reversed(THUMBPRINTS), "disabled")
    prints = registry.get_device(own).authentication.x509_thumbprint
    device.equal("first", prints.primary_thumbprint, THUMBPRINTS[1])
    updated = registry.update_device_with_certificate_authority(signed, found.etag, "enabled")
    device.equal("kind", [updated.authentication.type, updated.status], _authority("enabled"))


def _authority(status):
    return ["certificateAuthority", status]


def edge_devices(hub):
    """An Edge device gets a scope, which makes it the parent of the device that is given it."""
    registry, edge, leaf = service.registry(hub), service.new_id("edge"), service.new_id()
    parent = registry.create_device_with_sas(edge, "", "", "enabled", iot_edge=True)
    assert parent.capabilities.iot_edge and parent.device_scope, "it has no scope"
    scope = parent.device_scope
    child = registry.create_device_with_sas(leaf, "", "", "enabled", device_scope=scope)
    device.equal("scopes", [child.device_scope, child.parent_scopes], [scope, [scope]])


def existing_id(hub):
    """A second creation gives 409 and leaves the device as it is."""
    registry, me = service.registry(hub), service.new_id()
    made = registry.create_device_with_sas(me, *KEYS, "enabled")
    again = (registry.create_device_with_sas, me, "", "", "disabled")
    service.refused(409, "DeviceAlreadyExists", *again)
    device.equal("device", registry.get_device(me).as_dict(), made.as_dict())


def updated_by_etag(hub):
    """An update goes by its etag: the current one works once, an old one gives 412."""
    registry, me = service.registry(hub), service.new_id()
    made = registry.create_device_with_sas(me, *KEYS, "enabled")
    update = (registry.update_device_with_sas, me, made.etag, *KEYS)
    changed = update[0](*update[1:], "disabled", status_reason="worn out")
    device.equal("status", [changed.status, changed.status_reason], ["disabled", "worn out"])
    assert changed.etag != made.etag, "the etag is the old one"
    assert not changed.status_updated_time.isoformat().startswith(NEVER), "it was never updated"
    service.refused(*STALE, *update, "enabled")
    device.equal("status", registry.get_device(me).status, "disabled")
    forced = registry.update_device_with_sas(me, "*", *reversed(KEYS), "enabled")
    device.equal("key", forced.authentication.symmetric_key.primary_key, KEYS[1])


def deleted(hub):
    """delete_device goes by its etag when one is given; the device and its twin are then gone."""
    registry, me, other = service.registry(hub), service.new_id(), service.new_id()
    for each in (me, other):
        registry.create_device_with_sas(each, "", "", "enabled")
    stale = registry.get_device(me).etag
    registry.update_device_with_sas(me, "*", "", "", "disabled")
    service.refused(*STALE, registry.delete_device, me, stale)
    registry.delete_device(me, registry.get_device(me).etag)
    registry.delete_device(other)
    for each in (me, other):
        for action in (registry.get_device, registry.get_twin, registry.delete_device):
            service.refused(*NOT_FOUND, action, each)


def unusual_ids(hub):
    """Ids with the allowed special characters are told apart; others are refused."""
    registry = service.registry(hub)
    for me in ("Pump-1", "pump-1", "a%2Fb", "a+b=c,d@e", "it's(1)*!?#$._"):
        made = registry.create_device_with_sas(me, "", "", "enabled")
        device.equal("id", made.device_id, me)
        device.equal("id in the twin", registry.get_twin(me).device_id, me)
    for bad in ("a b", "größe", "x" * 129):
        create = (registry.create_device_with_sas, bad, "", "", "enabled")
        service.refused(400, "ArgumentInvalid", *create)


def bad_keys(hub):
    """A key that is none is refused, and there is no device then."""
    registry, me = service.registry(hub), service.new_id()
    create = (registry.create_device_with_sas, me)
    service.refused(400, "ArgumentInvalid", *create, "1", "2", "enabled")
    service.refused(*NOT_FOUND, registry.get_device, me)


def listed(hub):
    """get_devices gives as many as are asked for, or all; statistics count along."""
    registry = service.registry(hub)
    before = registry.get_device_registry_statistics()
    ids = service.register(registry, 3)
    registry.update_device_with_sas(ids[0], "*", "", "", "disabled")
    found = {each.device_id for each in registry.get_devices()}
    assert found.issuperset(ids), f"missing: {set(ids) - found}"
    device.equal("devices", len(registry.get_devices(2)), 2)
    after = registry.get_device_registry_statistics()
    change = [_counts(after)[at] - _counts(before)[at] for at in range(3)]
    device.equal("total, enabled, disabled", change, [3, 2, 1])


def _counts(statistics):
    return (
        statistics.total_device_count,
        statistics.enabled_device_count,
        statistics.disabled_device_count,
    )


def connected_devices(hub):
    """The service statistics count who is connected, and the identity shows it."""
    registry, me = service.registry(hub), hub.new_device()
    device.equal("count", registry.get_service_statistics().connected_device_count, 0)
    with device.connected(hub, me.connection_string):
        device.equal("count", registry.get_service_statistics().connected_device_count, 1)
        found = registry.get_device(me.id)
        device.equal("state", found.connection_state, "Connected")
        assert not found.connection_state_updated_time.isoformat().startswith(NEVER)


if __name__ == "__main__":
    run()
