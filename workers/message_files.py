"""Messages in files: JSONL, CSV and plain text, row by row, however damaged the file is."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InvalidInput

FORMATS = ("jsonl", "csv", "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One message of a file."""

    line: int  # where it stands, from 1, for messages about it
    id: str | int | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """One line that holds no message."""

    line: int
    problem: str


#: Beyond this a float has lost digits of the number that it once was.
_EXACT = 2**53


def row_of(line: int, id_: object, text: str) -> Row | BadRow:
    """The row by its id, by its line where it has none; a bad row where the id is of a wrong kind.

    A whole number may come as a float: pandas writes a column of integers with gaps so.
    """
    if id_ is None:
        return Row(line=line, id=line, text=text)
    if isinstance(id_, float) and id_.is_integer():
        if abs(id_) > _EXACT:
            return BadRow(line=line, problem="the id is a float too large to be exact")
        id_ = int(id_)
    if isinstance(id_, bool) or not isinstance(id_, str | int):
        kind = type(id_).__name__
        return BadRow(line=line, problem=f"the id is neither text nor a whole number ({kind})")
    return Row(line=line, id=id_, text=text)


def guess_format(path: Path | None, first_line: str) -> str:
    """By the file's ending; where that tells nothing, by its first line."""
    endings = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "text"}
    if path is not None and path.suffix.lower() in endings:
        return endings[path.suffix.lower()]
    return "jsonl" if first_line.lstrip().startswith("{") else "text"


def read_rows(
    lines: Iterable[str], kind: str, field: str, id_field: str = "id", *, before: int = 0
) -> Iterator[Row | BadRow]:
    """The messages of a file; a line that holds none comes as BadRow, and the rest goes on.

    `before`: so many lines of the file come before these. A row without an id is called by its
    line.
    """
    if kind == "jsonl":
        yield from _read_jsonl(lines, field, id_field, before)
    elif kind == "csv":
        yield from _read_csv(lines, field, id_field, before)
    else:
        for number, line in enumerate(lines, before + 1):
            yield Row(line=number, id=number, text=line.rstrip("\r\n"))


def _read_jsonl(
    lines: Iterable[str], field: str, id_field: str, before: int
) -> Iterator[Row | BadRow]:
    for number, line in enumerate(lines, before + 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadRow(line=number, problem=f"not JSON ({type(error).__name__})")
            continue
        if not isinstance(content, dict) or not isinstance(content.get(field), str):
            yield BadRow(line=number, problem=f'no text in "{field}"')
            continue
        yield row_of(number, content.get(id_field), content[field])


def _read_csv(
    lines: Iterable[str], field: str, id_field: str, before: int
) -> Iterator[Row | BadRow]:
    reader = csv.DictReader(lines)
    try:
        columns = reader.fieldnames or ()
    except csv.Error as error:
        raise InvalidInput(f"The CSV's header cannot be read: {error}.") from error
    if field not in columns:
        raise InvalidInput(
            f'The CSV has no column "{field}" (it has: {", ".join(columns)}); '
            "name the one with the messages by --field."
        )
    while True:
        try:
            content = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(line=before + reader.line_num, problem=f"not CSV ({error})")
            continue
        text = content.get(field)
        if not isinstance(text, str):
            yield BadRow(line=before + reader.line_num, problem=f'no text in column "{field}"')
            continue
        yield Row(
            line=before + reader.line_num,
            id=content.get(id_field) or before + reader.line_num,
            text=text,
        )
