"""Leads connections to the hub's public name and ports to where the hub really listens.

The SDK connects to (host name, 8883) and offers no way to change the port.
Steering replaces `socket.create_connection` in this process only: no SDK file, no hosts file and no
privileged port is touched, and TLS still checks the certificate against the public name.
"""

import socket

MQTTS = 8883
HTTPS = 443


class Steering:
    """A table of routes that is in force inside a `with` block."""

    def __init__(self, hostname, mqtts, https):
        self.hostname = hostname
        self.routes = {(hostname, MQTTS): mqtts, (hostname, HTTPS): https}
        self._original = None

    def __enter__(self):
        self._original = socket.create_connection
        socket.create_connection = self._connect
        return self

    def __exit__(self, *_exception):
        socket.create_connection = self._original

    def lead_mqtts(self, address):
        """Leads device connections elsewhere from now on; returns where they went before."""
        before = self.routes[self.hostname, MQTTS]
        self.routes[self.hostname, MQTTS] = address
        return before

    def _connect(self, address, *args, **kwargs):
        route = self.routes.get(tuple(address))
        if route is None:
            # A connection to anywhere else would mean that the check is not about our hub.
            raise OSError(f"no route to {address}: only {self.hostname} is steered")
        return self._original(route, *args, **kwargs)
