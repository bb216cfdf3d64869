"""Each line of the threat model names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "security.md").read_text()


def _tests() -> set[str]:
    files = (_ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


def _lines() -> list[list[str]]:
    """The cells of the threat model's tables, without their heads."""
    part = _PAGE.partition("## Threats")[2].partition("\n## ")[0]
    rows = [[c.strip() for c in line.strip("| ").split(" | ")] for line in part.splitlines()]
    return [row for row in rows if len(row) == 3 and row[0] not in ("who and how", "---")]


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = set(re.findall(r"\btest_\w+", _PAGE))

    assert named - _tests() == set()
    assert len(named) > 40


def test_every_threat_says_what_holds_and_names_a_test_or_says_that_there_is_none() -> None:
    lines = _lines()

    assert len(lines) > 25
    for who, what, test in lines:
        assert all((who, what)), (who, what)
        assert "`test_" in test or test.startswith("none:"), f"no test for: {who}"
