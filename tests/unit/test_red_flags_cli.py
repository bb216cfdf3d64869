"""`carelane redflags`: test, eval and explain."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from producer.red_flags_cli import read_labelled, redflags, wilson
from shared.errors import InvalidInput


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_the_packaged_examples_pass() -> None:
    result = CliRunner().invoke(redflags, ["test"])

    assert result.exit_code == 0
    assert "0 wrong" in result.output


def test_a_wrong_example_is_shown_and_fails(tmp_path: Path) -> None:
    packaged = files("shared.red_flags").joinpath("red_flags.yaml").read_text(encoding="utf-8")
    example = "Tightness across my chest since breakfast and I'm drenched in sweat."
    path = tmp_path / "rules.yaml"
    path.write_text(packaged.replace(example, "Lovely weather today."), encoding="utf-8")

    result = CliRunner().invoke(redflags, ["test", "--rules", str(path)])

    assert result.exit_code == 1
    assert "heart_attack: must match, but does not: Lovely weather today." in result.output


def test_explain_shows_flags_and_what_does_not_count() -> None:
    result = CliRunner().invoke(redflags, ["explain", "No chest pain. My tongue is swelling."])

    assert "chest_pain: 'chest pain'  does not count: denied" in result.output
    assert "emergent: Severe allergic reaction" in result.output


def test_explain_says_when_there_is_no_flag() -> None:
    assert "No red flag." in CliRunner().invoke(redflags, ["explain", "Thank you!"]).output


def test_eval_counts_what_was_caught_and_what_was_not(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "messages.jsonl",
        [
            {"id": "1", "text": "[[NAME|Ann]] can't breathe", "urgency": "emergent"},
            {"id": "2", "text": "something is off", "urgency": "emergent"},
            {"id": "3", "text": "I want to kill myself", "urgency": "routine"},
            {"id": "4", "text": "thanks", "urgency": "routine"},
        ],
    )

    result = CliRunner().invoke(redflags, ["eval", str(file), "--errors"])

    assert "4 messages, 2 emergent; 2 flagged" in result.output
    assert "(1/2)" in result.output
    assert "- 2: something is off" in result.output
    assert "- 3 [intent_to_die 'kill myself']: I want to kill myself" in result.output
    assert "Ann" not in result.output


def test_marks_of_identifiers_are_stripped_before_the_rules_read(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "messages.jsonl",
        [{"text": "I am [[NAME|Ann Lee]], 555", "urgency": "routine"}],
    )

    (message,) = read_labelled(file)

    assert message.text == "I am Ann Lee, 555"


@pytest.mark.parametrize("line", ["{", '{"text": "a"}', '{"text": "a", "urgency": "soon"}', "7"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "messages.jsonl"
    file.write_text('{"text": "a", "urgency": "routine"}\n' + line, encoding="utf-8")

    with pytest.raises(InvalidInput, match="line 2"):
        list(read_labelled(file))


def test_the_wilson_interval_is_the_published_one() -> None:
    low, high = wilson(8, 10)

    assert low == pytest.approx(0.490, abs=0.001)
    assert high == pytest.approx(0.943, abs=0.001)
