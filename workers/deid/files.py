"""Messages in and out of files: JSONL, CSV and plain text; and the two marked formats of `eval`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import InvalidInput
from workers.deid.evaluation import IGNORED
from workers.deid.marks import Mark, parse

FORMATS = ("jsonl", "csv", "text")

# Presidio's entities in the types that both know. TITLE and NRP (nationalities, religions,
# politics) are none of ours, and ages are ours only from ninety on: masked or not, they do not
# count.
PRESIDIO_TYPES = {
    "PERSON": "NAME",
    "STREET_ADDRESS": "ADDRESS",
    "GPE": "ADDRESS",
    "ZIP_CODE": "ADDRESS",
    "ORGANIZATION": "ORG",
    "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "ID",
    "IBAN_CODE": "ID",
    "US_SSN": "ID",
    "US_DRIVER_LICENSE": "ID",
    "IP_ADDRESS": "ID",
    "DOMAIN_NAME": "ID",
}


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


def read_rows(lines: Iterable[str], kind: str, field: str) -> Iterator[Row | BadRow]:
    """The messages of a file; a line that holds none comes as BadRow, and the rest goes on."""
    if kind == "jsonl":
        yield from _read_jsonl(lines, field)
    elif kind == "csv":
        yield from _read_csv(lines, field)
    else:
        for number, line in enumerate(lines, 1):
            yield Row(line=number, id=number, text=line.rstrip("\r\n"))


def _read_jsonl(lines: Iterable[str], field: str) -> Iterator[Row | BadRow]:
    for number, line in enumerate(lines, 1):
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
        name = content.get("id", number)
        yield Row(
            line=number, id=name if isinstance(name, str | int) else number, text=content[field]
        )


def _read_csv(lines: Iterable[str], field: str) -> Iterator[Row | BadRow]:
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
            yield BadRow(line=reader.line_num, problem=f"not CSV ({error})")
            continue
        text = content.get(field)
        if not isinstance(text, str):
            yield BadRow(line=reader.line_num, problem=f'no text in column "{field}"')
            continue
        yield Row(line=reader.line_num, id=content.get("id") or reader.line_num, text=text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """One message with what is to be found in it."""

    id: str
    text: str
    marks: tuple[Mark, ...]


def read_marked(path: Path) -> list[Marked]:
    """The corpus's JSONL with inline marks, or presidio-research's JSON. Raises InvalidInput."""
    raw = path.read_text(encoding="utf-8")
    if raw.lstrip().startswith("["):
        return _presidio(raw, path)
    found = []
    for row in _read_jsonl(raw.splitlines(), "text"):
        if isinstance(row, BadRow):
            raise InvalidInput(f"{path}, line {row.line}: {row.problem}.")
        text, marks = parse(row.text)
        found.append(Marked(id=str(row.id), text=text, marks=marks))
    return found


def _presidio(raw: str, path: Path) -> list[Marked]:
    try:
        content: list[dict[str, Any]] = json.loads(raw)
        return [
            Marked(
                id=str(number),
                text=row["full_text"],
                marks=tuple(
                    Mark(
                        start=span["start_position"],
                        end=span["end_position"],
                        type=PRESIDIO_TYPES.get(span["entity_type"], IGNORED),
                    )
                    for span in sorted(row["spans"], key=lambda span: span["start_position"])
                ),
            )
            for number, row in enumerate(content, 1)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path} is neither JSONL with [[TYPE|text]] marks nor presidio-research's JSON "
            f"({type(error).__name__}: {error})."
        ) from error
