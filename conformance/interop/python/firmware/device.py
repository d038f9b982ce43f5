"""Devices of the three older firmware-update patterns, on the official device SDK.

Written from the patterns' rules (firmware-patterns.md (b) to (d), section 6); nothing is shared with
the reference devices. `FIRMWARE_DEFECT` names something to do wrong on purpose.
"""

import argparse
import os
import queue
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from azure.iot.device import IoTHubDeviceClient, MethodResponse  # noqa: E402

from steer import Steering  # noqa: E402

UNIT = 0.15
GOOD_CHECK_VALUE = "c0ffee77"
DEFECT = os.environ.get("FIRMWARE_DEFECT", "")


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Link:
    """Reports in order; what could not be said is said again, as it is by then, when it can be."""

    def __init__(self, client):
        self._client = client
        self._truth = {}
        self._lock = threading.Lock()
        self._outbox = queue.Queue()
        threading.Thread(target=self._send, daemon=True).start()

    def say(self, patch):
        with self._lock:
            _merge(self._truth, patch)
            self._outbox.put(patch)

    def _send(self):
        while True:
            patch = self._outbox.get()
            while not self._try(patch):
                time.sleep(0.2)
                # The truth holds all that waits, so what is said meanwhile must not come between.
                with self._lock:
                    patch = _copy(self._truth)
                    while not self._outbox.empty():
                        self._outbox.get_nowait()

    def _try(self, patch):
        try:
            if not self._client.connected:
                return False
            self._client.patch_twin_reported_properties(patch)
            return True
        except Exception as error:
            print(f"a report failed: {error!r}", file=sys.stderr)
            return False


def _merge(target, patch):
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(name, {}), value)
        else:
            target[name] = value


def _copy(value):
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in value.items()}


def work(phase, uri, check=None):
    """What is acted out: what an image is like is part of its address."""
    time.sleep(UNIT)
    if phase == "download" and "missing" in uri:
        raise Failure("DownloadFailed", "there is no such image")
    if phase == "verify" and check != GOOD_CHECK_VALUE:
        raise Failure("VerificationFailed", "Image verification failed")
    if phase == "apply" and "broken" in uri:
        raise Failure("ApplyFailed", "the image cannot be written")


def utc():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TwinJob:
    """Pattern (b)."""

    PHASES = [
        ("download", "downloading", "Start downloading", "Finished downloading"),
        ("verify", "verifying", "Start verifying download", "Finished verifying download"),
        ("apply", "applying", "Start applying image", "Finished applying image"),
        ("reboot", "rebooting", "Start reboot", "Finished reboot"),
    ]

    def __init__(self, client, link):
        self._client, self._link = client, link
        self._version = "1.0.0"
        self._wanted = {}
        self._busy = False
        # What is told before the device has read its twin waits until it has.
        self._turn = threading.Lock()

    def start(self):
        with self._turn:
            self._client.on_twin_desired_properties_patch_received = self._patch
            self._begin()

    def _begin(self):
        twin = self._client.get_twin()
        known = twin["reported"].get("firmware", {}).get("currentFwVersion")
        self._version = known or self._version
        self._report(
            currentFwVersion=self._version,
            pendingFwVersion="",
            fwUpdateStatus="current",
            fwUpdateSubstatus="",
            lastFwUpdateStartTime="",
            lastFwUpdateEndTime="",
        )
        self._wanted = dict(twin["desired"].get("firmware", {}))
        if self._wanted.get("fwVersion") not in (None, self._version):
            self._consider()

    def _report(self, **members):
        self._link.say({"firmware": members})

    def _show(self, status, detail):
        self._report(fwUpdateStatus=status, fwUpdateSubstatus=detail)

    def _patch(self, patch):
        with self._turn:
            self._take(patch)

    def _take(self, patch):
        if "firmware" not in patch:
            return
        if DEFECT == "partial-patch" and "fwPackageURI" not in patch["firmware"]:
            os._exit(1)
        self._wanted.update(patch["firmware"])
        self._consider()

    def _consider(self):
        request = dict(self._wanted)
        version, uri = request.get("fwVersion"), request.get("fwPackageURI") or ""
        if self._busy or not version:
            return
        if version == self._version:
            self._show("current", "Firmware already up to date")
        elif not uri.startswith("https://") and DEFECT != "takes-http":
            self._show("error", "Insecure package URI")
        else:
            self._busy = True
            threading.Thread(target=self._update, args=(request,), daemon=True).start()

    def _update(self, request):
        version = request["fwVersion"]
        self._report(
            pendingFwVersion=version,
            fwUpdateStatus="current",
            fwUpdateSubstatus="",
            lastFwUpdateStartTime=utc(),
        )
        try:
            for phase, status, begun, done in self.PHASES:
                if DEFECT == "skips-verifying" and phase == "verify":
                    continue
                self._show(status, begun)
                work(phase, request["fwPackageURI"], request.get("fwPackageCheckValue"))
                self._show(status, done)
        except Failure as failure:
            self._show("error", str(failure))
            time.sleep(UNIT)
            self._end("rolledback", f"Rolled back to: {self._version}")
        else:
            self._version = version
            self._end("current", "")

    def _end(self, status, detail):
        self._busy = False
        self._report(
            currentFwVersion=self._version,
            pendingFwVersion="",
            fwUpdateStatus=status,
            fwUpdateSubstatus=detail,
            lastFwUpdateEndTime=utc(),
        )


class Method:
    """What patterns (c) and (d) share: a call that starts an update."""

    ANSWER = None

    def __init__(self, client, link):
        self._client, self._link = client, link
        self._busy = False

    def start(self):
        self._client.on_method_request_received = self._called

    def _called(self, request):
        if request.name != "firmwareUpdate":
            self._answer(request, 404, "there is no such method")
        elif self._busy and DEFECT != "interleaves":
            self._answer(request, 409, "Firmware update already running")
        else:
            self._busy = True
            self._answer(request, 200, self.ANSWER)
            uri = (request.payload or {}).get("fwPackageUri") or ""
            threading.Thread(target=self._run, args=(uri,), daemon=True).start()

    def _answer(self, request, status, payload):
        response = MethodResponse.create_from_method_request(request, status, payload)
        self._client.send_method_response(response)

    def _run(self, uri):
        try:
            self.update(uri)
        finally:
            self._busy = False


class DirectMethod(Method):
    """Pattern (c), as the tutorial of 2016 spells it."""

    ANSWER = "FirmwareUpdate started"

    def _report(self, status, **members):
        self._link.say({"iothubDM": {"firmwareUpdate": {"status": status, **members}}})

    def update(self, uri):
        first = "Waiting" if DEFECT == "foreign-word" else "waiting"
        self._report(first, fwPackageUri=uri, error=None, startedWaitingTime=utc())
        time.sleep(UNIT)
        try:
            self._report("downloading")
            if not uri.startswith("https://"):
                raise Failure("InvalidUrl", "only https is fetched")
            work("download", uri)
        except Failure as failure:
            self._end("downloadfailed", failure)
            return
        self._report("downloadComplete", downloadCompleteTime=utc())
        time.sleep(UNIT)
        try:
            self._report("applying", startedApplyingImage=utc())
            work("apply", uri)
        except Failure as failure:
            self._end("applyFailed", failure)
            return
        self._busy = False
        self._report("applyComplete", lastFirmwareUpdate=utc())

    def _end(self, status, failure):
        self._busy = False
        error = {"code": failure.code, "message": str(failure)}
        self._report(status, error={} if DEFECT == "empty-error" else error)


class DirectMethod2018(Method):
    """Pattern (d)."""

    ANSWER = {"Response": "Firmware update started"}

    def start(self):
        super().start()
        self._report("standby" if DEFECT == "lower-case" else "standBy", "logTime")

    def _report(self, status, companion):
        now = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
        self._link.say({"firmwareStatus": status, companion: now})

    def update(self, uri):
        time.sleep(UNIT)
        self._report("downloading", "downloadComplete")
        time.sleep(2 * UNIT)
        if DEFECT != "skips-applying":
            self._report("applying", "startedApplyingImage")
        time.sleep(2 * UNIT)
        self._busy = False
        self._report("completed", "lastFirmwareUpdate")


PATTERNS = {
    "twin-job": TwinJob,
    "direct-method": DirectMethod,
    "direct-method-2018": DirectMethod2018,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pattern", choices=PATTERNS)
    for name in ["--connection-string", "--ca"]:
        parser.add_argument(name, required=True)
    parser.add_argument("--port", required=True, type=int)
    options = parser.parse_args()
    members = options.connection_string.split(";")
    host = dict(each.split("=", 1) for each in members)["HostName"]
    with Steering(host, ("localhost", options.port), ("localhost", 0)):
        client = IoTHubDeviceClient.create_from_connection_string(
            options.connection_string,
            server_verification_cert=Path(options.ca).read_text(),
            connection_retry_interval=1,
        )
        client.connect()
        PATTERNS[options.pattern](client, Link(client)).start()
        threading.Event().wait()


main()
