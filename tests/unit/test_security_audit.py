"""`make audit` says what is new, what is faulty, and what could not be looked up."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", _ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _finding(rule: str, file: str) -> dict[str, Any]:
    return {"test_id": rule, "filename": f"./{file}", "line_number": 7, "issue_text": "bad"}


def test_a_finding_that_nobody_looked_at_is_new(audit: Any) -> None:
    known = [_finding(*each) for each in audit.KNOWN]

    assert audit.compare(known) == ([], [])
    new, gone = audit.compare([*known[1:], _finding("B301", "shared/x.py")])
    assert new == ["B301 ./shared/x.py:7 bad"]
    assert gone == [" ".join(next(iter(audit.KNOWN)))]


def test_what_is_known_is_about_files_that_are_there(audit: Any) -> None:
    assert [file for _, file in audit.KNOWN if not (_ROOT / file).exists()] == []


def test_a_fault_is_named_and_silence_is_no_clean_bill(audit: Any) -> None:
    fault = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
    listed = [
        {"name": "good", "version": "1", "vulns": []},
        {"name": "bad", "version": "1", "vulns": [fault]},
        {"name": "unknown", "skip_reason": "not found"},
    ]

    said, faults = audit.summary({"dependencies": listed})
    assert said == "2 packages, 1 known faults, 1 NOT LOOKED AT"
    assert faults == ["bad 1: PYSEC-1, mended in ['2.0']"]
    assert "NOT LOOKED AT" in audit.summary({"dependencies": listed[2:]})[0]
    assert "NOT LOOKED AT" in audit.summary(None)[0]


def test_every_locked_package_has_its_hashes() -> None:
    for lock in (_ROOT / "requirements").glob("*.txt"):
        entries = re.split(r"\n(?=\S)", lock.read_text())
        bare = [each for each in entries if "==" in each.split("\n")[0] and "--hash=" not in each]
        assert bare == [], lock.name
