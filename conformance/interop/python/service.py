"""Handles for the unmodified service SDK: its clients, what they give, the errors they raise."""

import itertools
import os

from azure.iot.hub import (
    DigitalTwinClient,
    IoTHubConfigurationManager,
    IoTHubHttpRuntimeManager,
    IoTHubJobManager,
    IoTHubRegistryManager,
)
from azure.iot.hub.models import ExportImportDevice, QuerySpecification
from msrest.exceptions import HttpOperationError

import device

PAGES_MAX = 100
"""More pages than any check has mean that a query does not end."""

BULK_ITEMS_MAX = 100

JOB_ENDS = ("completed", "failed", "cancelled")

_numbers = itertools.count(1)


def registry(hub, connection_string=None):
    """Identities, twins, queries and methods."""
    return _client(IoTHubRegistryManager, hub, connection_string)


def registry_with_credential(hub, credential):
    """The same for a client that asks a credential for bearer tokens."""
    trust(hub)
    return IoTHubRegistryManager.from_token_credential(hub.hostname, credential)


def jobs(hub, connection_string=None):
    return _client(IoTHubJobManager, hub, connection_string)


def configurations(hub, connection_string=None):
    return _client(IoTHubConfigurationManager, hub, connection_string)


def digital_twins(hub):
    return _client(DigitalTwinClient, hub)


def runtime(hub):
    """Feedback about cloud-to-device messages."""
    return _client(IoTHubHttpRuntimeManager, hub)


def trust(hub):
    """Lets the SDK trust the CA of this hub: it has no option for that and heeds these only."""
    os.environ["REQUESTS_CA_BUNDLE"] = str(hub.ca_file)
    os.environ["NO_PROXY"] = hub.hostname


def trust_nobody_else():
    """Takes the hub's CA away again."""
    os.environ.pop("REQUESTS_CA_BUNDLE", None)
    os.environ.pop("CURL_CA_BUNDLE", None)


def _client(kind, hub, connection_string=None):
    trust(hub)
    return kind.from_connection_string(connection_string or hub.service)


def new_id(stem="pump"):
    """An id that no other check uses."""
    return f"{stem}-{next(_numbers):04}"


def register(manager, number, tags=None):
    """So many devices, registered a hundred a call, with the tags given; gives their ids."""
    ids = [new_id() for _ in range(number)]
    for start in range(0, number, BULK_ITEMS_MAX):
        some = ids[start : start + BULK_ITEMS_MAX]
        manager.bulk_create_or_update_devices(
            [ExportImportDevice(id=each, import_mode="create", tags=tags) for each in some]
        )
    return ids


def rows(manager, query, size=None):
    """All rows of a query, page by page; what is no member of twins is in additional properties."""
    return [row for page in pages(manager, query, size) for row in page]


def pages(manager, query, size=None):
    """The pages of a query, each a list of rows."""
    found, token = [], None
    while True:
        page = manager.query_iot_hub(QuerySpecification(query=query), token, size)
        found.append(page.items)
        token = page.continuation_token
        if token is None:
            return found
        assert len(found) < PAGES_MAX, f"the query does not end: {len(found)} pages"


def refused(status, code, action, *arguments, **options):
    """The error that the call must give: of this HTTP status, and by this name."""
    try:
        result = action(*arguments, **options)
    except HttpOperationError as error:
        answer = error.response
        named = answer.headers.get("iothub-errorcode")
        seen = f"{answer.status_code} {named}: {answer.text}"
        assert (answer.status_code, named) == (status, code), f"wanted {status} {code}; got {seen}"
        return error
    raise AssertionError(f"wanted {status} {code}; got {result!r}")


def follow_job(manager, job_id):
    """A job in its last state; it must come to one within the budget."""
    seen = []

    def has_ended():
        seen.append(manager.get_scheduled_job(job_id))
        return seen[-1].status in JOB_ENDS

    device.eventually(f"job {job_id} ends", has_ended)
    return seen[-1]
