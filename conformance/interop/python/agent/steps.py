"""Carrying out a plan: download, check, and the script handler."""

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request

from plan import HANDLER

ALGORITHMS = ("sha512", "sha384", "sha256")
"""Hashes that are strong enough, strongest first."""

DOWNLOAD_SECONDS = 5
PHASE_SECONDS = 60
REBOOTS = {605, 606, 705, 706}
RESTARTS = {607, 608, 707, 708}

OK_CODES = "00000000"


class Failed(Exception):
    """A step did not work out; carries result code, extended code and text."""

    def __init__(self, extended, text, code=0):
        super().__init__(text)
        self.code, self.extended, self.text = code, extended, text


class Cancelled(Exception):
    """The deployment was called off."""


class NeedsRestart(Exception):
    """A handler wants the agent to be started anew."""


class Runner:
    """One deployment while it runs."""

    def __init__(self, plan, urls, folder):
        self.plan, self.urls, self.folder = plan, urls, folder
        self.results = {f"step_{index}": (0, 0, "") for index in range(len(plan.steps))}
        self._cancelled = threading.Event()
        self._process, self._script = None, None

    def cancel(self):
        """Stops what runs: the script is told, then its phase is ended."""
        self._cancelled.set()
        script, process = self._script, self._process
        if script is None or process is None:
            return
        self._start(script, "cancel")[0].wait(PHASE_SECONDS)
        try:
            process.wait(PHASE_SECONDS / 10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)

    def run(self):
        """Everything from the first question to the last apply."""
        for step in self.plan.steps:
            if step["handler"] != HANDLER:
                raise Failed(0x30000003, f"there is no handler {step['handler']}")
        if all(self._is_installed(index) for index in range(len(self.plan.steps))):
            for name in self.results:
                self.results[name] = (603, 0, "")
            return
        for index in range(len(self.plan.steps)):
            self._fetch_all(index)
            self._phase(index, "download")
        for index in range(len(self.plan.steps)):
            if self._phase(index, "is-installed")[0] == 900:
                self._keep(index, (603, 0, ""))
                continue
            # The download phase is long over: what was checked then may have been changed since.
            self._fetch_all(index)
            self._phase(index, "backup")
            try:
                self._phase(index, "install")
                self._phase(index, "apply")
            except Failed:
                self._restore(index)
                raise

    def _is_installed(self, index):
        # The script itself is needed to be asked; nothing else is fetched for that.
        self._fetch_script(index)
        return self._phase(index, "is-installed")[0] == 900

    def _restore(self, index):
        result = self.results[f"step_{index}"]
        try:
            self._phase(index, "restore")
        except Failed:
            pass
        self.results[f"step_{index}"] = result

    def _keep(self, index, result):
        self.results[f"step_{index}"] = result

    def _phase(self, index, phase):
        if self._cancelled.is_set():
            raise Cancelled
        step = self.plan.steps[index]
        process, result_file = self._start(step, phase)
        self._process, self._script = process, step
        try:
            process.wait(PHASE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finally:
            self._process = None
        result = _result(process.returncode, result_file)
        if phase not in ("is-installed", "backup"):
            self._keep(index, result)
        if self._cancelled.is_set():
            raise Cancelled
        if result[0] <= 0:
            raise Failed(result[1] or 0x30500206, result[2], result[0])
        if result[0] in REBOOTS | RESTARTS:
            raise NeedsRestart
        return result

    def _start(self, step, phase):
        properties = step.get("handlerProperties", {})
        path = os.path.join(self.folder, properties["scriptFileName"])
        result_file = os.path.join(self.folder, f"{phase}.result.json")
        if os.path.exists(result_file):
            os.remove(result_file)
        command = [path]
        command += ["--action", phase] if properties.get("apiVersion") == "1.1" else [f"--action-{phase}"]
        command += properties.get("arguments", "").split()
        command += ["--work-folder", self.folder, "--result-file", result_file]
        command += ["--installed-criteria", properties.get("installedCriteria", "n/a")]
        process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, start_new_session=False,
            process_group=0,
        )
        return process, result_file

    def _fetch_script(self, index):
        step = self.plan.steps[index]
        name = step.get("handlerProperties", {}).get("scriptFileName")
        for file_id in step["files"]:
            if self.plan.files[file_id]["fileName"] == name:
                os.chmod(self._fetch(file_id), 0o700)
                return
        raise Failed(0x30500001, "the step has no script")

    def _fetch_all(self, index):
        for file_id in self.plan.steps[index]["files"]:
            self._fetch(file_id)
        self._fetch_script(index)

    def _fetch(self, file_id):
        if self._cancelled.is_set():
            raise Cancelled
        entry = self.plan.files[file_id]
        path = os.path.join(self.folder, entry["fileName"])
        if os.path.exists(path):
            with open(path, "rb") as file:
                if _flaw(entry, file.read()) is None:
                    return path
            os.remove(path)
        url = self.urls.get(file_id)
        if not isinstance(url, str):
            raise Failed(0x30500104, f"there is no URL for {file_id}")
        try:
            with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
                content = answer.read(entry["sizeInBytes"] + 1)
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise Failed(0x30501001, f"{file_id}: {error}") from None
        flaw = _flaw(entry, content)
        if flaw is not None:
            raise Failed(0x00100003, f"{file_id}: {flaw}")
        with open(path, "wb") as file:
            file.write(content)
        return path


def _flaw(entry, content):
    """What is wrong with a file; None when nothing is."""
    if len(content) != entry["sizeInBytes"]:
        return f"{len(content)} bytes in place of {entry['sizeInBytes']}"
    for algorithm in ALGORITHMS:
        wanted = next((h for a, h in entry["hashes"].items() if a.lower() == algorithm), None)
        if wanted is not None:
            seen = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
            return None if seen == wanted else f"another {algorithm}"
    return "no hash that is strong enough"


def _result(status, path):
    if status != 0:
        return (0, 0x30501000 + (status if status > 0 else 128 - status), f"exit status {status}")
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        details = str(result.get("resultDetails", ""))
        return (int(result["resultCode"]), int(result.get("extendedResultCode", 0)), details)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (0, 0x30500206, re.sub(r"\s+", " ", repr(error)))
