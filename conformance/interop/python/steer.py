"""Leads connections to the hub's public name and ports to where the hub really listens.

The SDKs connect to (host name, 8883) and (host name, 443) and offer no way to change the port.
Steering replaces `socket.getaddrinfo` in this process only, through which Python's clients look
names up: no SDK file, no hosts file and no privileged port is touched, and TLS still checks the
certificate against the public name.
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
        self._original = socket.getaddrinfo
        socket.getaddrinfo = self._look_up
        return self

    def __exit__(self, *_exception):
        socket.getaddrinfo = self._original

    def lead(self, port, address):
        """Leads connections to the port elsewhere from now on; returns where they went before."""
        before = self.routes[self.hostname, port]
        self.routes[self.hostname, port] = address
        return before

    def _look_up(self, host, port, *_args, **_options):
        route = self.routes.get((host, port))
        if route is None:
            # A connection to anywhere else would mean that the check is not about our hub.
            raise OSError(f"no route to {host}:{port}: only {self.hostname} is steered")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", route)]
