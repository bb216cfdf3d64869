"""HTTP to addresses that somebody else chose: only to the public internet, only as asked.

The check sits where the connection is made and on the very address that is connected to, so that
a name which changes its mind between check and call (DNS rebinding) gains nothing. Redirects
are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Final

import httpcore

_TIMEOUTS_S: Final = {"connect": 5.0, "read": 10.0, "write": 5.0, "pool": 5.0}


class PrivateAddress(httpcore.ConnectError):
    """The name leads into a private network."""


class _GuardedBackend(httpcore.SyncBackend):
    """Resolves a name itself and refuses addresses that are not public."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        address = _public_address(host, port)
        return super().connect_tcp(address, port, timeout, local_address, socket_options)


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

    def __init__(self, *, allow_private: bool, tls: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=32,
            keepalive_expiry=30.0,
            network_backend=httpcore.SyncBackend() if allow_private else _GuardedBackend(),
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
        """What came of it: a status code or a short code, and whether it was a 2xx."""
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
