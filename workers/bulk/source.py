"""The input's rows, part by part, with what is wrong with them said by line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import BinaryIO, Final, Protocol

from shared.message_text import is_blank
from workers.bulk.job import Job, Part
from workers.bulk.places import open_input
from workers.message_files import BadRow, Row, read_rows

#: Far above any message; such a line is no row, and must not fill the memory.
LONGEST_LINE: Final = 8 << 20
_BOM: Final = "\ufeff"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...


class Lines:
    """Lines of a stream as text, counting bytes and lines; too long ones come empty, noted."""

    def __init__(
        self,
        stream: BinaryIO,
        *,
        end: int | None = None,
        line: int = 0,
        digest: _Hash | None = None,
    ) -> None:
        self._stream = stream
        self._end = end
        self._digest = digest
        self.offset = stream.tell()
        self.line = line
        self._cut: list[BadRow] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._end is not None and self.offset >= self._end:
            raise StopIteration
        raw = self._take()
        if not raw:
            raise StopIteration
        self.line += 1
        if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
            problem = f"a line of more than {LONGEST_LINE >> 20} MB"
            self._cut.append(BadRow(line=self.line, problem=problem))
            while raw and not raw.endswith(b"\n"):
                raw = self._take()
            return "\n"
        # What is not UTF-8 becomes lone surrogates, so that only its own row is refused.
        text = raw.decode("utf-8", "surrogateescape")
        return text.removeprefix(_BOM) if self.line == 1 else text

    def take_cut(self) -> list[BadRow]:
        """The lines that were too long, each once."""
        cut, self._cut = self._cut, []
        return cut

    def _take(self) -> bytes:
        raw = self._stream.readline(LONGEST_LINE)
        self.offset += len(raw)
        if self._digest is not None:
            self._digest.update(raw)
        return raw


def read_part(job: Job, part: Part) -> Iterator[Row | BadRow]:
    """The rows of a part; each line of the file comes out once, as a row or with its problem."""
    if job.kind == "parquet":
        from workers.bulk.parquet import read_range

        found: Iterator[Row | BadRow] = read_range(job, part)
    else:
        found = _read_lines(job, part)
    for row in found:
        problem = problem_of(row.text, job.models.max_text_chars) if isinstance(row, Row) else None
        yield row if problem is None else BadRow(line=row.line, problem=problem)


def _read_lines(job: Job, part: Part) -> Iterator[Row | BadRow]:
    with open_input(job.source) as stream:
        stream.seek(part.start)
        lines = Lines(stream, end=part.end, line=part.line)
        before = part.line - len(job.header)
        rows = read_rows(
            itertools.chain(job.header, lines), job.kind, job.field, job.id_field, before=before
        )
        for row in rows:
            cut = lines.take_cut()
            yield from cut
            # In plain text an empty line is a row too.
            if all(each.line != row.line for each in cut):
                yield row
        yield from lines.take_cut()


def problem_of(text: str, most_chars: int) -> str | None:
    """Why the live door would refuse this text; None where it would not."""
    if "\0" in text:
        return "the text holds a NUL character"
    if is_blank(text):
        return "the text is empty"
    if len(text) > most_chars:
        return f"the text has {len(text):,} characters, at most {most_chars:,} are taken"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "the text is not UTF-8"
    return None
