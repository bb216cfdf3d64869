"""HTTP to addresses that somebody else chose: only to the public internet, only as asked.

The check sits where the connection is made and on the very address that is connected to, so that
a name which changes its mind between check and call (DNS rebinding) gains nothing. Redirects
are not followed. A call has so many seconds in all, however the other side drips: its deadline is
kept by thread, since a call is made in one thread, and holds for every wait on the network. (Only
the resolver of names has timeouts of its own.)
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpcore

_TIMEOUTS_S: Final = {"connect": 5.0, "read": 10.0, "write": 5.0, "pool": 5.0}
#: From the first step to the answer's headers.
CALL_S: Final = 10.0


class PrivateAddress(httpcore.ConnectError):
    """The name leads into a private network."""


class _Deadline(threading.local):
    """When this thread's call must be over."""

    at = float("inf")

    def left(self, timeout_s: float | None, over: type[httpcore.TimeoutException]) -> float:
        """How long the next wait may be; raises `over` when the time is up."""
        left_s = self.at - time.monotonic()
        if left_s <= 0:
            raise over("the call took too long")
        return left_s if timeout_s is None else min(timeout_s, left_s)


class _TimedStream(httpcore.NetworkStream):
    """A connection on which no wait outlasts the call."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # A body of ours is small enough for the kernel to take it at once.
        self._stream.write(buffer, self._deadline.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self._deadline.left(timeout, httpcore.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left_s)
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Connects; where it is guarded, to public addresses only."""

    def __init__(self, deadline: _Deadline, *, guarded: bool) -> None:
        self._deadline = deadline
        self._guarded = guarded

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        address = _public_address(host, port) if self._guarded else host
        left_s = self._deadline.left(timeout, httpcore.ConnectTimeout)
        stream = super().connect_tcp(address, port, left_s, local_address, socket_options)
        return _TimedStream(stream, self._deadline)


def _public_address(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter: empty or endless parts of a name
        raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        if not is_public(address):
            raise PrivateAddress(f"{host} leads to {address}, which is not a public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, and to one host of it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # Addresses that wrap an IPv4 one lead where that leads.
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


class Caller:
    """Posts bodies; safe to share between threads."""

    def __init__(
        self,
        *,
        allow_private: bool,
        tls: ssl.SSLContext | None = None,
        call_s: float = CALL_S,
    ) -> None:
        self._call_s = call_s
        self._deadline = _Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=32,
            keepalive_expiry=30.0,
            network_backend=_Backend(self._deadline, guarded=not allow_private),
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
        """What came of it: a status code or a short code, and whether it was a 2xx."""
        self._deadline.at = time.monotonic() + self._call_s
        try:
            with self._pool.stream(
                "POST",
                url,
                headers=list(headers.items()),
                content=body,
                extensions={"timeout": _TIMEOUTS_S},
            ) as answer:
                return str(answer.status), 200 <= answer.status < 300
        except PrivateAddress:
            return "private_address", False
        except httpcore.TimeoutException:
            return "timeout", False
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return "connection", False

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
