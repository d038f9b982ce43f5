"""A TCP relay between the SDK and the hub whose links can be cut.

It lets a check take the network away without a word to the SDK or to the hub: no DISCONNECT is
sent, both ends just see their socket close, and new connections end at once until the outage ends.
"""

import contextlib
import socket
import threading


class Relay:
    """Listens on a free loopback port and forwards bytes to `target` inside a `with` block."""

    def __init__(self, target):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._lock = threading.Lock()
        self._up = True
        self._links = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception):
        # Shutting down wakes the accepting thread, which closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()

    @contextlib.contextmanager
    def outage(self):
        """Cuts every link and lets no new one live until the block ends."""
        with self._lock:
            self._up = False
        self._cut()
        try:
            yield
        finally:
            with self._lock:
                self._up = True

    def _cut(self):
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._up:
                    self._link(near)
                else:
                    near.close()

    def _link(self, near):
        # Not `create_connection`, whose look-ups are steered.
        far = socket.socket()
        try:
            far.connect(self._target)
        except OSError:
            near.close()
            return
        self._links += [near, far]
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source, sink):
    """Copies until one end closes, then ends the other."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
