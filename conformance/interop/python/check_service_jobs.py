"""Jobs through the service SDK, with devices at the other end (jobs.md § 3 to § 13)."""

import contextlib
import datetime

from azure.iot.device import MethodResponse
from azure.iot.hub.models import CloudToDeviceMethod, JobRequest, Twin, TwinProperties

import device
import service
from runner import run

BUDGET = 60
"""What a job may take here, in seconds: no job needs it, and every job ends by it."""


def twin_job(hub):
    """A twin job patches the devices its condition selects, and no other, once each."""
    registry, jobs, ids, where = _fleet(hub, 3)
    (other,) = service.register(registry, 1, {"site": "elsewhere"})
    job_id = service.new_id("job")
    made = jobs.create_scheduled_job(job_id, _twin_job(where, {"seen": 1}, {"rpm": 900}))
    device.equal("answer", [made.job_id, made.type], [job_id, "scheduleUpdateTwin"])
    device.equal("status", made.status, "queued")
    job = service.follow_job(jobs, job_id)
    device.equal("status", [job.status, job.query_condition], ["completed", where])
    device.equal("budget", job.max_execution_time_in_seconds, BUDGET)
    device.equal("statistics", _statistics(job), {"device": 3, "succeeded": 3, "failed": 0})
    for each in ids:
        twin = registry.get_twin(each)
        desired = twin.properties.desired
        device.equal("twin", [twin.tags["seen"], desired["rpm"]], [1, 900])
        device.equal("version", desired["$version"], 2)
    device.equal("other", registry.get_twin(other).properties.desired["$version"], 1)


def minimal(hub):
    """A job without a start and a budget runs at once."""
    registry, jobs, ids, where = _fleet(hub, 1)
    request = JobRequest(type="scheduleUpdateTwin", query_condition=where)
    request.update_twin = Twin(etag="*", tags={"plain": True})
    job_id = service.new_id("job")
    jobs.create_scheduled_job(job_id, request)
    job = service.follow_job(jobs, job_id)
    device.equal("status", job.status, "completed")
    device.equal("tag", registry.get_twin(ids[0]).tags["plain"], True)


def heard(hub):
    """A connected device hears of a job's patch, an absent one finds it on its return."""
    registry, jobs, _, where = _fleet(hub, 0)
    here, away = hub.new_device(), hub.new_device()
    site = where.split("'")[1]
    for each in (here, away):
        registry.update_twin(each.id, Twin(tags={"site": site}))
    with device.connected(hub, here.connection_string) as client:
        desired = device.watch_desired(client)
        job_id = service.new_id("job")
        jobs.create_scheduled_job(job_id, _twin_job(where, None, {"mode": "eco"}))
        device.equal("notification", desired.take(), {"mode": "eco", "$version": 2})
        device.equal("status", service.follow_job(jobs, job_id).status, "completed")
    with device.connected(hub, away.connection_string) as client:
        device.equal("desired", client.get_twin()["desired"], {"mode": "eco", "$version": 2})


def method_job(hub):
    """A method job calls each device, and its rows keep what each answered."""
    registry, jobs, _, where = _fleet(hub, 0)
    with contextlib.ExitStack() as stack:
        wanted = {}
        for status in (200, 404):
            me = hub.new_device()
            registry.update_twin(me.id, Twin(tags={"site": where.split("'")[1]}))
            stack.enter_context(_answering(hub, me, status))
            answer = {"status": status, "payload": {"from": 3}}
            wanted[me.id] = ["completed", {"deviceMethodResponse": answer}]
        job_id = service.new_id("job")
        jobs.create_scheduled_job(job_id, _method_job(where))
        job = service.follow_job(jobs, job_id)
    device.equal("status", job.status, "completed")
    device.equal("statistics", _statistics(job), {"device": 2, "succeeded": 2, "failed": 0})
    found = {row.device_id: [row.status, _outcome(row)] for row in _rows(registry, job_id)}
    device.equal("rows", found, wanted)


def stays_away(hub):
    """A device that stays away fails its row at the deadline, and the job is completed."""
    registry, jobs, ids, where = _fleet(hub, 1)
    job_id = service.new_id("job")
    jobs.create_scheduled_job(job_id, _method_job(where, max_execution_time_in_seconds=1))
    job = service.follow_job(jobs, job_id)
    device.equal("status", job.status, "completed")
    device.equal("statistics", _statistics(job), {"device": 1, "succeeded": 0, "failed": 1})
    (row,) = _rows(registry, job_id)
    device.equal("row", [row.device_id, row.status], [ids[0], "failed"])


def comes_later(hub):
    """A device that comes before the deadline is called then; a running job is not cancelled."""
    registry, jobs, _, _ = _fleet(hub, 0)
    me, job_id = hub.new_device(), service.new_id("job")
    jobs.create_scheduled_job(job_id, _method_job(f"deviceId = '{me.id}'"))
    device.eventually("it runs", lambda: jobs.get_scheduled_job(job_id).status == "running")
    cancel = (jobs.cancel_scheduled_job, job_id)
    service.refused(405, "OperationNotAllowedInCurrentState", *cancel)
    with _answering(hub, me, 200):
        device.equal("status", service.follow_job(jobs, job_id).status, "completed")
    device.equal("rows", [row.status for row in _rows(registry, job_id)], ["completed"])


def cancelled(hub):
    """A job of the future is scheduled, can be cancelled, and never touches a device."""
    registry, jobs, ids, where = _fleet(hub, 1)
    job_id = service.new_id("job")
    later = _twin_job(where, {"late": True}, start_time=_in(seconds=3600))
    device.equal("status", jobs.create_scheduled_job(job_id, later).status, "queued")
    device.eventually("scheduled", lambda: jobs.get_scheduled_job(job_id).status == "scheduled")
    device.equal("status", jobs.cancel_scheduled_job(job_id).status, "cancelled")
    device.equal("status", jobs.get_scheduled_job(job_id).status, "cancelled")
    assert "late" not in registry.get_twin(ids[0]).tags, "it touched the device"


def start_time(hub):
    """A job starts at its time and not before, whatever the zone the time is told in."""
    registry, jobs, ids, where = _fleet(hub, 1)
    job_id = service.new_id("job")
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    start = _in(seconds=2).astimezone(zone)
    jobs.create_scheduled_job(job_id, _twin_job(where, {"started": True}, start_time=start))
    early = registry.get_twin(ids[0])
    assert "started" not in early.tags or _in(seconds=0) >= start, "it started early"
    job = service.follow_job(jobs, job_id)
    device.equal("status", job.status, "completed")
    device.equal("start", job.start_time.isoformat(), start.astimezone(datetime.timezone.utc).isoformat())
    assert job.end_time >= start, f"it ended at {job.end_time}, before {start}"
    device.equal("tag", registry.get_twin(ids[0]).tags["started"], True)


def ids(hub):
    """An id is used once, an unknown one gives 404, a bad one 400."""
    _, jobs, _, where = _fleet(hub, 1)
    job_id, request = service.new_id("job"), _twin_job(where, {"n": 1})
    jobs.create_scheduled_job(job_id, request)
    before = service.follow_job(jobs, job_id).as_dict()
    service.refused(409, "JobAlreadyExists", jobs.create_scheduled_job, job_id, request)
    device.equal("job", jobs.get_scheduled_job(job_id).as_dict(), before)
    for action in (jobs.get_scheduled_job, jobs.cancel_scheduled_job):
        service.refused(404, "JobNotFound", action, service.new_id("none"))
    for bad in ("j" * 65, "a b"):
        service.refused(400, "ArgumentInvalid", jobs.create_scheduled_job, bad, request)


def bad_conditions(hub):
    """A condition that does not parse is taken, and fails the job with a reason."""
    _, jobs, _, _ = _fleet(hub, 0)
    for condition in ("SELECT * FROM devices", "tags.site ="):
        job_id = service.new_id("job")
        jobs.create_scheduled_job(job_id, _twin_job(condition, {"n": 1}))
        job = service.follow_job(jobs, job_id)
        device.equal(condition, job.status, "failed")
        assert job.failure_reason, "it does not say why"


def thousand(hub):
    """A job over a thousand devices reaches them all."""
    registry, jobs, ids, where = _fleet(hub, 1000)
    job_id = service.new_id("job")
    jobs.create_scheduled_job(job_id, _twin_job(where, None, {"n": 1}))
    job = service.follow_job(jobs, job_id)
    wanted = {"device": 1000, "succeeded": 1000, "failed": 0}
    device.equal("statistics", _statistics(job), wanted)
    query = f"SELECT COUNT() AS n FROM devices WHERE {where} AND properties.desired.n = 1"
    (row,) = service.rows(registry, query)
    device.equal("devices", row.additional_properties, {"n": 1000})


def _fleet(hub, number):
    """So many devices, and the condition that selects just them."""
    registry, site = service.registry(hub), service.new_id("site")
    found = sorted(service.register(registry, number, {"site": site}))
    return registry, service.jobs(hub), found, f"tags.site = '{site}'"


def _in(seconds):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


def _twin_job(condition, tags=None, desired=None, **members):
    properties = None if desired is None else TwinProperties(desired=desired)
    patch = Twin(etag="*", tags=tags, properties=properties)
    return _job("scheduleUpdateTwin", condition, update_twin=patch, **members)


def _method_job(condition, **members):
    method = CloudToDeviceMethod(
        method_name="count", payload={"from": 3}, response_timeout_in_seconds=10
    )
    return _job("scheduleDeviceMethod", condition, cloud_to_device_method=method, **members)


def _job(kind, condition, **members):
    defaults = {"start_time": _in(seconds=0), "max_execution_time_in_seconds": BUDGET}
    return JobRequest(type=kind, query_condition=condition, **(defaults | members))


@contextlib.contextmanager
def _answering(hub, me, status):
    """A connected device that answers each call with its payload."""
    with device.connected(hub, me.connection_string) as client:

        def handler(request):
            response = MethodResponse.create_from_method_request(request, status, request.payload)
            client.send_method_response(response)

        client.on_method_request_received = handler
        yield


def _statistics(job):
    counts = job.device_job_statistics
    return {
        "device": counts.device_count,
        "succeeded": counts.succeeded_count,
        "failed": counts.failed_count,
    }


def _rows(registry, job_id):
    return service.rows(registry, f"SELECT * FROM devices.jobs WHERE jobId = '{job_id}'")


def _outcome(row):
    return row.additional_properties["outcome"]


if __name__ == "__main__":
    run()
