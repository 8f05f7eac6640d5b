"""A proxy between a node and PostgreSQL that can keep the answer to a COMMIT to itself, and cut the line instead."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
PIECE = 65_536
COMMIT = b"COMMIT\x00"


class Proxy:
    """Passes everything through, on threads of its own.

    ``lost`` counts the commits that have happened and whose answers were kept back.
    """

    def __init__(self, server_port: int, port: int = 0) -> None:
        self.lost = 0
        self._server_port = server_port
        self._armed = False
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, port))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []

    def lose_next_commit(self) -> None:
        """Keep back the answer to the next COMMIT that comes."""
        with self._lock:
            self._armed = True

    def serve(self) -> None:
        """Take connections until closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._server_port))
                self._sockets += [client, server]
                losing = threading.Event()
                self._begin(self._ask, client, server, losing)
                self._begin(self._answer, client, server, losing)

    def close(self) -> None:
        """Cut every line."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _begin(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _ask(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(PIECE):
                if data.endswith(COMMIT) and self._is_armed():
                    losing.set()
                server.sendall(data)
        _cut(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(PIECE):
                if losing.is_set():
                    # It has answered: the transaction is committed.
                    self.lost += 1
                    break
                client.sendall(data)
        _cut(client, server)

    def _is_armed(self) -> bool:
        with self._lock:
            was, self._armed = self._armed, False
            return was


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxying(server_port: int, port: int = 0) -> Iterator[Proxy]:
    """Run a proxy for the length of the block, on a port of its own choice if none is given."""
    proxy = Proxy(server_port, port)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
