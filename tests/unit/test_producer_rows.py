"""Files of messages, however damaged, are read row by row."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.rows import BadRow, FileFormat, Row, guess_format, read_rows
from shared.errors import InvalidInput


def _read(content: bytes, file_format: FileFormat) -> list[Row | BadRow]:
    return list(read_rows(io.BytesIO(content), file_format))


def _good(rows: list[Row | BadRow]) -> list[tuple[int, object]]:
    return [(row.line, row.content["text"]) for row in rows if isinstance(row, Row)]


def _bad(rows: list[Row | BadRow]) -> list[int]:
    return [row.line for row in rows if isinstance(row, BadRow)]


def test_a_spreadsheets_csv_is_read_with_bom_crlf_and_quoted_newlines() -> None:
    content = '\ufeffexternal_id;text\r\na;"one\r\ntwo; ""three"""\r\nb;four\r\n'.encode()

    rows = _read(content, "csv")

    assert _good(rows) == [(2, 'one\r\ntwo; "three"'), (4, "four")]


def test_json_lines_are_read_with_bom_crlf_and_empty_lines() -> None:
    content = '\ufeff{"external_id": "a", "text": "one"}\r\n\r\n{"text": "two"}'.encode()

    assert _good(_read(content, "jsonl")) == [(1, "one"), (3, "two")]


def test_bad_json_lines_are_named_by_line_and_the_others_are_read() -> None:
    content = b'{"text": "1"}\nnot json\n{"text": "caf\xe9"}\n[1]\n{"text": "5"}\n' + b"[" * 99_999

    rows = _read(content, "jsonl")

    assert _good(rows) == [(1, "1"), (5, "5")]
    assert _bad(rows) == [2, 3, 4, 6]


def test_bad_csv_rows_are_named_by_line_and_the_others_are_read() -> None:
    content = b'text,sender\none,patient\ncaf\xe9,patient\na,b,c\n"x"y,patient\nfive,\n"open,'

    rows = _read(content, "csv")

    assert _good(rows) == [(2, "one"), (6, "five")]
    assert _bad(rows) == [3, 4, 5, 7]


def test_a_field_of_a_megabyte_is_one_field() -> None:
    assert _good(_read(b"text\n" + b"x" * 1_000_000 + b"\n", "csv")) == [(2, "x" * 1_000_000)]


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le"])
def test_utf16_is_refused_with_the_mend(file_format: FileFormat, codec: str) -> None:
    content = "\ufefftext\nhello\n".encode(codec)

    with pytest.raises(InvalidInput, match="save it as UTF-8"):
        _read(content, file_format)


@pytest.mark.parametrize("first_line", [b"", b"one,two\n", b"text,text\n", b"text,surname\n", b'"'])
def test_a_csv_file_must_name_its_columns(first_line: bytes) -> None:
    with pytest.raises(InvalidInput, match="first line"):
        _read(first_line + b"x,y\n", "csv")


def test_rows_without_an_id_get_one_that_is_the_same_the_next_time() -> None:
    content = b"text\nthanks\nthanks\n"

    first = [row.content["external_id"] for row in _read(content, "csv") if isinstance(row, Row)]
    again = [row.content["external_id"] for row in _read(content, "csv") if isinstance(row, Row)]

    assert first == again
    assert len(set(first)) == 2, "the same words twice in a file are two messages"


@pytest.mark.parametrize(
    ("name", "start", "expected"),
    [
        ("a.csv", b"{", "csv"),
        ("A.JSONL", b"text", "jsonl"),
        ("-", b'\xef\xbb\xbf {"text"', "jsonl"),
        ("-", b"external_id,text", "csv"),
    ],
)
def test_the_format_is_seen_from_name_or_content(name: str, start: bytes, expected: str) -> None:
    assert guess_format(name, start) == expected


@given(st.binary(max_size=400), st.sampled_from(["csv", "jsonl"]))
def test_no_file_makes_the_reader_crash(content: bytes, file_format: FileFormat) -> None:
    try:
        rows = _read(content, file_format)
    except InvalidInput:
        return
    for row in rows:
        if isinstance(row, Row):
            json.dumps(row.content)
