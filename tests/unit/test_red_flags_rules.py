"""The rules that come with Carelane: every example, and what the whole must never do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import Urgency
from shared.red_flags import RedFlags
from shared.red_flags.rule_file import MIN_EXAMPLES, Rule

RULES = RedFlags.load()
WILD_WORDS = (
    "no not chest pain can't breathe 2 years ago , . \n over 180 120 168/112 if my dog é ’ 101.5"
)
MUST_MATCH = [(rule, text) for rule in RULES.rules for text in rule.must_match]
MUST_NOT_MATCH = [(rule, text) for rule in RULES.rules for text in rule.must_not_match]


def _rules_of(text: str) -> set[str]:
    return {flag.rule for flag in RULES.find(text)}


@pytest.mark.parametrize(("rule", "text"), MUST_MATCH, ids=lambda v: getattr(v, "id", None))
def test_a_rule_flags_what_its_author_says_it_must(rule: Rule, text: str) -> None:
    assert rule.id in _rules_of(text)


@pytest.mark.parametrize(("rule", "text"), MUST_NOT_MATCH, ids=lambda v: getattr(v, "id", None))
def test_a_rule_leaves_alone_what_its_author_says_it_must(rule: Rule, text: str) -> None:
    assert rule.id not in _rules_of(text)


def test_every_rule_has_examples_of_both_kinds() -> None:
    for rule in RULES.rules:
        assert len(rule.must_match) >= MIN_EXAMPLES
        assert len(rule.must_not_match) >= MIN_EXAMPLES


@pytest.mark.parametrize("text", sorted({text for _, text in MUST_MATCH}))
def test_shouting_and_curly_apostrophes_change_nothing(text: str) -> None:
    expected = _rules_of(text)

    assert _rules_of(text.upper()) == expected
    assert _rules_of(text.replace("'", "’")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "cant breathe",
        "my chest pressur goes to my jaw",
        "I can not breathe",
        "shes unresponsve on the floor",
        "he took an overdos, he overdosed on tylenl",
        "slured speech since noon",
    ],
)
def test_a_slip_of_the_keyboard_does_not_hide_a_danger(text: str) -> None:
    assert RULES.find(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thanks for the kind care, see you in the spring.",
        "Can you refill my lisinopril? I have ten days left.",
        "My account was charged twice, please fix the bill, it is killing me.",
        "Denies chest pain, shortness of breath or fainting.",
        "I had a stroke in 2019 and need a new handicap placard.",
        "What should I do if I ever get chest pain and trouble breathing?",
        "My neighbor had a heart attack with chest pain and sweating.",
        "",
    ],
)
def test_what_reports_no_danger_raises_no_flag(text: str) -> None:
    assert RULES.find(text) == ()


def test_a_flag_shows_the_words_that_raised_it() -> None:
    text = "Please renew my pass. Also: I want to kill myself."

    (flag,) = RULES.find(text)

    assert text[flag.start : flag.end] == "kill myself"
    assert flag.rule == "intent_to_die"
    assert flag.urgency is Urgency.EMERGENT


def test_the_most_urgent_flag_comes_first() -> None:
    flags = RULES.find("I'm out of insulin. My tongue is swelling up and I can't breathe.")

    ranks = [flag.urgency.rank for flag in flags]
    assert ranks == sorted(ranks)
    assert {Urgency.EMERGENT, Urgency.URGENT} == {flag.urgency for flag in flags}


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from(WILD_WORDS.split(" ")), max_size=60).map(" ".join)
)
def test_any_text_gives_flags_that_lie_within_it(text: str) -> None:
    for flag in RULES.find(text):
        assert 0 <= flag.start < flag.end <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "can't " * 17_000,
        "no chest pain " * 7_000,
        "chest pain. " * 8_000,
        "a'" * 50_000,
        "1/" * 50_000,
        "168/112 over " * 8_000,
        "pain in the " * 8_000,
        "\N{COMBINING ACUTE ACCENT}" * 50_000,
    ],
    ids=lambda text: text[:14],
)
def test_a_hostile_hundred_kilobytes_are_read_to_their_end(text: str) -> None:
    # The work grows with the length only; anything worse would run into the suite's time-out.
    danger = " . I want to kill myself."

    assert "intent_to_die" in _rules_of(text + danger)
