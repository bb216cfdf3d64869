"""Cutting files into parts: no row lost, none twice, whatever is in the file."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from workers.bulk import source as source_module
from workers.bulk.job import Job, Models
from workers.bulk.plan import make_plan
from workers.bulk.source import read_part
from workers.message_files import BadRow, Row

TEXTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), max_size=25
)


def rows_of(
    path: Path, kind: str, rows_per_part: int, *, most_chars: int = 1_000
) -> list[Row | BadRow]:
    plan = make_plan(str(path), kind, "text", rows_per_part)
    job = Job(
        source=str(path),
        output="",
        kind=kind,
        field="text",
        id_field="id",
        header=plan.header,
        models=Models(max_text_chars=most_chars),
    )
    return [row for part in plan.parts for row in read_part(job, part)]


def written(content: bytes) -> Path:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(content)
    return Path(file.name)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, size=st.integers(1, 7))
def test_parts_of_json_lines_hold_the_rows_of_the_whole(texts: list[str], size: int) -> None:
    lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(texts)]
    path = written("\n".join(["not json", *lines, "", '{"text": 3}']).encode())

    assert rows_of(path, "jsonl", size) == rows_of(path, "jsonl", 1_000)

    ids = [row.id for row in rows_of(path, "jsonl", size) if isinstance(row, Row)]
    assert ids == [n for n, text in enumerate(texts) if source_module.problem_of(text, 99) is None]
    path.unlink()


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, size=st.integers(1, 7))
def test_parts_of_csv_hold_the_rows_of_the_whole_with_quotes_and_breaks(
    texts: list[str], size: int
) -> None:
    out = io.StringIO(newline="")
    table = csv.writer(out)
    table.writerow(["id", "odd\ncolumn", "text"])
    table.writerows([[f"m{n}", "x", text] for n, text in enumerate(texts)])
    path = written(b"\xef\xbb\xbf" + out.getvalue().encode())

    assert rows_of(path, "csv", size) == rows_of(path, "csv", 1_000)

    good = [row for row in rows_of(path, "csv", size) if isinstance(row, Row)]
    assert {row.id for row in good} <= {f"m{n}" for n in range(len(texts))}
    assert all(row.text in texts for row in good)
    path.unlink()


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300), size=st.integers(1, 5))
def test_any_bytes_are_read_alike_in_parts_and_as_a_whole(content: bytes, size: int) -> None:
    path = written(b"text,id\n" + content.replace(b"\r", b""))

    assert rows_of(path, "csv", size) == rows_of(path, "csv", 1_000)
    assert rows_of(path, "text", size) == rows_of(path, "text", 1_000)
    path.unlink()


def test_bad_rows_are_named_by_their_line_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LONGEST_LINE", 300)
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b'{"text": "one"}\n'
        b"oops\n"
        b'{"text": "  "}\n'
        b'{"text": "caf\xe9"}\n'
        b'{"text": "' + b"x" * 400 + b'"}\n'
        b'{"text": "a\\u0000b"}\n'
        b'{"text": "' + b"y" * 101 + b'"}\n'
        b'{"text": "two"}\n'
    )

    found = rows_of(path, "jsonl", 2, most_chars=100)

    assert [(r.line, r.text if isinstance(r, Row) else r.problem) for r in found] == [
        (1, "one"),
        (2, "not JSON (JSONDecodeError)"),
        (3, "the text is empty"),
        (4, "the text is not UTF-8"),
        (5, "a line of more than 0 MB"),
        (6, "the text holds a NUL character"),
        (7, "the text has 101 characters, at most 100 are taken"),
        (8, "two"),
    ]


def test_an_id_of_a_wrong_kind_makes_a_bad_row_and_never_a_line_number(tmp_path: Path) -> None:
    ids = ["7", '"m-1"', "1001.0", "null", "1.5", "true", '["x"]', "NaN", "1e300"]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"id": {each}, "text": "hello"}}\n' for each in ids))

    found = rows_of(path, "jsonl", 4)

    assert [row.id for row in found if isinstance(row, Row)] == [7, "m-1", 1001, 4]
    kind = "the id is neither text nor a whole number"
    assert [(row.line, row.problem) for row in found if isinstance(row, BadRow)] == [
        (5, f"{kind} (float)"),
        (6, f"{kind} (bool)"),
        (7, f"{kind} (list)"),
        (8, f"{kind} (float)"),
        (9, "the id is a float too large to be exact"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text".encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00rest", "compressed"),
        (b"PAR1rest", "Parquet"),
        (b"id,body\n1,hello\n", 'no column "text"'),
    ],
)
def test_a_file_of_another_kind_is_refused_with_words(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content)

    with pytest.raises(InvalidInput, match=words):
        make_plan(str(path), "csv", "text", 10)


def test_the_same_bytes_give_the_same_hash_and_parts_end_by_bytes_too(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"x" * 6_000_000 + b"\n" + b"y" * 6_000_000 + b"\n" + b"z" * 6_000_000 + b"\n")

    plan = make_plan(str(path), "text", "text", 1_000)

    assert plan == make_plan(str(path), "text", "text", 1_000)
    assert [part.rows for part in plan.parts] == [3]
    path.write_bytes(path.read_bytes() * 2)
    assert [part.rows for part in make_plan(str(path), "text", "text", 1_000).parts] == [3, 3]
