"""What the local stack's programs share: its folders, its ports, how its processes end together."""

from __future__ import annotations

import ctypes
import errno
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from localstack.settings import LocalSettings
from shared.errors import CarelaneError

#: The variable that tells every process which one to end with.
STACK_PID = "CARELANE_STACK_PID"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class PortTaken(CarelaneError):
    """Something else listens where we want to; the text names the setting that moves us."""


@dataclass(frozen=True)
class Folders:
    """The layout of `.carelane/`."""

    home: Path

    def make(self) -> None:
        """Create what is missing; nobody else on the machine may look in."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in ("logs", "run"):
            (self.home / folder).mkdir(exist_ok=True)

    def log(self, process: str) -> Path:
        return self.home / "logs" / f"{process}.log"

    def ready(self, part: str) -> Path:
        """A file that is there while `part` can be used."""
        return self.home / "run" / f"{part}.ready"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets.env"


def die_with_parent() -> None:
    """In a child between fork and exec: have the kernel kill it when its parent is killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ports(settings: LocalSettings, *, sqs: bool, llm: bool) -> dict[str, int]:
    """The ports that this run needs, by the setting that changes each."""
    wanted = {
        "CARELANE_PORT_INTAKE": settings.port_intake,
        "CARELANE_PORT_DASHBOARD": settings.port_dashboard,
    }
    if sqs:
        wanted["CARELANE_PORT_SQS"] = settings.port_sqs
    if llm:
        wanted["CARELANE_PORT_LLM"] = settings.port_llm
    return wanted


def refuse_taken_ports(wanted: dict[str, int]) -> None:
    """Check that every port is free.

    Raises:
        PortTaken: one is not, or two settings name the same one.
    """
    seen: dict[int, str] = {}
    for name, port in wanted.items():
        if port in seen:
            raise PortTaken(f"{seen[port]} and {name} are both {port}; give one of them another")
        seen[port] = name
        if not _is_free(port):
            raise PortTaken(
                f"port {port} is taken by another program. Stop it, or move Carelane: "
                f"{name}={free_port()} make run"
            )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers bind: connections of a just-ended run that still linger are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise PortTaken(f"port {port} cannot be used: {error.strerror}") from error
    return True


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
