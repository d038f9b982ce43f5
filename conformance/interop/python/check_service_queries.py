"""Queries through the service SDK (query.md § 3 to § 8)."""

from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties

import device
import service
from runner import run


def twins(hub):
    """SELECT * gives whole twins, the same that get_twin gives."""
    registry, ids, where = _fleet(hub, 2)
    found = service.rows(registry, f"SELECT * FROM devices WHERE {where}")
    device.equal("ids", sorted(each.device_id for each in found), ids)
    for row in found:
        device.equal("twin", row.as_dict(), registry.get_twin(row.device_id).as_dict())


def paged(hub):
    """Pages have the size asked for, each device comes once, and the last page has no token."""
    registry, ids, where = _fleet(hub, 7)
    query = f"SELECT * FROM devices WHERE {where}"
    for size, wanted in ((3, [3, 3, 1]), (7, [7]), (None, [7]), (100, [7])):
        pages = service.pages(registry, query, size)
        device.equal(f"pages of {size}", [len(page) for page in pages], wanted)
        found = [row.device_id for page in pages for row in page]
        device.equal("ids", sorted(found), ids)


def any_page_size(hub):
    """A page has a hundred rows at most and one at least, whatever number is asked for."""
    registry, _, where = _fleet(hub, 101)
    specification = QuerySpecification(query=f"SELECT * FROM devices WHERE {where}")
    sizes = ((1000, 100), (2**31, 100), (10**30, 100), ("0", 1), (-5, 1))
    for asked, wanted in sizes:
        page = registry.query_iot_hub(specification, None, asked)
        device.equal(f"rows of {asked}", len(page.items), wanted)


def projected(hub):
    """Named columns come under their names, those a device lacks are left out."""
    registry, ids, where = _fleet(hub, 2)
    registry.update_twin(ids[0], Twin(tags={"bay": 4}))
    query = f"SELECT deviceId, tags.bay AS at, tags.site FROM devices WHERE {where}"
    found = {row.device_id: row.additional_properties for row in service.rows(registry, query)}
    site = where.split("'")[1]
    device.equal("rows", found, {ids[0]: {"at": 4, "site": site}, ids[1]: {"site": site}})


def gathered(hub):
    """COUNT, AVG, MIN and MAX, over all and by group."""
    registry, ids, where = _fleet(hub, 3)
    for each, rpm in zip(ids, (900, 950, 950), strict=True):
        registry.update_twin(each, Twin(properties=TwinProperties(desired={"rpm": rpm})))
    rpm = "properties.desired.rpm"
    select = f"COUNT() AS n, AVG({rpm}) AS a, MIN({rpm}) AS l, MAX({rpm}) AS h"
    (row,) = service.rows(registry, f"SELECT {select} FROM devices WHERE {where}")
    seen = {name: float(value) for name, value in row.additional_properties.items()}
    assert abs(seen.pop("a") - 933.3333333333334) < 1e-6, "another average"
    device.equal("row", seen, {"n": 3.0, "l": 900.0, "h": 950.0})
    query = f"SELECT {rpm} AS rpm, COUNT() AS n FROM devices WHERE {where} GROUP BY {rpm}"
    groups = [row.additional_properties for row in service.rows(registry, query)]
    groups.sort(key=lambda row: row["rpm"])
    device.equal("groups", groups, [{"rpm": 900, "n": 1}, {"rpm": 950, "n": 2}])


def conditions(hub):
    """Conditions compare numbers, texts and states, and IN and IS_DEFINED work."""
    registry, ids, where = _fleet(hub, 2)
    desired = TwinProperties(desired={"rpm": 900, "mode": "it's"})
    registry.update_twin(ids[0], Twin(tags={"bay": 4}, properties=desired))
    for condition in (
        "properties.desired.rpm > 899.5",
        "properties.desired.mode = 'it\\'s'",
        "tags.bay IN [3, 4]",
        "IS_DEFINED(tags.bay)",
        f"deviceId = '{ids[0]}' AND status = 'enabled'",
        "NOT (properties.desired.rpm = 1) AND connectionState = 'Disconnected'",
    ):
        found = service.rows(registry, f"SELECT * FROM devices WHERE {where} AND {condition}")
        device.equal(condition, [row.device_id for row in found], ids[:1])


def modules(hub):
    """devices.modules holds the twins of modules, and devices does not."""
    registry, ids, where = _fleet(hub, 1)
    registry.create_module_with_sas(ids[0], "fan", "", "", "")
    query = f"SELECT * FROM devices.modules WHERE deviceId = '{ids[0]}'"
    (row,) = service.rows(registry, query)
    device.equal("ids", [row.device_id, row.module_id], [ids[0], "fan"])
    device.equal("devices", len(service.rows(registry, f"SELECT * FROM devices WHERE {where}")), 1)


def refused(hub):
    """What is no query gives 400, and so do two columns of one name and a foreign token."""
    registry, _, where = _fleet(hub, 3)
    rpm = "properties.desired.rpm, properties.reported.rpm"
    for bad in ("SELECT", "SELECT * FROM pumps", f"SELECT {rpm} FROM devices", "DELETE FROM devices"):
        _refused(registry, bad)
    query = f"SELECT * FROM devices WHERE {where}"
    specification = QuerySpecification(query=query)
    token = registry.query_iot_hub(specification, None, 1).continuation_token
    for other, foreign in (("SELECT * FROM devices", token), (query, "no token")):
        _refused(registry, other, foreign)


def _refused(registry, query, token=None):
    specification = QuerySpecification(query=query)
    service.refused(400, "ArgumentInvalid", registry.query_iot_hub, specification, token)


def _fleet(hub, number):
    """So many devices, and the condition that selects just them."""
    registry, site = service.registry(hub), service.new_id("site")
    ids = service.register(registry, number, {"site": site})
    return registry, sorted(ids), f"tags.site = '{site}'"


if __name__ == "__main__":
    run()
