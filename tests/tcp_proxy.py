"""A TCP proxy that tests put in front of a service, to refuse, slow, stall or cut connections."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: How SQS refuses: the status line, and the error's name in its JSON protocol.
SQS_ERRORS = {
    "500 Internal Server Error": "InternalFailure",
    "503 Service Unavailable": "ServiceUnavailable",
    "400 Bad Request": "com.amazon.coral.availability#ThrottlingException",
    "403 Forbidden": "com.amazon.coral.service#AccessDeniedException",
}


def http_answer(status: str, error: str) -> bytes:
    """An answer of SQS that refuses."""
    body = json.dumps({"__type": error, "message": "as asked"})
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


class TcpProxy:
    """Listens on a port of its own and hands on to `upstream` while it is let."""

    def __init__(self, upstream: int | Path) -> None:
        self._upstream = upstream  # a port of this machine, or a socket's path
        self.delay_s = 0.0  # before anything is handed on, either way
        self.answer: bytes | None = None  # said to clients in the service's stead, then hung up
        self._stalled = threading.Event()
        self._connections: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.serve()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Take connections, again on the same port."""
        self._stalled.clear()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._listener is not None:
            # Closing alone would leave accept() waiting with the port open.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def stall(self) -> None:
        """Swallow every byte from now on, as a broken network does."""
        self._stalled.set()

    def cut(self) -> None:
        """Reset the connections that are open."""
        connections, self._connections = self._connections, []
        for each in connections:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            self._connections += [client, server]
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._upstream, int):
            return socket.create_connection(("127.0.0.1", self._upstream))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._upstream))
        return server

    def _pump(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65536):
                time.sleep(self.delay_s)
                if (answer := self.answer) is not None:
                    (source if from_client else sink).sendall(answer)
                    break
                if not self._stalled.is_set():
                    sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(upstream: int | Path) -> Iterator[TcpProxy]:
    """A proxy for the block."""
    proxy = TcpProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.refuse()
