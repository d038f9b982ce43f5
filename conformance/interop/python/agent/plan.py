"""What is to be installed: the update manifest, read strictly where it matters."""

import json
import re

from verify import Refused

MANIFEST_VERSIONS = (4, 5)
HANDLER = "microsoft/script:1"


class Plan:
    """Update id, steps and files of a manifest that may be executed."""

    def __init__(self, text):
        try:
            manifest = json.loads(text)
        except ValueError:
            raise Refused(0x80300009, "the manifest is not JSON") from None
        if not isinstance(manifest, dict):
            raise Refused(0x80300009, "the manifest is no object")
        _check_version(manifest.get("manifestVersion"))
        self.update_id = _update_id(manifest.get("updateId"))
        self.files = manifest.get("files")
        instructions = manifest.get("instructions")
        steps = instructions.get("steps") if isinstance(instructions, dict) else None
        if not isinstance(self.files, dict) or not isinstance(steps, list):
            raise Refused(0x80300009, "the manifest lacks files or steps")
        if not 1 <= len(steps) <= 10:
            raise Refused(0x80300009, f"{len(steps)} steps; allowed are 1 to 10")
        self.steps = [self._step(step) for step in steps]

    def _step(self, step):
        if not isinstance(step, dict) or step.get("type", "inline") != "inline":
            raise Refused(0x80300009, "only inline steps are supported")
        names = step.get("files")
        if not isinstance(names, list) or not names:
            raise Refused(0x80300009, "a step without files")
        if not isinstance(step.get("handler"), str):
            raise Refused(0x80300009, "a step without handler")
        for name in names:
            if not isinstance(name, str) or name not in self.files:
                raise Refused(0x80300009, f"a step names the file {name!r}, which is not there")
            _check_file(self.files[name])
        return step

    @property
    def installed_update_id(self):
        keys = ("provider", "name", "version")
        return json.dumps({key: self.update_id[key] for key in keys}, separators=(",", ":"))


def _check_version(version):
    number = re.match(r"\d+", version) if isinstance(version, str) else None
    if number is None or int(number.group()) not in MANIFEST_VERSIONS:
        raise Refused(0x8030000A, f"manifestVersion {version!r}")


def _update_id(update_id):
    patterns = {
        "provider": r"[A-Za-z0-9.-]{1,64}",
        "name": r"[A-Za-z0-9.-]{1,64}",
        "version": r"\d+(\.\d+){1,3}",
    }
    for key, pattern in patterns.items():
        value = update_id.get(key) if isinstance(update_id, dict) else None
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise Refused(0x80300009, f"updateId.{key} is {value!r}")
    return update_id


def _check_file(entry):
    name = entry.get("fileName") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name or "/" in name or name in (".", ".."):
        raise Refused(0x80300009, f"a file with the name {name!r}")
    if not isinstance(entry.get("hashes"), dict) or not isinstance(entry.get("sizeInBytes"), int):
        raise Refused(0x80300009, f"the file {name} lacks hashes or sizeInBytes")
