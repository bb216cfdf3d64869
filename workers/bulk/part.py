"""One part, from its rows in the input to its files in the output, by whichever process.

Files appear whole, the mark that the part is done last of all: what is killed before that is done
again and gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

from shared.contracts import Status
from workers.bulk.job import PEOPLE, Job, Part
from workers.bulk.labeller import Labelled, Labeller
from workers.bulk.places import Folder, open_folder
from workers.bulk.record import Record
from workers.bulk.source import read_part
from workers.bulk.table import open_table
from workers.bulk.tally import Tally
from workers.message_files import BadRow, Row

DONE: Final = "done"
WORK: Final = "work"
REJECTS: Final = "rejects"
LABELS: Final = "labels"
#: Reason of a message that kills its process, as in the live lane.
CRASHED: Final = "crashed_worker"

#: Called with each row's line before it is labelled, and with BETWEEN after it.
BETWEEN: Final = 0
OnLine = Callable[[int], object]


def label_part(
    job: Job,
    part: Part,
    labeller: Labeller,
    *,
    given_up: frozenset[int] = frozenset(),
    on_line: OnLine = bool,
) -> None:
    """Label the part's rows and put its files into place. `given_up`: lines not to be tried."""
    folder = open_folder(job.output)
    started_s = time.monotonic()
    scratch = folder.scratch()
    try:
        with ExitStack() as stack:
            files = _Files(scratch, job, stack)
            for row in read_part(job, part):
                on_line(row.line)
                if isinstance(row, BadRow):
                    files.reject(row)
                elif row.line in given_up:
                    shown = row.text if job.with_text else None
                    record = Record.unlabelled(row.id, CRASHED, (), shown)
                    files.take(row, Labelled(record=record))
                else:
                    files.take(row, labeller.label(row.id, row.text, with_text=job.with_text))
                on_line(BETWEEN)
        files.publish(folder, part, time.monotonic() - started_s)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Files:
    """The part's files while they are being made."""

    def __init__(self, scratch: Path, job: Job, stack: ExitStack) -> None:
        self._scratch = scratch
        self._job = job
        self._stack = stack
        self._rejected = 0
        self._tally = Tally()
        table = open_table(self._scratch / LABELS, job.format, with_text=job.with_text)
        self._write = stack.enter_context(table)
        self._rejects = self._open(REJECTS)
        self._work = None if job.ambiguous == PEOPLE else self._open(WORK)

    def _open(self, name: str) -> IO[str]:
        return self._stack.enter_context((self._scratch / name).open("w", encoding="utf-8"))

    def reject(self, row: BadRow) -> None:
        self._rejected += 1
        line = {"line": row.line, "problem": row.problem}
        self._rejects.write(json.dumps(line, ensure_ascii=False) + "\n")

    def take(self, row: Row, labelled: Labelled) -> None:
        self._write(labelled.record)
        self._tally.add(labelled.record, len(row.text))
        if self._work is not None:
            sheet = labelled.sheet
            line = {
                "record": labelled.record.as_dict(),
                "chars": len(row.text),
                "sheet": sheet
                and {"text": sheet.text, "masked": sheet.masked, "alone": sheet.alone},
            }
            self._work.write(json.dumps(line, ensure_ascii=False) + "\n")

    def publish(self, folder: Folder, part: Part, seconds: float) -> None:
        escalated = self._tally.counts["status"][Status.ESCALATED]
        if self._rejected:
            folder.put(f"{REJECTS}/{part.name}.jsonl", self._scratch / REJECTS)
        if self._work is not None and escalated:
            folder.put(f"{WORK}/{part.name}.jsonl", self._scratch / WORK)
        folder.put(f"{LABELS}/{part.name}.{self._job.format}", self._scratch / LABELS)
        mark_done(folder, part, self._tally, rejected=self._rejected, seconds=seconds)


def mark_done(folder: Folder, part: Part, tally: Tally, *, rejected: int, seconds: float) -> None:
    """Say that the part's files are there, and what is in them."""
    content = {
        "part": part.number,
        "rejected": rejected,
        "seconds": round(seconds, 3),
        "counts": tally.as_dict(),
    }
    folder.write(f"{DONE}/{part.name}.json", json.dumps(content).encode())


def done_parts(folder: Folder, among: Container[str] | None = None) -> frozenset[str]:
    """The parts that are done, by name; a mark that cannot be read says nothing."""
    return frozenset(name for name, _ in _read_marks(folder, among))


def read_done(folder: Folder, name: str) -> Mapping[str, Any]:
    """What `mark_done` wrote."""
    return _read_mark(folder, f"{DONE}/{name}.json") or {}


def marks(folder: Folder) -> Iterator[Mapping[str, Any]]:
    """What all parts' marks say."""
    for _, mark in _read_marks(folder):
        yield mark


def _read_marks(
    folder: Folder, among: Container[str] | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in folder.names(DONE):
        part = Path(name).stem
        mark = _read_mark(folder, name) if among is None or part in among else None
        if mark is not None:
            yield part, mark


def _read_mark(folder: Folder, name: str) -> Mapping[str, Any] | None:
    """A mark; None where it is not there, or was cut off when a disk was full or a machine fell."""
    try:
        content: Mapping[str, Any] = json.loads(folder.read(name) or b"")
        whole = {"rejected", "seconds", "counts"} <= content.keys()
    except (ValueError, AttributeError):
        return None
    return content if whole else None
