"""Handles for the unmodified SDK client: its life, its handlers' inboxes, its subscriptions."""

import contextlib
import json
import logging
import os.path
import queue
import time

from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient

MESSAGE_SECONDS = 10
"""How long something that must come may take."""

SHOWN_CHARACTERS = 200
"""How much of a value a failure shows."""

_TRANSPORT_LOG = "azure.iot.device.common.mqtt_transport"


def create(hub, connection_string, **options):
    """An SDK client that trusts the hub's CA; the caller must shut it down."""
    kind = IoTHubModuleClient if "ModuleId=" in connection_string else IoTHubDeviceClient
    return kind.create_from_connection_string(connection_string, **_trusting(hub, options))


def create_with_certificate(hub, certificate, device_id, module_id=None, **options):
    """The same, for a client that shows a certificate."""
    x509 = X509(str(certificate.chain_file), str(certificate.key_file))
    identity = {"hostname": hub.hostname, "device_id": device_id}
    kind = IoTHubDeviceClient
    if module_id is not None:
        kind, identity["module_id"] = IoTHubModuleClient, module_id
    options = _trusting(hub, options)
    return kind.create_from_x509_certificate(x509=x509, **identity, **options)


@contextlib.contextmanager
def connected(hub, connection_string, **options):
    """An SDK client that is connected at the start and shut down at the end."""
    client = create(hub, connection_string, **options)
    with shut_down_at_end(client):
        client.connect()
        yield client


@contextlib.contextmanager
def connected_with_token(hub, token, **options):
    """The same, for a client that is given tokens instead of a key."""
    client = IoTHubDeviceClient.create_from_sastoken(token, **_trusting(hub, options))
    with shut_down_at_end(client):
        client.connect()
        yield client


@contextlib.contextmanager
def shut_down_at_end(client):
    try:
        yield client
    finally:
        client.shutdown()


def _trusting(hub, options):
    # Ten seconds between attempts to reconnect, the SDK's default, would only be waited for.
    return {"server_verification_cert": hub.ca_pem, "connection_retry_interval": 1} | options


class Inbox:
    """A handler that keeps what the SDK hands over."""

    def __init__(self):
        self._items = queue.Queue()

    def __call__(self, item=None):
        self._items.put(item)

    def take(self):
        """The next item; it must come within the budget."""
        try:
            return self._items.get(timeout=MESSAGE_SECONDS)
        except queue.Empty:
            raise AssertionError(f"the SDK handed over nothing in {MESSAGE_SECONDS} s") from None

    def is_empty(self):
        return self._items.empty()


def watch_desired(client):
    """Subscribes to desired notifications; the SDK returns after the SUBACK."""
    inbox = Inbox()
    client.on_twin_desired_properties_patch_received = inbox
    return inbox


def equal(what, got, wanted):
    """Compares as JSON, since Python takes 1, 1.0 and True for the same."""
    wanted, got = _canonical(wanted), _canonical(got)
    if got != wanted:
        start = _interesting_start(wanted, got)
        shown = [text[start : start + SHOWN_CHARACTERS] for text in (wanted, got)]
        raise AssertionError(f"{what}: wanted {shown[0]}; got {shown[1]}")


def _canonical(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _interesting_start(wanted, got):
    """Short values are shown whole, long ones from shortly before they part."""
    if max(len(wanted), len(got)) <= SHOWN_CHARACTERS:
        return 0
    return max(0, len(os.path.commonprefix([wanted, got])) - 40)


def eventually(what, condition):
    """Waits until the condition holds, for as long as a message may take."""
    deadline = time.monotonic() + MESSAGE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {MESSAGE_SECONDS} s: {what}"
        time.sleep(0.01)


def raised(kind, action, *arguments):
    """The exception of exactly this kind that the action must raise."""
    try:
        action(*arguments)
    except Exception as error:
        assert type(error) is kind, f"wanted {kind.__name__}; got {error!r}"
        return error
    raise AssertionError(f"wanted {kind.__name__}; nothing was raised")


class Subscriptions(logging.Handler):
    """The topics the SDK subscribes to inside a `with` block, read from the SDK's own log."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.topics = []

    def emit(self, record):
        words = record.getMessage().split()
        if words[:2] == ["subscribing", "to"]:
            self.topics.append(words[2])

    def __enter__(self):
        logging.getLogger(_TRANSPORT_LOG).addHandler(self)
        return self

    def __exit__(self, *_exception):
        logging.getLogger(_TRANSPORT_LOG).removeHandler(self)


def _keep_sdk_log_off_the_terminal():
    """Refusals and drops are what the checks provoke; the SDK would print each as a warning."""
    root = logging.getLogger("azure")
    root.addHandler(logging.NullHandler())
    root.propagate = False
    logging.getLogger(_TRANSPORT_LOG).setLevel(logging.INFO)


_keep_sdk_log_off_the_terminal()
