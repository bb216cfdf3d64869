"""Cutting a file into parts, in one pass that also takes its hash."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from shared.errors import InvalidInput
from workers.bulk.job import Part
from workers.bulk.places import open_input
from workers.bulk.source import Lines
from workers.message_files import read_rows

#: A part ends early here, so that what one process has in hand stays small whatever the rows.
MOST_BYTES: Final = 16 << 20
_BLOCK: Final = 1 << 20

OnBytes = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A file, seen through once."""

    sha256: str
    n_bytes: int
    header: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """About so many; damaged files can have a few less."""
        return sum(part.rows for part in self.parts)


def make_plan(
    source: str, kind: str, field: str, rows_per_part: int, on_bytes: OnBytes = bool
) -> Plan:
    """Parts of `rows_per_part` rows and the file's hash. Raises InvalidInput.

    `on_bytes` hears how far the reading has come.
    """
    digest = hashlib.sha256()
    if kind == "parquet":
        from workers.bulk.parquet import plan_parts

        size = 0
        with open_input(source) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
                on_bytes(size)
        found = tuple(plan_parts(source, field, rows_per_part))
        return Plan(sha256=digest.hexdigest(), n_bytes=size, header=(), parts=found)
    with open_input(source) as stream:
        _refuse_foreign(stream, source)
        lines = Lines(stream, digest=digest)
        header = _header(lines, field) if kind == "csv" else ()
        parts = list(_cut(lines, kind, rows_per_part, on_bytes))
        return Plan(
            sha256=digest.hexdigest(), n_bytes=lines.offset, header=header, parts=tuple(parts)
        )


def _refuse_foreign(stream: BinaryIO, source: str) -> None:
    start = stream.read(4)
    stream.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput(f"{source} is UTF-16 (often called “Unicode”); save it as UTF-8.")
    if start.startswith((b"\x1f\x8b", b"BZh", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise InvalidInput(
            f"{source} is compressed: parts are read from the middle of the file. Unpack it first, "
            "or use Parquet, which is compressed inside."
        )
    if start == b"PAR1":
        raise InvalidInput(f"{source} is Parquet: say so by --input-format parquet.")


def _header(lines: Lines, field: str) -> tuple[str, ...]:
    """The lines of a CSV's header; raises InvalidInput where it lacks the text's column."""
    taken: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    # A header's quotes can hold line breaks. What is wrong with it the reader of the rows says.
    with suppress(csv.Error):
        next(csv.reader(noted()), None)
    for _ in read_rows(taken, "csv", field):
        pass
    return tuple(taken)


def _cut(lines: Lines, kind: str, rows_per_part: int, on_bytes: OnBytes) -> Iterator[Part]:
    records = _records(lines, kind)
    number = 0
    while True:
        start, line = lines.offset, lines.line
        rows = 0
        for _ in records:
            rows += 1
            if rows == rows_per_part or lines.offset - start >= MOST_BYTES:
                break
        if lines.offset == start:
            return
        yield Part(number=number, start=start, end=lines.offset, line=line, rows=rows)
        on_bytes(lines.offset)
        number += 1


def _records(lines: Lines, kind: str) -> Iterator[None]:
    """Stops after each row, with `lines` at the start of the next."""
    if kind != "csv":
        for _ in lines:
            yield
        return
    reader = csv.reader(lines)
    while True:
        try:
            next(reader)
        except StopIteration:
            return
        except csv.Error:
            pass  # a bad row is a row
        yield
