"""Automatic device configurations through the service SDK (hub-http.md § 5)."""

import contextlib

from azure.iot.hub.models import (
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    Twin,
)

import device
import service
from runner import run


def stored(hub):
    """What was given comes back from each call, with an etag and times of the hub's own."""
    manager = service.configurations(hub)
    for content in (
        ConfigurationContent(device_content={"properties.desired.fan": {"rpm": 1.5}}),
        ConfigurationContent(module_content={"properties.desired": {"prop1": "foo"}}),
        ConfigurationContent(modules_content={"$edgeAgent": {"properties.desired": {"a": 1}}}),
    ):
        given = _configuration("", content, labels={"owner": "us"}, schema_version="1.0")
        with _created(manager, given) as made:
            assert made.etag, "it has no etag"
            for member in ("id", "labels", "target_condition", "priority", "schema_version"):
                device.equal(member, getattr(made, member), getattr(given, member))
            device.equal("content", made.content.as_dict(), content.as_dict())
            wanted = made.as_dict()
            device.equal("read", manager.get_configuration(given.id).as_dict(), wanted)
            listed = {each.id: each.as_dict() for each in manager.get_configurations()}
            device.equal("listed", listed[given.id], wanted)


def conflict(hub):
    """A second creation gives 409, an unknown id 404."""
    manager = service.configurations(hub)
    with _created(manager, _configuration("")) as made:
        again = (manager.create_configuration, _configuration("", id=made.id, priority=1))
        service.refused(409, "ConfigurationAlreadyExists", *again)
        device.equal("etag", manager.get_configuration(made.id).etag, made.etag)
    unknown = (manager.get_configuration, service.new_id("none"))
    service.refused(404, "ConfigurationNotFound", *unknown)


def updated(hub):
    """An update goes by its etag; the content stays, everything else can be changed."""
    manager = service.configurations(hub)
    with _created(manager, _configuration("")) as made:
        etag, made.priority, made.target_condition = made.etag, 99, "tags.site = 'nowhere'"
        changed = manager.update_configuration(made, etag)
        seen = [changed.priority, changed.target_condition]
        device.equal("changed", seen, [99, "tags.site = 'nowhere'"])
        assert changed.etag != etag, "the etag is the old one"
        service.refused(412, "PreconditionFailed", manager.update_configuration, made, etag)
        other = _configuration("", id=made.id, content=_settings({"properties.desired.rpm": 950}))
        update = (manager.update_configuration, other, "*")
        service.refused(400, "CannotModifyImmutableConfigurationContent", *update)
        delete = (manager.delete_configuration, made.id, etag)
        service.refused(412, "PreconditionFailed", *delete)


def bad_input(hub):
    """A bad condition, content, metric or id gives 400 with a code of its own."""
    manager = service.configurations(hub)
    metrics = ConfigurationMetrics(queries={"all": "SELECT FROM WHERE"})
    six = {f"m{number}": "SELECT deviceId FROM devices" for number in range(6)}
    many = ConfigurationMetrics(queries=six)
    for bad, code in (
        ({"target_condition": "tags.site = "}, "InvalidConfigurationTargetCondition"),
        ({"content": _settings({"tags.site": "x"})}, "InvalidConfigurationContent"),
        ({"metrics": metrics}, "InvalidConfigurationCustomMetricsQuery"),
        ({"metrics": many}, "InvalidConfigurationCustomMetricsQuery"),
        ({"id": "Upper"}, "ArgumentInvalid"),
    ):
        given = _configuration(**({"target_condition": ""} | bad))
        service.refused(400, code, manager.create_configuration, given)
        service.refused(404, "ConfigurationNotFound", manager.get_configuration, given.id)


def tested_queries(hub):
    """test_configuration_queries names what is wrong, and only that."""
    manager = service.configurations(hub)
    queries = {"good": "SELECT deviceId FROM devices", "bad": "SELECT"}
    given = ConfigurationQueriesTestInput(target_condition="tags.a =", custom_metric_queries=queries)
    answer = manager.test_configuration_queries(given)
    assert answer.target_condition_error, "the condition passed"
    device.equal("bad queries", list(answer.custom_metric_query_errors), ["bad"])
    given.target_condition, given.custom_metric_queries = "tags.a = 1", {}
    answer = manager.test_configuration_queries(given)
    assert not answer.target_condition_error, f"refused: {answer.target_condition_error}"
    assert not answer.custom_metric_query_errors, "there were no queries"


def applied(hub):
    """A connected device that meets the condition is notified, and loses the settings later."""
    registry, manager, me, where = _member(hub)
    with device.connected(hub, me.connection_string) as client:
        desired = device.watch_desired(client)
        content = _settings({"properties.desired.fan": {"rpm": 900}})
        with _created(manager, _configuration(where, content)) as made:
            wanted = {"fan": {"rpm": 900}, "$version": 2}
            device.equal("notification", desired.take(), wanted)
            status = registry.get_twin(me.id).additional_properties["configurations"]
            device.equal("status", status[made.id]["status"], "Applied")
        device.equal("fan", desired.take()["fan"], None)
    assert "fan" not in registry.get_twin(me.id).properties.desired, "the settings stayed"


def fleet(hub):
    """Two configurations meet in a fleet of fifty: the higher priority wins, metrics count."""
    registry, manager = service.registry(hub), service.configurations(hub)
    site = service.new_id("site")
    ids = service.register(registry, 50, {"site": site})
    for each in ids[:10]:
        registry.update_twin(each, Twin(tags={"pilot": True}))
    where = f"tags.site = '{site}'"
    base = _configuration(where, _settings({"properties.desired.rpm": 900}), priority=10)
    pilot = _configuration(
        f"{where} AND tags.pilot = true", _settings({"properties.desired.rpm": 950}), priority=20
    )
    query = f"SELECT deviceId FROM devices WHERE {where} AND properties.desired.rpm = 950"
    pilot.metrics = ConfigurationMetrics(queries={"quick": query})
    with _created(manager, base):
        _counts(manager, base.id, "targetedCount", 50)
        with _created(manager, pilot):
            _counts(manager, pilot.id, "appliedCount", 10)
            _counts(manager, base.id, "appliedCount", 40)
            found = manager.get_configuration(pilot.id)
            device.equal("metrics", found.metrics.results, {"quick": 10})
            device.equal("queries", found.metrics.queries, {"quick": query})
            applied_query = found.system_metrics.queries["appliedCount"]
            found = sorted(row.device_id for row in service.rows(registry, applied_query))
            device.equal("devices", found, sorted(ids[:10]))
        _counts(manager, base.id, "appliedCount", 50)
        for each in (ids[0], ids[-1]):
            desired = registry.get_twin(each).properties.desired
            device.equal("rpm", desired["rpm"], 900)


def edge_content(hub):
    """Content is applied to the modules of an Edge device, and refused for a plain one."""
    registry, manager, plain = service.registry(hub), service.configurations(hub), hub.new_device()
    edge = service.new_id("edge")
    registry.create_device_with_sas(edge, "", "", "enabled", iot_edge=True)
    content = ConfigurationContent(
        modules_content={
            "$edgeAgent": {"properties.desired": {"level": 1}},
            "scanner": {"properties.desired": {"rate": 5}},
        }
    )
    manager.apply_configuration_on_edge_device(edge, content)
    for module, name, value in (("$edgeAgent", "level", 1), ("scanner", "rate", 5)):
        desired = registry.get_module_twin(edge, module).properties.desired
        device.equal(module, desired[name], value)
    apply = manager.apply_configuration_on_edge_device
    error = device.raised(service.HttpOperationError, apply, plain.id, content)
    device.equal("status", error.response.status_code, 400)


def _settings(settings):
    return ConfigurationContent(device_content=settings)


def _configuration(target_condition, content=None, **members):
    content = content or _settings({"properties.desired.rpm": 900})
    defaults = {"id": service.new_id("rollout"), "priority": 10, "content": content}
    return Configuration(target_condition=target_condition, **(defaults | members))


@contextlib.contextmanager
def _created(manager, given):
    """The configuration as the hub answered it; it is removed at the end."""
    made = manager.create_configuration(given)
    try:
        yield made
    finally:
        manager.delete_configuration(given.id)


def _member(hub):
    """A device with a tag of its own, and the condition that selects it."""
    registry, me, site = service.registry(hub), hub.new_device(), service.new_id("site")
    registry.update_twin(me.id, Twin(tags={"site": site}))
    return registry, service.configurations(hub), me, f"tags.site = '{site}'"


def _counts(manager, configuration_id, name, wanted):
    def holds():
        found = manager.get_configuration(configuration_id)
        return found.system_metrics.results.get(name) == wanted

    device.eventually(f"{name} of {configuration_id} is {wanted}", holds)


if __name__ == "__main__":
    run()
