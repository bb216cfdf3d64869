"""The language of the rules: phrases, and what does not count as a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.red_flags import RedFlags

HEAD = """
version: test
spelling: {cannot: cant}
typos: swelling
lists:
  hurt: pain hurts
"""
CUES = """
cues:
  denied: |
    no
    denies
  not: |
    (isnt|not)
  past: |
    years ago
  now: |
    now
  ended: |
    gone away
  hypothetical: |
    if i get
  other_person: |
    neighbor
  figurative: |
    bill is killing
"""


def _rules(
    tmp_path: Path, phrases: str, *, when: str = "- all: [thing]", more: str = ""
) -> RedFlags:
    lines = "\n".join(f"      {line.strip()}" for line in phrases.strip().splitlines())
    examples = "\n".join("      x" for _ in range(4))
    path = tmp_path / "rules.yaml"
    path.write_text(
        f"{HEAD}\nconcepts:\n  thing:\n    phrases: |\n{lines}\n{more}\n{CUES}\n"
        "rules:\n  - id: r\n    title: R\n    urgency: urgent\n    wording: emergency\n"
        f"    when:\n      {when}\n"
        f"    must_match: |\n{examples}\n    must_not_match: |\n{examples}\n",
        encoding="utf-8",
    )
    return RedFlags.load(path)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("chest {hurt}", "My chest hurts."),
        ("bleed*", "bleedings"),
        ("(blue|gray) lips", "Gray lips!"),
        ("(blue|very pale) lips", "very pale lips"),
        ("my? chest", "chest"),
        ("sugar .. #20-53", "sugar is now 41"),
        ("sugar .. #3-9", "sugar is four"),
        ("decimal#100.4-107", "it was 101.2"),
        ("BP>=160/110", "168 over 90"),
        ("BP>=160/110", "bp 150/112 today"),
        ("BP<90", "82/40"),
        ("#38-42 !mg", "39"),
        ("cant breathe", "I can not breathe"),
        ("cant breathe", "I cannot breathe"),
        ("pecho", "Pécho"),
        ("tongue swelling", "tongue sweling"),
        ("mr .. pain", "Mr. Pain"),
    ],
)
def test_a_phrase_finds(tmp_path: Path, phrase: str, text: str) -> None:
    assert _rules(tmp_path, phrase).find(text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("chest {hurt}", "My chest. Hurts to say."),
        ("(blue|gray) lips", "red lips"),
        ("sugar .. #20-53", "sugar is 141"),
        ("sugar .. #20-53", "sugar one two three four 41"),
        ("decimal#100.4-107", "it was 101"),
        ("BP>=160/110", "120/80"),
        ("BP<90", "118/70"),
        ("#38-42 !mg", "40 mg"),
        ("BP>=160/110", "on 12/25"),
        ("tongue swelling", "tongue spieling"),
        ("tongue .. swollen", "tongue was not swollen"),
    ],
)
def test_a_phrase_does_not_find(tmp_path: Path, phrase: str, text: str) -> None:
    assert not _rules(tmp_path, phrase).find(text)


@pytest.mark.parametrize(
    "text",
    [
        "no chest pain",
        "No fever, cough or chest pain.",
        "It isn't chest pain.",
        "chest pain ten years ago",
        "The chest pain has gone away.",
        "If I get chest pain what then?",
        "My neighbor has chest pain.",
        "The bill is killing me, chest pain!",
    ],
)
def test_what_is_denied_past_over_supposed_foreign_or_figurative_does_not_count(
    tmp_path: Path, text: str
) -> None:
    assert not _rules(tmp_path, "chest pain").find(text)


@pytest.mark.parametrize(
    "text",
    [
        "No fever, but chest pain.",
        "No cough. Chest pain.",
        "I had a stent years ago and now chest pain.",
        "The chest pain has not gone away.",
        "Chest pain. My neighbor says hello.",
    ],
)
def test_a_report_beside_a_denial_still_counts(tmp_path: Path, text: str) -> None:
    assert _rules(tmp_path, "chest pain").find(text)


def test_an_old_fact_counts_as_background(tmp_path: Path) -> None:
    more = "  transplant:\n    background: true\n    phrases: |\n      transplant\n"
    rules = _rules(tmp_path, "fever", when="- all: [thing, transplant]", more=more)

    assert rules.find("I have a fever. My transplant was ten years ago.")
    assert not rules.find("I have a fever, no transplant.")


def test_what_has_passed_counts_where_the_concept_says_so(tmp_path: Path) -> None:
    more = "  faint:\n    even_if_over: true\n    phrases: |\n      fainted\n"
    rules = _rules(tmp_path, "sparrow", when="- all: [[thing, faint]]", more=more)

    assert rules.find("I fainted, it has gone away")
    assert not rules.find("the sparrow has gone away")


def test_concepts_must_stand_as_near_as_the_rule_says(tmp_path: Path) -> None:
    more = "  other: |\n    fever\n"
    far = "pain " + "word " * 60 + "fever"

    in_sentence = _rules(
        tmp_path, "pain", when="- {all: [thing, other], within: sentence}", more=more
    )
    assert in_sentence.find("pain and fever")
    assert not in_sentence.find("pain. And fever.")

    near = _rules(tmp_path, "pain", when="- all: [thing, other]", more=more)
    assert near.find("pain. And fever.")
    assert not near.find(far)

    anywhere = _rules(tmp_path, "pain", when="- {all: [thing, other], within: message}", more=more)
    assert anywhere.find(far)


def test_unless_takes_the_flag_back(tmp_path: Path) -> None:
    more = "  cold: |\n    cold\n"
    rules = _rules(tmp_path, "pain", when="- {all: [thing], unless: [cold]}", more=more)

    assert rules.find("pain")
    assert not rules.find("pain in the cold")


def test_several_signs_must_be_different_ones(tmp_path: Path) -> None:
    more = "  second: |\n    droop\n  third: |\n    slurred\n"
    rules = _rules(tmp_path, "numb", when="- {at_least: 2, of: [thing, second, third]}", more=more)

    assert rules.find("numb and slurred")
    assert not rules.find("numb, numb, numb")


def test_an_explanation_says_why_a_concept_does_not_count(tmp_path: Path) -> None:
    (reading,) = _rules(tmp_path, "chest pain").explain("no chest pain")

    assert (reading.concept, reading.doubt) == ("thing", "denied")
