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
        name = content.get(id_field, number)
        yield Row(
            line=number, id=name if isinstance(name, str | int) else number, text=content[field]
        )


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
