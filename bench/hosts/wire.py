"""The wire between the hosts: an Ethernet hub in a process, with delay, loss and a cutter.

Each host is a network namespace with one TAP interface, whose other end is held here. A frame from
one is handed to all others after the delay, unless chance or a cut takes it. The kernel's own
means (`tc netem`) would do the same and is not built into every kernel; this needs veth of none.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import selectors
import struct
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Final, Self

from localstack.stack import die_with_parent

#: linux/if_tun.h: a device that carries Ethernet frames, without a header of its own.
_TUNSETIFF: Final = 0x400454CA
_TAP_WITHOUT_HEADER: Final = 0x0002 | 0x1000
_FRAME: Final = 65_536
_NETWORK: Final = "10.77.0"


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What the wire does to a frame."""

    delay_ms: float  # each way
    loss: float  # share


def run(*command: str) -> None:
    """Run a command of iproute2.

    Raises:
        RuntimeError: it failed; the text has its words.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)}: {done.stderr.strip()}. Network namespaces need root, "
            "/dev/net/tun and iproute2."
        )


class Hosts:
    """The namespaces, joined; removed at the end."""

    def __init__(self, names: Sequence[str], quality: Quality) -> None:
        self.names = list(names)
        self._prefix = f"cl{os.getpid()}"
        self._quality = quality
        self._process: BaseProcess | None = None

    def __enter__(self) -> Self:
        try:
            self._join_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _join_up(self) -> None:
        for name in self.names:
            run("ip", "netns", "add", self.namespace(name))
        ours, theirs = get_context("fork").Pipe()
        places = [(self.namespace(name), f"{self._prefix}t{at}") for at, name in self._numbered()]
        self._process = get_context("fork").Process(
            target=_carry, args=(theirs, places, self._quality), daemon=True
        )
        self._process.start()
        self._pipe: Connection = ours
        self._pipe.recv()  # the devices are there
        for (at, name), (namespace, device) in zip(self._numbered(), places, strict=True):
            inside = ("ip", "-n", namespace)
            run(*inside, "addr", "add", f"{self.address(name)}/24", "dev", device)
            run(*inside, "link", "set", device, "address", f"02:00:00:00:00:{at:02x}", "up")
            run(*inside, "link", "set", "lo", "up")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join()
        for name in self.names:
            if Path("/run/netns", self.namespace(name)).exists():
                run("ip", "netns", "del", self.namespace(name))

    def namespace(self, name: str) -> str:
        """The host's namespace."""
        return f"{self._prefix}-{name}"

    def address(self, name: str) -> str:
        """The host's address on the wire."""
        return f"{_NETWORK}.{self.names.index(name) + 1}"

    def inside(self, name: str) -> tuple[str, ...]:
        """What to put before a command that runs on the host."""
        return ("ip", "netns", "exec", self.namespace(name))

    def cut(self, name: str) -> None:
        """Take the host off the wire: frames vanish, nobody is told."""
        self._pipe.send(("cut", self.names.index(name)))

    def join(self, name: str) -> None:
        """Put it back."""
        self._pipe.send(("join", self.names.index(name)))

    def _numbered(self) -> list[tuple[int, str]]:
        return list(enumerate(self.names, 1))


def _carry(
    pipe: Connection, places: Sequence[tuple[str, str]], quality: Quality
) -> None:  # pragma: no cover  in a process of its own
    die_with_parent()
    ports = [_tap(device) for _, device in places]
    for namespace, device in places:
        run("ip", "link", "set", device, "netns", namespace)
    pipe.send("ready")
    random = Random(1)
    cut: set[int] = set()
    under_way: list[tuple[float, int, int, bytes]] = []  # due, number, port, frame
    number = 0
    with selectors.DefaultSelector() as selector:
        for at, port in enumerate(ports):
            selector.register(port, selectors.EVENT_READ, at)
        selector.register(pipe, selectors.EVENT_READ, None)
        while True:
            wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
            for key, _ in selector.select(wait_s):
                if key.data is None:
                    order, at = pipe.recv()
                    (cut.add if order == "cut" else cut.discard)(at)
                    continue
                frame = os.read(ports[key.data], _FRAME)
                if key.data in cut or random.random() < quality.loss:
                    continue
                number += 1
                due = time.monotonic() + quality.delay_ms / 1000
                heapq.heappush(under_way, (due, number, key.data, frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, source, frame = heapq.heappop(under_way)
                _deliver(ports, source, frame, cut)


def _deliver(
    ports: Sequence[int], source: int, frame: bytes, cut: set[int]
) -> None:  # pragma: no cover
    # Addresses end in the port's number; broadcasts go to all.
    to = frame[5] - 1 if frame[0] == 2 else None
    for at, port in enumerate(ports):
        if at != source and at not in cut and to in (None, at):
            with suppress(OSError):  # an interface that is not up yet
                os.write(port, frame)


def _tap(device: str) -> int:  # pragma: no cover
    port = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(port, _TUNSETIFF, struct.pack("16sH", device.encode(), _TAP_WITHOUT_HEADER))
    return port
