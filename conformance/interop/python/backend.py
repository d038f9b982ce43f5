"""A back end of our own: registry, twins and methods over HTTPS, tokens signed with `hmac`.

It shares no code with the hub or with any SDK, so a mistake in the hub's reading of tokens or
paths cannot hide here.
"""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
from urllib.parse import quote

API_VERSION = "2021-04-12"
REQUEST_SECONDS = 10


class Refused(Exception):
    """The hub answered with an error status."""

    def __init__(self, request, status, body):
        super().__init__(f"{request} was answered with {status}: {body}")
        self.status = status
        self.body = body


def parse(connection_string):
    """Splits a connection string; values may themselves contain an equals sign."""
    return dict(part.split("=", 1) for part in connection_string.split(";"))


def sas_token(resource, key, policy=None, life_seconds=3600):
    """A shared access signature: what is signed is the encoded resource as it stands in `sr`."""
    scope = quote(resource, safe="")
    expiry = int(time.time()) + life_seconds
    digest = hmac.digest(base64.b64decode(key), f"{scope}\n{expiry}".encode(), hashlib.sha256)
    signature = quote(base64.b64encode(digest), safe="")
    token = f"SharedAccessSignature sr={scope}&sig={signature}&se={expiry}"
    return f"{token}&skn={quote(policy, safe='')}" if policy else token


class Backend:
    """The service side of one hub."""

    def __init__(self, connection_string, ca_pem):
        parts = parse(connection_string)
        self.hostname = parts["HostName"]
        self._policy = parts["SharedAccessKeyName"]
        self._key = parts["SharedAccessKey"]
        self._tls = ssl.create_default_context(cadata=ca_pem)

    def device(self, device_id):
        return self._call("GET", _device(device_id))

    def set_status(self, device_id, status):
        device = self.device(device_id)
        return self._call("PUT", _device(device_id), device | {"status": status}, if_match="*")

    def set_authentication(self, device_id, authentication, module_id=None):
        path = _device(device_id, module_id)
        identity = self._call("GET", path) | {"authentication": authentication}
        return self._call("PUT", path, identity, if_match="*")

    def create_module(self, device_id, module_id):
        """Registers a module and returns its connection string."""
        body = {"deviceId": device_id, "moduleId": module_id}
        module = self._call("PUT", _device(device_id, module_id), body)
        key = module["authentication"]["symmetricKey"]["primaryKey"]
        identity = f"DeviceId={device_id};ModuleId={module_id}"
        return f"HostName={self.hostname};{identity};SharedAccessKey={key}"

    def twin(self, device_id, module_id=None):
        return self._call("GET", _twin(device_id, module_id))

    def patch_desired(self, device_id, patch, module_id=None):
        body = {"properties": {"desired": patch}}
        return self._call("PATCH", _twin(device_id, module_id), body)

    def replace_desired(self, device_id, desired, module_id=None):
        body = {"properties": {"desired": desired}}
        return self._call("PUT", _twin(device_id, module_id), body, if_match="*")

    def patch_tags(self, device_id, tags):
        return self._call("PATCH", _twin(device_id), {"tags": tags})

    def invoke(self, device_id, name, payload, module_id=None, response_seconds=8):
        """Calls a direct method; what the device answered is the result."""
        body = {"methodName": name, "payload": payload, "responseTimeoutInSeconds": response_seconds}
        return self._call("POST", f"{_twin(device_id, module_id)}/methods", body)

    def _call(self, method, path, body=None, if_match=None):
        headers = {
            "Authorization": sas_token(self.hostname, self._key, self._policy),
            "Accept": "application/json",
        }
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            content = json.dumps(body, ensure_ascii=False).encode()
        connection = http.client.HTTPSConnection(
            self.hostname, timeout=REQUEST_SECONDS, context=self._tls
        )
        try:
            connection.request(method, f"{path}?api-version={API_VERSION}", content, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(f"{method} {path}", answer.status, text)
        return json.loads(text) if text else None


def _device(device_id, module_id=None):
    return _path("/devices", device_id, module_id)


def _twin(device_id, module_id=None):
    return _path("/twins", device_id, module_id)


def _path(collection, device_id, module_id):
    path = f"{collection}/{quote(device_id, safe='')}"
    return path if module_id is None else f"{path}/modules/{quote(module_id, safe='')}"
