"""Numbers from measurements: quantiles, what the machine itself wobbles by, where CPU time went."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CALIBRATION_STEPS = 400_000


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def calibration_ms(repeats: int = 5) -> list[float]:
    """How long the same piece of pure Python takes now, several times over.

    It does the same work on every call, so what differs between two calls is the machine.
    """
    taken: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        total = 0
        for step in range(_CALIBRATION_STEPS):
            total += step & 7
        taken.append((time.perf_counter() - started) * 1000)
    return taken


@dataclass(frozen=True)
class CpuUse:
    """CPU seconds by part, and of the whole machine, over some time."""

    seconds: float
    by_part: Mapping[str, float]
    machine: float  # of all cores, everything that ran

    def share(self, part: str) -> float:
        """The part's share of what all cores could have given."""
        return self.by_part[part] / (self.seconds * (os.cpu_count() or 1))


class CpuMeter:
    """Reads the CPU time of groups of processes, children included, from now to `stop`."""

    def __init__(self, parts: Mapping[str, Iterable[int]]) -> None:
        self._parts = {name: list(pids) for name, pids in parts.items()}
        self._started = time.perf_counter()
        self._machine = _machine_seconds()
        self._before = self._read()

    def stop(self) -> CpuUse:
        """What was used since the start."""
        after = self._read()
        return CpuUse(
            seconds=time.perf_counter() - self._started,
            by_part={name: after[name] - self._before[name] for name in after},
            machine=_machine_seconds() - self._machine,
        )

    def _read(self) -> dict[str, float]:
        return {name: sum(map(_tree_seconds, pids)) for name, pids in self._parts.items()}


_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _tree_seconds(pid: int) -> float:
    """User and system time of a process, its living children, and those it has waited for.

    Of this process only its own time: its children are measured as parts of their own.
    """
    try:
        # proc_pid_stat(5): fields 14 to 17, counted after the name in brackets, which is the 2nd.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        # Each thread has the children that it forked.
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        children = [child for each in threads for child in each.read_text().split()]
    except OSError:
        return 0.0
    if pid == os.getpid():
        return sum(map(int, fields[:2])) / _TICKS_PER_S
    return sum(map(int, fields)) / _TICKS_PER_S + sum(_tree_seconds(int(c)) for c in children)


def _machine_seconds() -> float:
    """Time of all cores that was spent on anything but waiting."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, first)
    return (user + nice + system + irq + softirq) / _TICKS_PER_S
