"""The hub under judgement: `twinspec serve` as a child process on free loopback ports."""

import contextlib
import json
import subprocess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from backend import Backend
from relay import Relay
from steer import HTTPS, MQTTS, Steering

HOSTNAME = "hub.twinspec.test"
STOP_SECONDS = 10


class Device(NamedTuple):
    """A registered device no other check uses."""

    id: str
    connection_string: str


class Hub:
    """Runs inside a `with` block; `stop` says how it ended.

    Device certificates of the authorities in the file `device_ca` are trusted; `options` are
    further ones of `twinspec serve`.
    """

    def __init__(self, binary, devices, device_ca=None, options=()):
        self._command = [binary, "serve", "--mqtts", "127.0.0.1:0", "--https", "127.0.0.1:0"]
        self._command += ["--hostname", HOSTNAME, "--devices", str(devices), "--format", "json"]
        if device_ca is not None:
            self._command += ["--device-ca", str(device_ca)]
        self._command += options
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        try:
            self._read(_announcement(self._process.stdout))
        except BaseException:
            self.stop()
            raise
        self._steering.__enter__()
        return self

    def __exit__(self, *_exception):
        self._steering.__exit__()
        self.stop()

    def _read(self, announced):
        self.hostname = announced["hostname"]
        self.ca_file = Path(announced["ca_file"])
        self.ca_pem = self.ca_file.read_text()
        self.service = announced["service_connection_string"]
        self._policies = announced["policies"]
        self.backend = Backend(self.service, self.ca_pem)
        self._unused = [
            Device(each["device_id"], each["connection_string"]) for each in announced["devices"]
        ]
        endpoints = announced["endpoints"]
        mqtts, https = _address(endpoints["mqtts"]), _address(endpoints["https"])
        self._steering = Steering(self.hostname, mqtts, https)

    def stop(self):
        """Asks the hub to end by SIGTERM, if that has not happened, and returns its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()

    def new_device(self):
        return self._unused.pop(0)

    def policy(self, name):
        """The connection string of one of the hub's policies."""
        key = self._policies[name]
        return f"HostName={self.hostname};SharedAccessKeyName={name};SharedAccessKey={key}"

    def address_of(self, port):
        """Where the hub really listens for one of its public ports."""
        return self._steering.routes[self.hostname, port]

    @contextlib.contextmanager
    def behind_relay(self, websockets=False):
        """Device connections made inside the block pass through a relay that can cut them."""
        port = HTTPS if websockets else MQTTS
        with Relay(self.address_of(port)) as relay:
            before = self._steering.lead(port, relay.address)
            try:
                yield relay
            finally:
                self._steering.lead(port, before)


def _announcement(lines):
    """The JSON object the hub prints when it is ready; the hub goes on running after it."""
    text = ""
    for line in lines:
        text += line
        if line.rstrip() == "}":
            return json.loads(text)
    raise RuntimeError(f"the hub ended before it was ready, having said {text!r}")


def _address(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port
