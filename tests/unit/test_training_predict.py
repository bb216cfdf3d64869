"""`carelane model predict`, `eval` and `compare`, as a hospital's own people would call them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training.cli import model
from training.corpus import SPLITS


def predict(rows: bytes, *options: str) -> Result:
    return CliRunner().invoke(model, ["predict", *(options or ("shipped",)), "-"], input=rows)


def as_lines(*rows: object) -> bytes:
    return b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows)


def test_a_message_comes_out_with_all_that_was_asked_for() -> None:
    result = predict(as_lines({"id": "m1", "text": "crushing chest pain and I can't breathe"}))

    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert list(row) == [
        "id", "categories", "urgency", "confidence", "accepted", "reasons", "red_flags",
    ]  # fmt: skip
    assert (row["id"], row["categories"][0], row["urgency"]) == ("m1", "symptom", "emergent")
    assert set(row["confidence"]) == {"category", "urgency"}
    assert row["accepted"] is (row["reasons"] == [])
    assert row["red_flags"][0]["urgency"] == "emergent"


def test_bad_rows_are_named_by_line_and_the_good_ones_go_through() -> None:
    result = predict(
        as_lines(
            {"id": 1, "text": "Please refill my metformin"},
            b"{oops",
            {"id": "", "text": "x"},
            {"id": "4"},
            {"id": "5", "text": "  "},
            b'{"id": "6", "text": "\xff"}',
            {"id": "7", "text": "\ud800"},
            b"",
            ["not", "an", "object"],
            {"id": "é", "text": "Thank you!", "more": 1},
        )
    )

    ids = [json.loads(line)["id"] for line in result.stdout.splitlines()]
    named = [line.split(":")[0] for line in result.stderr.splitlines() if line.startswith("line")]
    assert ids == [1, "é"]
    assert named == [f"line {n}" for n in (2, 3, 4, 5, 6, 7, 9)]
    assert "2 labelled" in result.stderr
    assert "7 bad rows" in result.stderr
    assert result.exit_code == 1


def test_corpus_marks_change_nothing() -> None:
    plain = predict(as_lines({"id": "1", "text": "Dr. Osei, I need my metformin refilled"}))
    marked = predict(
        as_lines({"id": "1", "text": "Dr. [[NAME|Osei]], I need my metformin refilled"})
    )

    assert plain.stdout == marked.stdout


def test_an_empty_file_is_no_error() -> None:
    result = predict(b"")

    assert result.exit_code == 0
    assert result.stdout == ""


def test_a_folder_without_a_bundle_is_an_error_of_its_own(tmp_path: Path) -> None:
    result = predict(as_lines({"id": "1", "text": "x"}), str(tmp_path))

    assert result.exit_code == 2
    assert "no model bundle" in result.stderr


def test_a_row_is_labelled_the_same_whatever_stands_around_it() -> None:
    rows = [json.loads(line) for line in SPLITS["dev"].read_text().splitlines()[:12]]

    together = predict(as_lines(*rows)).stdout.splitlines()
    alone = [predict(as_lines(row)).stdout.strip() for row in rows[:3]]

    assert together[:3] == alone


@pytest.fixture
def some(tmp_path: Path) -> Path:
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(SPLITS["dev"].read_text().splitlines()[:40]))
    return path


def test_eval_gives_the_figures_of_a_labelled_file(some: Path) -> None:
    result = CliRunner().invoke(model, ["eval", "shipped", str(some), "--json"])

    figures = json.loads(result.stdout)
    assert figures["n"] == 40
    assert 0.4 < figures["category_accuracy"] <= 1
    assert figures["intervals"]["both_right"][0] <= figures["both_right"]


def test_a_bundle_compared_with_itself_differs_in_nothing(some: Path) -> None:
    from workers.fast_tier import SHIPPED

    result = CliRunner().invoke(model, ["compare", "shipped", str(SHIPPED), "--dev", str(some)])

    assert result.exit_code == 0
    assert "+0.0000" in result.stdout
    assert "they disagree on category      0.00%" in result.stdout


def test_thresholds_can_be_chosen_on_several_files(some: Path, tmp_path: Path) -> None:
    from workers.fast_tier import SHIPPED

    bundle = tmp_path / "bundle"
    shutil.copytree(SHIPPED, bundle)
    more = tmp_path / "more.jsonl"
    more.write_text(SPLITS["dev"].read_text("utf-8").splitlines()[-1] + "\n", "utf-8")

    result = CliRunner().invoke(
        model,
        ["calibrate", str(bundle), "--reference-only", "--dev", str(some), "--dev", str(more)],
    )

    n = len(some.read_text("utf-8").splitlines()) + 1
    assert result.exit_code == 0
    assert f"{n} messages" in result.stdout


def test_help_lists_every_step_without_importing_torch() -> None:
    result = CliRunner().invoke(model, ["--help"])

    for step in ("prepare", "train", "teach", "distil", "quantise", "calibrate", "release"):
        assert step in result.stdout
