"""Labelling that breaks its process, for the local engine's tests.

A module of its own, because each process that the engine starts imports it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from workers.bulk.job import Job, Part
from workers.bulk.labeller import Labelled, labeller_of
from workers.bulk.part import label_part
from workers.bulk.record import Record


class Breaking:
    """Labels, but the process dies at one line, `times` times."""

    def __init__(self, folder: Path, line: int, times: int, *, stub: bool = False) -> None:
        self.folder, self.line, self.times, self.stub = folder, line, times, stub

    def __call__(
        self, job: Job, part: Part, *, given_up: frozenset[int], on_line: Callable[[int], object]
    ) -> None:
        def break_at(line: int) -> None:
            on_line(line)
            died = len(list(self.folder.glob("died-*")))
            if line == self.line and line not in given_up and died < self.times:
                (self.folder / f"died-{uuid4()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)

        labeller: Any = Stub() if self.stub else labeller_of(job.models)
        label_part(job, part, labeller, given_up=given_up, on_line=break_at)


class Stub:
    """A labeller without models: each message is for a person, because it says so."""

    def label(self, id_: str, text: str, *, with_text: bool) -> Labelled:  # noqa: ARG002
        return Labelled(record=Record.unlabelled(id_, "stub", (), None))


def hang_at_line_6(
    job: Job, part: Part, *, given_up: frozenset[int], on_line: Callable[[int], object]
) -> None:
    def hang(line: int) -> None:
        on_line(line)
        if line == 6 and line not in given_up:
            threading.Event().wait()

    labeller: Any = Stub()
    label_part(job, part, labeller, given_up=given_up, on_line=hang)
