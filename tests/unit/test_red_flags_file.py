"""A broken rule file is refused, with the rule and the mend named."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import RuleError
from shared.red_flags import RedFlags

GOOD = """
version: "7"
spelling: {hart: heart}
lists:
  hurt: pain hurts
concepts:
  chest_pain: |
    chest {hurt}
  pregnant:
    background: true
    phrases: |
      pregnant
cues:
  denied: |
    never had
rules:
  - id: heart
    title: Chest pain
    urgency: emergent
    wording: emergency
    when:
      - all: [chest_pain]
        unless: [pregnant]
    must_match: |
      a
      b
      c
      d
    must_not_match: |
      e
      f
      g
      h
"""


def _load(tmp_path: Path, text: str) -> RedFlags:
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return RedFlags.load(path)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    rules = _load(tmp_path, GOOD)

    assert rules.version == "7"
    assert [rule.id for rule in rules.rules] == ["heart"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("all: [chest_pain]", "all: [chest_pian]", "rule heart.*chest_pian.*concepts"),
        ("all: [chest_pain]", "all: [7]", "rule heart.*names of concepts"),
        ("all: [chest_pain]", "any: [chest_pain]", "rule heart.*unknown keys any"),
        ("all: [chest_pain]", "within: near", "rule heart.*needs `all`"),
        ("unless: [pregnant]", "within: far", "rule heart.*far.*sentence, near, message"),
        ("all: [chest_pain]", "all: [pregnant, chest_pain]", "rule heart.*background"),
        ("urgency: emergent", "urgency: routine", "rule heart.*routine.*emergent or urgent"),
        ("wording: emergency", "wording: loud", "rule heart.*loud.*crisis line"),
        ("title: Chest pain", "", "rule heart.*needs `title`"),
        ("      d\n", "", "rule heart.*at least 4.*must_match"),
        ("- id: heart", "- name: heart", "begins with `id`"),
        ("chest {hurt}", "chest {ache}", "concept chest_pain.*ache.*lists"),
        ("chest {hurt}", "chest Pain!", "concept chest_pain.*Pain!.*lower case"),
        ("chest {hurt}", ".. pain", "concept chest_pain.*begin with a word"),
        ("chest {hurt}", "hart {hurt}", "hart.*never met"),
        ("chest {hurt}", "a b? c? d? e? f? g? h?", "concept chest_pain.*too many"),
        ("  denied: |", "  denial: |", "cues.*denial"),
        ('version: "7"', "", "version"),
        ("concepts:\n", "concepts:\n  idle: |\n    idle\n", "concept idle.*no rule"),
        ("background: true", "old: true", "concept pregnant.*old"),
        ("lists:\n  hurt: pain hurts", "lists: pain", "lists.*block"),
        ("    chest {hurt}\n", "    \n", "concept chest_pain"),
        ("version", "version: [", "cannot be read"),
    ],
)
def test_a_broken_file_is_refused_with_what_to_mend(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    assert old in GOOD

    with pytest.raises(RuleError, match=f"(?s){named}"):
        _load(tmp_path, GOOD.replace(old, new, 1))


def test_rules_that_are_no_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no list of `rules`"):
        _load(tmp_path, GOOD[: GOOD.index("rules:")] + "rules: 7")


def test_a_rule_that_stands_twice_is_refused(tmp_path: Path) -> None:
    rule = GOOD[GOOD.index("  - id: heart") :]

    with pytest.raises(RuleError, match=r"heart.*twice"):
        _load(tmp_path, GOOD + rule)


def test_a_concept_that_stands_twice_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    twice = GOOD.replace("concepts:\n", "concepts:\n  chest_pain: |\n    angina\n")

    with pytest.raises(RuleError, match=r"'chest_pain' twice"):
        _load(tmp_path, twice)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"none\.yaml"):
        RedFlags.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "just words", "rules: []", "- 1"])
def test_what_is_no_rule_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RuleError):
        _load(tmp_path, text)
