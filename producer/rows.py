"""Reads messages out of CSV and JSON-lines files, row by row, however damaged the file is.

A row that cannot be read becomes a `BadRow` with its line; the rest goes on. What a message may
hold is checked by the intake, not here.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from shared.errors import InvalidInput

FileFormat = Literal["csv", "jsonl"]
COLUMNS = ("external_id", "text", "patient_ref", "sender")
_UTF8_BOM = b"\xef\xbb\xbf"
#: One field; far above any message, so that what is too long is said by the check of length.
_LONGEST_FIELD = 64_000_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row that could be read, with the line on which it starts."""

    line: int
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A row that could not be read."""

    line: int
    detail: str


def guess_format(name: str, start: bytes) -> FileFormat:
    """The format by the file's name, else by its first character."""
    lowered = name.lower()
    if lowered.endswith((".csv", ".tsv")):
        return "csv"
    if lowered.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    return "jsonl" if start.removeprefix(_UTF8_BOM).lstrip()[:1] in (b"{", b"[") else "csv"


def read_rows(stream: BinaryIO, file_format: FileFormat) -> Iterator[Row | BadRow]:
    """The rows of `stream`, each with an external id: its own, or one made from its content.

    Raises:
        InvalidInput: the file as such is of another kind (UTF-16, no `text` column ...).
    """
    reader = _read_csv if file_format == "csv" else _read_jsonl
    for row in reader(stream):
        yield row if isinstance(row, BadRow) else _with_id(row)


def _with_id(row: Row) -> Row:
    if row.content.get("external_id") not in (None, ""):
        return row
    # The line is part of it: the same words twice in a file are two messages. The same file
    # again makes the same ids, so that nothing is doubled.
    content = {key: row.content.get(key) for key in ("text", "patient_ref", "sender")}
    material = json.dumps([row.line, content], sort_keys=True, default=str)
    digest = hashlib.sha256(material.encode()).hexdigest()[:32]
    return Row(line=row.line, content={**row.content, "external_id": f"auto-{digest}"})


def _refuse_utf16(start: bytes) -> None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput("the file is UTF-16 (often called “Unicode”); save it as UTF-8")


def _read_jsonl(stream: BinaryIO) -> Iterator[Row | BadRow]:
    for line, raw in enumerate(stream, start=1):
        if line == 1:
            _refuse_utf16(raw)
            raw = raw.removeprefix(_UTF8_BOM)
        if raw.strip():
            yield _parse_line(line, raw)


def _parse_line(line: int, raw: bytes) -> Row | BadRow:
    try:
        content = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return BadRow(line=line, detail=f"is not valid UTF-8, at byte {error.start + 1}")
    except json.JSONDecodeError as error:
        return BadRow(line=line, detail=f"is not JSON: {error.msg}, at character {error.pos + 1}")
    except (ValueError, RecursionError):
        return BadRow(line=line, detail="is not JSON that can be read: too deep, or too large")
    if not isinstance(content, dict):
        return BadRow(line=line, detail="is JSON, but not an object with the fields of a message")
    return Row(line=line, content=content)


def _read_csv(stream: BinaryIO) -> Iterator[Row | BadRow]:
    # Bytes that are not UTF-8 become lone surrogates and spoil their own row only.
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read_csv_lines(lines)
    finally:
        lines.detach()  # the stream is the caller's to close


def _read_csv_lines(lines: io.TextIOWrapper) -> Iterator[Row | BadRow]:
    first = lines.readline()
    _refuse_utf16(first[:2].encode("utf-8", "surrogateescape"))
    csv.field_size_limit(_LONGEST_FIELD)
    # Not `yield from`: that would close `lines`, which the caller has let go of by then.
    both = itertools.chain([first], lines)
    reader = csv.reader(both, strict=True, delimiter=_delimiter(first))
    try:
        header = _header(next(reader, []))
    except csv.Error as error:
        raise InvalidInput(f"the first line of the file is not CSV: {error}") from error
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(line=line, detail=f"is not CSV: {error}")
            continue
        if cells:
            yield _csv_row(line, header, cells)


def _delimiter(first_line: str) -> str:
    """Comma, or what spreadsheets write instead in other countries."""
    return max(",;\t", key=first_line.count)


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    unknown = [name for name in header if name not in COLUMNS]
    if "text" not in header or unknown or len(set(header)) != len(header):
        shown = ", ".join(repr(name)[:40] for name in header[:10]) or "nothing"
        raise InvalidInput(
            "the first line of a CSV file must name its columns: text, and where there are such, "
            f"external_id, patient_ref, sender. It has {shown}"
        )
    return header


def _csv_row(line: int, header: list[str], cells: list[str]) -> Row | BadRow:
    if len(cells) != len(header):
        return BadRow(
            line=line, detail=f"has {len(cells)} fields, but the first line names {len(header)}"
        )
    if any(_has_surrogate(cell) for cell in cells):
        return BadRow(line=line, detail="is not valid UTF-8")
    # An empty cell is an absent field; except the text, whose emptiness the intake names.
    content = {
        name: cell for name, cell in zip(header, cells, strict=True) if cell or name == "text"
    }
    return Row(line=line, content=content)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
