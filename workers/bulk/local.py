"""The local engine: processes of this machine, each with its own models and one part in hand.

The parent reads no rows. It hands out parts, sees by a shared table which line each process is on,
and takes over when one dies or hangs: the part is begun again elsewhere, and a line that ends its
process twice goes to a person without being tried a third time.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Protocol

from shared.errors import CarelaneError
from workers.bulk.job import Job, Part
from workers.bulk.labeller import labeller_of
from workers.bulk.part import BETWEEN, OnLine, label_part

logger = logging.getLogger(__name__)

#: A line that ended its process so often is not tried again.
_LINE_TRIES: Final = 2
#: A part whose process ends so often, at whatever line, ends the run: the machine is at fault.
_PART_TRIES: Final = 6
#: Longer than any message takes, by far; the live lane's bound is of the same size.
_HANGS_AFTER_S: Final = 60.0
#: Between lines a process loads its models, reads, or puts files into place, perhaps far away.
_BETWEEN_S: Final = 300.0
_LOOK_EVERY_S: Final = 1.0

_GOES_ON: Final = "The same command goes on where this stopped."

OnRows = Callable[[int], object]


class LabelPart(Protocol):
    """Labels a part in a process of the engine."""

    def __call__(self, job: Job, part: Part, *, given_up: frozenset[int], on_line: OnLine) -> None:
        """See `workers.bulk.part.label_part`."""
        ...


def label_with_models(job: Job, part: Part, *, given_up: frozenset[int], on_line: OnLine) -> None:
    """`label_part` with this process's models, loaded at its first part."""
    label_part(job, part, labeller_of(job.models), given_up=given_up, on_line=on_line)


class EngineError(CarelaneError):
    """The engine could not do its work; the same command goes on where it stopped."""


@dataclass(eq=False)
class _Worker:
    """A process, and what it has in hand."""

    slot: int
    process: SpawnProcess
    pipe: Connection
    part: Part | None = None
    line: int = BETWEEN
    since_s: float = field(default_factory=time.monotonic)


class LocalEngine:
    """Labels parts with `processes` processes."""

    def __init__(
        self,
        processes: int,
        *,
        hangs_after_s: float = _HANGS_AFTER_S,
        label: LabelPart = label_with_models,
    ) -> None:
        self._processes = processes
        self._label = label
        self._hangs_after_s = hangs_after_s
        self._context = multiprocessing.get_context("spawn")
        # Each process writes its own places and nobody else does: no lock.
        self._lines: Any = self._context.RawArray("q", 2 * processes)

    def run(self, job: Job, parts: Sequence[Part], on_rows: OnRows) -> None:
        """Label `parts`; `on_rows` hears how many rows were done since the last time.

        Raises:
            EngineError: a part could not be done. What is done stays done.
        """
        todo = deque(parts)
        self._ends: Counter[int] = Counter()  # of processes, by line
        self._tries: Counter[int] = Counter()  # of parts
        self._finished = self._told = 0  # rows
        workers = [self._start(slot, job) for slot in range(min(self._processes, len(parts)))]
        try:
            while todo or any(worker.part for worker in workers):
                for worker in workers:
                    if worker.part is None and todo:
                        self._hand(worker, todo.popleft())
                self._listen(workers, todo, job)
                self._tell(on_rows)
        finally:
            for worker in workers:
                _end(worker)

    def _start(self, slot: int, job: Job) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work,
            args=(job, self._label, slot, theirs, self._lines),
            daemon=True,
        )
        # A spawned interpreter looks for modules in the current folder before the library's: a
        # user's csv.py there must neither break it nor run.
        os.environ["PYTHONSAFEPATH"] = "1"
        process.start()
        theirs.close()
        return _Worker(slot=slot, process=process, pipe=ours)

    def _hand(self, worker: _Worker, part: Part) -> None:
        self._tries[part.number] += 1
        if self._tries[part.number] > _PART_TRIES:
            raise EngineError(
                f"the process at work on {part.name} (from line {part.line + 1}) ended "
                f"{_PART_TRIES} times, at different lines: look for the kernel's out-of-memory "
                f"killer, and try fewer --processes. {_GOES_ON}"
            )
        worker.part = part
        worker.line, worker.since_s = BETWEEN, time.monotonic()
        self._lines[2 * worker.slot] = BETWEEN
        given_up = frozenset(line for line, ends in self._ends.items() if ends >= _LINE_TRIES)
        with suppress(OSError):  # it is dead; `_listen` sees that
            worker.pipe.send((part, given_up))

    def _listen(self, workers: list[_Worker], todo: deque[Part], job: Job) -> None:
        busy = [worker for worker in workers if worker.part]
        ready = wait(
            [each for worker in busy for each in (worker.pipe, worker.process.sentinel)],
            timeout=_LOOK_EVERY_S,
        )
        for worker in busy:
            said = _heard(worker) if worker.pipe in ready else None
            if said == "":
                self._finished += worker.part.rows if worker.part else 0
                worker.part = None
                self._lines[2 * worker.slot + 1] = 0
            elif said is not None:
                raise EngineError(said)
            elif worker.part and (worker.process.sentinel in ready or self._hangs(worker)):
                self._replace(worker, worker.part, workers, todo, job)

    def _hangs(self, worker: _Worker) -> bool:
        line = self._lines[2 * worker.slot]
        now_s = time.monotonic()
        if line != worker.line:
            worker.line, worker.since_s = line, now_s
        longest_s = _BETWEEN_S if line == BETWEEN else self._hangs_after_s
        return now_s - worker.since_s > longest_s

    def _replace(
        self, worker: _Worker, part: Part, workers: list[_Worker], todo: deque[Part], job: Job
    ) -> None:
        """Begin a dead or hanging process's part again in a new one."""
        line = int(self._lines[2 * worker.slot])
        _end(worker)
        logger.warning(
            "a process ended, its part begins again",
            extra={"exit": worker.process.exitcode, "part": part.number, "line": line},
        )
        if line != BETWEEN:
            self._ends[line] += 1
        self._lines[2 * worker.slot] = BETWEEN
        self._lines[2 * worker.slot + 1] = 0
        todo.appendleft(part)
        workers[worker.slot] = self._start(worker.slot, job)

    def _tell(self, on_rows: OnRows) -> None:
        in_hand = sum(self._lines[2 * slot + 1] for slot in range(self._processes))
        on_rows(self._finished + in_hand - self._told)
        self._told = self._finished + in_hand


def _heard(worker: _Worker) -> str | None:
    """Empty when the part is done, an error's words, or None when the process has ended."""
    try:
        return str(worker.pipe.recv())
    except (EOFError, OSError):
        return None


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _work(
    job: Job,
    label: LabelPart,
    slot: int,
    pipe: Connection,
    lines: Any,
) -> None:
    """A process: parts in, one word out for each, until the parent is gone."""
    # Ctrl-C reaches the whole group; the parent ends its processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()

    def on_line(line: int) -> None:
        lines[2 * slot] = line
        lines[2 * slot + 1] += line != BETWEEN

    while True:
        try:
            part, given_up = pipe.recv()
        except (EOFError, OSError):
            return  # the parent is gone
        try:
            label(job, part, given_up=given_up, on_line=on_line)
            pipe.send("")
        except CarelaneError as error:
            pipe.send(str(error))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            pipe.send(f"{part.name}: {error.filename or job.output}: {reason}. {_GOES_ON}")


def _end_with_parent() -> None:
    """A parent that was killed ends its processes too: whoever goes on must be alone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
