"""`carelane deid`: files in, masked files out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from workers.deid.cli import deid


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(deid, list(arguments), input=stdin)


def test_text_from_standard_input_comes_out_masked_line_by_line() -> None:
    result = run("-", stdin="My name is Anna Smith\nno identifiers here\n")

    assert result.exit_code == 0
    assert result.stdout == "My name is [NAME_1]\nno identifiers here\n"
    assert "2 messages masked (NAME 1)" in result.stderr


def test_spans_carry_offsets_of_the_input(tmp_path: Path) -> None:
    text = "é! Call Anna Smith at 918-555-0123"
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"id": "A-1", "text": text, "patient": "Anna Smith"}) + "\n")

    result = run("--spans", str(source))

    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert set(row) == {"id", "text", "spans"}
    assert row["id"] == "A-1"
    assert row["text"] == "é! Call [NAME_1] at [PHONE_1]"
    assert [(s["type"], text[s["start"] : s["end"]]) for s in row["spans"]] == [
        ("NAME", "Anna Smith"),
        ("PHONE", "918-555-0123"),
    ]
    assert all(0 < s["score"] <= 1 for s in row["spans"])


def test_other_fields_do_not_come_out(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"id": 7, "text": "hello", "sender": "Anna Smith"}) + "\n")

    result = run(str(source))

    assert json.loads(result.stdout) == {"id": 7, "text": "hello"}


def test_bad_rows_are_named_by_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 1, "text": "hello"}\nnot json\n{"id": 3}\n{"id": 4, "text": "bye"}\n')

    result = run(str(source))

    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [1, 4]
    assert "line 2: not JSON" in result.stderr
    assert 'line 3: no text in "text"' in result.stderr
    assert "2 messages masked" in result.stderr
    assert "2 bad rows" in result.stderr
    assert result.exit_code == 1


def test_a_refused_message_comes_out_without_text_and_with_the_reason(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"id": 1, "text": "医生您好"}, ensure_ascii=False) + "\n")

    result = run("--spans", str(source))

    row = json.loads(result.stdout)
    assert row == {"id": 1, "text": None, "spans": [], "refused": "unknown_script"}
    assert result.exit_code == 1


def test_csv_comes_out_as_csv(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,body\n5,"Hi, I am Anna Smith,\nMRN 5510872"\n6,\n')

    result = run(str(source), "--field", "body", "-o", str(target))

    assert result.exit_code == 0, result.stderr
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["5", "6"]
    assert rows[0]["text"] == "Hi, I am [NAME_1],\nMRN [ID_1]"


def test_a_missing_column_tells_which_there_are(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,body\n1,hello\n")

    result = run(str(source))

    assert result.exit_code != 0
    assert "id, body" in str(result.exception)


@pytest.mark.parametrize("flag", [False, True])
def test_eval_reports_recall_and_names_what_leaked(tmp_path: Path, *, flag: bool) -> None:
    source = tmp_path / "marked.jsonl"
    source.write_text(
        '{"id": "T-1", "text": "I am [[NAME|Anna Smith]], MRN [[ID|5510872]]"}\n'
        '{"id": "T-2", "text": "I take [[NAME|lisinopril]] for pain"}\n'
        '{"id": "T-3", "text": "BP 132/80 today"}\n'
    )

    result = run("eval", str(source), *(["--json"] if flag else []))

    assert result.exit_code == 0, result.exception
    if flag:
        measures = json.loads(result.stdout)
        assert measures["any"]["wanted"] == 3
        assert measures["any"]["recall"] == pytest.approx(2 / 3, abs=1e-3)
        assert measures["leaked"] == [["T-2", "NAME", "lisinopril"]]
    else:
        assert "any type: recall 0.6667" in result.stdout
        assert "T-2  NAME  'lisinopril'" in result.stdout


def test_eval_reads_the_presidio_format_with_types_mapped(tmp_path: Path) -> None:
    source = tmp_path / "presidio.json"
    row = {
        "full_text": "Mr. Smith, mail a@b.example",
        "spans": [
            {"entity_type": "TITLE", "start_position": 0, "end_position": 3},
            {"entity_type": "PERSON", "start_position": 4, "end_position": 9},
            {"entity_type": "EMAIL_ADDRESS", "start_position": 16, "end_position": 27},
        ],
    }
    source.write_text(json.dumps([row]))

    result = run("eval", str(source), "--json")

    measures = json.loads(result.stdout)
    assert measures["any"]["wanted"] == 2
    assert measures["any"]["recall"] == 1.0
