"""Leases: who holds a claimed message, and whether that process still lives.

A claim's owner reads `host/namespace/pid/start/claim`. The last part is new with every claim, so
it fences: a write that names an older claim finds no row. The parts before it let a worker on the
same host see that the holder is dead and take its rows over at once, without waiting for the
lease to run out.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessName:
    """One process, told apart from every other that ever ran, also after its pid is used again."""

    host: str
    namespace: str  # of pids: two containers may share a host name
    pid: int
    start: str  # the kernel's start tick of the process

    @classmethod
    def of_pid(cls, pid: int) -> ProcessName:
        """The name of a living process on this machine."""
        return cls(socket.gethostname().replace("/", "-"), _namespace(), pid, _start(pid) or "0")

    def __str__(self) -> str:
        return f"{self.host}/{self.namespace}/{self.pid}/{self.start}"

    def new_claim(self) -> str:
        """A fresh owner for one claim by this process."""
        return f"{self}/{uuid4().hex}"


def is_dead(owner: str, here: ProcessName) -> bool:
    """Whether the process that made the claim `owner` is surely gone.

    False for processes that cannot be seen from here; their leases run out by themselves.
    """
    parts = owner.split("/")
    if len(parts) != 5 or parts[:2] != [here.host, here.namespace] or not parts[2].isdecimal():
        return False
    return _start(int(parts[2])) != parts[3]


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").stat().st_ino)
    except OSError:
        return "none"


def _start(pid: int) -> str | None:
    """Start tick (proc_pid_stat(5), field 22), None where no such process runs."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The command's name, in brackets, may hold spaces; what follows it does not.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]
