"""Who may use the service SDK, and what stops it (hub-auth.md § 3; hub-http.md § 6, § 10)."""

import base64
import concurrent.futures
import sys
import time

from azure.core.credentials import AccessToken
from azure.iot.hub.models import JobProperties
from msrest.exceptions import ClientRequestError, HttpOperationError

import device
import service
from backend import parse
from hub import Hub
from runner import run

UNAUTHORIZED = (401, "IotHubUnauthorizedAccess")


def wrong_credentials(hub):
    """A wrong key or policy name gives 401; the right ones then still work."""
    wrong_key = base64.b64encode(bytes(32)).decode()
    for wrong in (
        hub.service.replace(parse(hub.service)["SharedAccessKey"], wrong_key),
        hub.service.replace("iothubowner", "nobody"),
    ):
        service.refused(*UNAUTHORIZED, service.registry(hub, wrong).get_service_statistics)
    service.registry(hub).get_service_statistics()


def policies(hub):
    """Each policy opens what it is for, and no more."""
    names = ("registryRead", "registryReadWrite", "service", "device")
    reader, writer, backend, of_devices = (
        service.registry(hub, hub.policy(name)) for name in names
    )
    me = service.new_id()
    for manager in (reader, backend, of_devices):
        service.refused(*UNAUTHORIZED, manager.create_device_with_sas, me, "", "", "enabled")
    writer.create_device_with_sas(me, "", "", "enabled")
    device.equal("device", reader.get_device(me).device_id, me)
    device.equal("twin", backend.get_twin(me).device_id, me)
    for manager in (backend, of_devices):
        service.refused(*UNAUTHORIZED, manager.get_device, me)
    for manager in (reader, writer, of_devices):
        service.refused(*UNAUTHORIZED, manager.get_twin, me)


def untrusted_hub(hub):
    """Steering leaves TLS alone: without the hub's CA the SDK reads no answer."""
    manager = service.registry(hub)
    service.trust_nobody_else()
    error = device.raised(ClientRequestError, manager.get_service_statistics)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error), f"failed for another reason: {error!r}"
    service.trust(hub)
    manager.get_service_statistics()


def throttled(hub):
    """A throttled hub gives 429, and serves again when asked less."""
    with Hub(sys.argv[1], devices=0, options=["--throttle", "registry=1/2"]) as busy:
        manager = service.registry(busy)
        manager.get_service_statistics()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(service.registry(busy).get_devices) for _ in range(20)]
            errors = [each.exception() for each in calls]
        refused = [each for each in errors if each is not None]
        assert refused, "none of twenty calls was refused"
        for error in refused:
            assert type(error) is HttpOperationError, f"another error: {error!r}"
            answer = error.response
            named = (answer.status_code, answer.headers["iothub-errorcode"])
            device.equal("error", named, (429, "ThrottlingException"))
    service.trust(hub)


def bearer_tokens(hub):
    """A credential of Entra is refused with 401 and told why."""
    manager = service.registry_with_credential(hub, _Credential())
    error = service.refused(*UNAUTHORIZED, manager.get_service_statistics)
    assert "bearer" in error.response.text, f"it does not say why: {error.response.text}"


class _Credential:
    """What a library for identities would hand to the SDK."""

    def get_token(self, *_scopes, **_options):
        return AccessToken("header.claims.signature", int(time.time()) + 3600)


def what_is_not_offered(hub):
    """Import, export, digital twins and feedback are refused by a name that says so."""
    me = hub.new_device().id
    twins, runtime, jobs = service.digital_twins(hub), service.runtime(hub), service.jobs(hub)
    export = JobProperties(type="export", output_blob_container_uri="https://blob.test/x")
    for action, *arguments in (
        (jobs.create_import_export_job, export),
        (twins.get_digital_twin, me),
        (twins.update_digital_twin, me, [{"op": "add", "path": "/rate", "value": 1}]),
        (twins.invoke_command, me, "restart", {}),
        (twins.invoke_component_command, me, "fan", "restart", {}),
        (runtime.receive_feedback_notification,),
        (runtime.complete_feedback_notification, "lock"),
        (runtime.abandon_feedback_notification, "lock"),
    ):
        service.refused(404, "FeatureNotSupported", action, *arguments)
    device.equal("jobs of import and export", jobs.get_import_export_jobs(), [])
    for action in (jobs.get_import_export_job, jobs.cancel_import_export_job):
        service.refused(404, "JobNotFound", action, "none")


if __name__ == "__main__":
    run()
