"""A small Device Update agent on the official device SDK: an independent subject for the suite.

It speaks goal state 2 or 3 and runs payloads through the script handler. It was written from the protocol's
sources and shares nothing with the reference agent. It is no product: one step after the other, no components,
no deltas, no log upload.

Exit codes: 0 after SIGTERM, 10 when a handler wants a restart or reboot.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request

from azure.iot.device import IoTHubDeviceClient

import verify
from plan import Plan
from steps import Cancelled, Failed, NeedsRestart, Runner

PROCESS_DEPLOYMENT = 3
CANCEL = 255
IDLE, IN_PROGRESS, FAILED = 0, 6, 255
RESTART_EXIT = 10
PACKAGE_SECONDS = 5
RESEND_SECONDS = 2
ANSWER_SECONDS = 10
SENDERS = 32
MQTTS = 8883


class Agent:
    """The agent's mind: what it holds, what it reports."""

    def __init__(self, options, client):
        self.options, self.client = options, client
        self.roots = verify.load_root_keys(options.root_keys)
        self.work = pathlib.Path(options.work_dir)
        self.state_file = self.work / "state.json"
        self.state = {"done": None, "untold": None, "disabled": {"version": 0, "roots": [], "signers": []}}
        if self.state_file.exists():
            self.state = json.loads(self.state_file.read_text(encoding="utf-8"))
        self.saving = threading.Lock()
        self.senders = concurrent.futures.ThreadPoolExecutor(max_workers=SENDERS)
        self.inbox = queue.Queue()
        self.taking = threading.Lock()
        self.newest = 0
        self.outbox = queue.Queue()
        self.running = None
        self.next_up = None
        self.exit_code = None

    # -- what is reported ------------------------------------------------------------------------

    def begin_sending(self):
        if self.state["untold"] is not None:
            self.report(self.state["untold"])
        threading.Thread(target=self._send_reports, daemon=True).start()

    def report(self, patch):
        self.outbox.put(patch)

    def _send_reports(self):
        while True:
            patch = self.outbox.get()
            while not self._send(patch):
                threading.Event().wait(RESEND_SECONDS)
            if patch == self.state["untold"]:
                self.state["untold"] = None
                self._save()
            self.outbox.task_done()

    def _send(self, patch):
        """Whether nothing more is to be done about this patch."""
        # The SDK waits for an answer without end; a lost one must not hold up everything else.
        sending = self.senders.submit(self.client.patch_twin_reported_properties, patch)
        try:
            sending.result(ANSWER_SECONDS)
        except concurrent.futures.TimeoutError:
            print("report not answered", file=sys.stderr, flush=True)
            return False
        except Exception as error:  # the SDK has many, and each means: not taken yet
            print(f"report not taken: {error!r}", file=sys.stderr, flush=True)
            return "400" in str(error) or "413" in str(error)
        return True

    def _component(self, **members):
        self.report({"deviceUpdate": {"__t": "c", **members}})

    def introduce(self):
        contract = f"dtmi:azure:iot:deviceUpdateContractModel;{self.options.generation}"
        self.report({"deviceInformation": {
            "__t": "c", "manufacturer": "twinspec", "model": "python", "swVersion": "1.0", "osName": os.uname().sysname,
            "processorArchitecture": os.uname().machine, "processorManufacturer": "unknown", "totalStorage": 0,
            "totalMemory": 0,
        }})
        properties = {
            "manufacturer": "twinspec", "model": "python", "contractModelId": contract, "aduVer": "twinspec;agent/1.0",
        }
        self._component(agent={"deviceProperties": properties, "compatPropertyNames": "manufacturer,model"})

    def _codes(self, code, extended, details):
        result = {"resultCode": code, "resultDetails": details}
        if self.options.generation >= 3:
            result["extendedResultCodes"] = f"{extended:08X}"
        else:
            result["extendedResultCode"] = extended - (1 << 32) if extended >= 1 << 31 else extended
        return result

    def _tell(self, state, workflow, result, steps=None, installed=None):
        result = self._codes(*result)
        result["stepResults"] = {name: self._codes(*step) for name, step in steps.items()} if steps else None
        agent = {"state": state, "workflow": workflow, "lastInstallResult": result}
        if installed is not None:
            agent["installedUpdateId"] = installed
        patch = {"deviceUpdate": {"__t": "c", "agent": agent}}
        if state != IN_PROGRESS:
            # An end must not be lost, whatever happens to this process or to the line.
            self.state["untold"] = patch
            self._save()
        self.report(patch)

    def _acknowledge(self, service, version, code):
        kept = {"workflow": service.get("workflow")} if isinstance(service, dict) else {}
        self._component(service={"value": kept, "ac": code, "ad": "", "av": version})

    # -- what is desired -------------------------------------------------------------------------

    def take(self, desired):
        component = desired.get("deviceUpdate") if isinstance(desired, dict) else None
        service = component.get("service") if isinstance(component, dict) else None
        if service is None:
            return
        version = desired.get("$version")
        with self.taking:
            # A twin is read by one thread and patches come by another: what was read may be overtaken.
            if isinstance(version, int) and version >= self.newest:
                self.newest = version
                self.inbox.put((service, version))

    def _handle(self, service, version):
        workflow = service.get("workflow") if isinstance(service, dict) else None
        action = workflow.get("action") if isinstance(workflow, dict) else None
        name = workflow.get("id") if isinstance(workflow, dict) else None
        is_text = isinstance(name, str) and name != ""
        if not is_text or isinstance(action, bool) or action not in (PROCESS_DEPLOYMENT, CANCEL):
            self._acknowledge(service, version, 400)
        elif action == CANCEL:
            self._acknowledge(service, version, 200)
            self.next_up = None
            if self.running is not None:
                self.running[1].cancel()
        else:
            self._deploy(service, version, {"action": action, "id": name} | _retry(workflow))

    def _deploy(self, service, version, workflow):
        key = [workflow["id"], workflow.get("retryTimestamp")]
        if self.running is not None and self.running[0] == key:
            self._acknowledge(service, version, 200)
            return
        if self.running is None and self._is_done(key):
            self._acknowledge(service, version, 200)
            return
        self.next_up = (service, version, workflow, key)
        if self.running is not None:
            self.running[1].cancel()
        else:
            self._begin()

    def _is_done(self, key):
        done = self.state["done"]
        if done is None or done["key"][0] != key[0]:
            return False
        # A retry is a new timestamp; one of what succeeded has nothing to do.
        return done["succeeded"] or done["key"][1] == key[1] or key[1] is None

    def _begin(self):
        (service, version, workflow, key), self.next_up = self.next_up, None
        try:
            self._refresh_roots(service)
            manifest = service.get("updateManifest")
            signature = service.get("updateManifestSignature")
            verify.check_manifest(manifest, signature, self.roots, self.state["disabled"])
            plan = Plan(manifest)
        except verify.Refused as refused:
            self._acknowledge(service, version, 400)
            self._conclude(key, False)
            self._tell(FAILED, workflow, (0, refused.code, str(refused)))
            return
        self._acknowledge(service, version, 200)
        urls = service.get("fileUrls")
        folder = self.work / "downloads" / "".join(c for c in key[0] if c.isalnum() or c in "-_")
        for other in folder.parent.glob("*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        runner = Runner(plan, urls if isinstance(urls, dict) else {}, str(folder))
        self.running = (key, runner)
        self._tell(IN_PROGRESS, workflow, (1, 0, None))
        threading.Thread(target=self._run, args=(runner, workflow, key), daemon=True).start()

    def _refresh_roots(self, service):
        if self.options.generation < 3:
            return
        url = service.get("rootKeyPackageUrl")
        if not isinstance(url, str) or not url:
            raise verify.Refused(0x80300011, "there is no rootKeyPackageUrl")
        try:
            with urllib.request.urlopen(url, timeout=PACKAGE_SECONDS) as answer:
                text = answer.read(1 << 20).decode()
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise verify.Refused(0xA0100001, f"root key package: {error}") from None
        disabled = verify.check_package(text, self.roots)
        if disabled["version"] < self.state["disabled"]["version"]:
            raise verify.Refused(0x80600004, "an older root key package than the one in force")
        self.state["disabled"] = disabled
        self._save()

    def _run(self, runner, workflow, key):
        def tell(state, result, succeeded, installed=None):
            self._conclude(key, succeeded)
            self._tell(state, workflow, result, runner.results, installed)

        try:
            runner.run()
            tell(IDLE, (700, 0, ""), True, runner.plan.installed_update_id)
        except Cancelled:
            tell(IDLE, (-1, 0, "cancelled"), False)
        except Failed as failed:
            tell(FAILED, (failed.code, failed.extended, failed.text), False)
        except NeedsRestart:
            self.outbox.join()
            self.exit_code = RESTART_EXIT
        except Exception as error:  # whatever it was, the deployment did not work out
            tell(FAILED, (0, 0x30500206, repr(error)), False)
        self.inbox.put(None)

    def _conclude(self, key, succeeded):
        self.state["done"] = {"key": key, "succeeded": succeeded}
        self._save()

    def _save(self):
        new = self.state_file.with_suffix(".new")
        with self.saving, open(new, "w", encoding="utf-8") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(new, self.state_file)

    def work_until_told(self):
        while self.exit_code is None:
            item = self.inbox.get()
            if item is not None:
                self._handle(*item)
                continue
            # The deployment that ran is over.
            self.running = None
            if self.exit_code is None and self.next_up is not None:
                self._begin()
        return self.exit_code


def _retry(workflow):
    timestamp = workflow.get("retryTimestamp")
    # Null clears the timestamp of an older deployment.
    return {"retryTimestamp": timestamp if isinstance(timestamp, str) else None}


def _lead_to(host, port):
    """The SDK always connects to port 8883: this process leads it elsewhere."""
    original = socket.create_connection

    def connect(address, *args, **kwargs):
        return original((host, port) if tuple(address) == (host, MQTTS) else address, *args, **kwargs)

    socket.create_connection = connect


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connection-string", required=True)
    parser.add_argument("--port", type=int, default=MQTTS)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--root-keys", required=True)
    parser.add_argument("--work-dir", required=True)
    parser.add_argument("--generation", type=int, choices=(2, 3), default=3)
    return parser.parse_args()


def main():
    options = _options()
    os.makedirs(options.work_dir, exist_ok=True)
    parts = dict(part.split("=", 1) for part in options.connection_string.split(";") if part)
    _lead_to(parts["HostName"], options.port)
    client = IoTHubDeviceClient.create_from_connection_string(
        options.connection_string,
        product_info=f"dtmi:azure:iot:deviceUpdateModel;{options.generation}",
        server_verification_cert=pathlib.Path(options.ca).read_text(encoding="ascii"),
        connection_retry_interval=1, keep_alive=10,
    )
    agent = Agent(options, client)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # One after the other: the SDK's features must not be switched on from two threads at once.
    client.connect()
    client.on_twin_desired_properties_patch_received = agent.take
    desired = client.get_twin()["desired"]
    agent.begin_sending()
    agent.introduce()
    agent.take(desired)
    watch_connection(client, agent)
    code = agent.work_until_told()
    client.shutdown()
    os._exit(code)


def watch_connection(client, agent):
    """After each further connect: what was missed meanwhile is in the twin."""
    connected = threading.Event()
    client.on_connection_state_change = lambda: connected.set() if client.connected else None

    def attend():
        while True:
            connected.wait()
            connected.clear()
            try:
                agent.take(client.get_twin()["desired"])
            except Exception as error:  # the SDK has many, and each means: try again
                print(f"twin not read: {error!r}", file=sys.stderr, flush=True)
                threading.Event().wait(1)
                connected.set()

    threading.Thread(target=attend, daemon=True).start()


if __name__ == "__main__":
    main()
