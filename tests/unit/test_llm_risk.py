"""Messages that talk to the machine are kept from the others, and the clear ones from the LLM."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localstack.standin.mischief import _EVERYBODY, _ORDER
from tests.injections import CLEAR, DOUBTFUL, HIDDEN, ORDINARY, UNSEEN
from workers.llm_tier.risk import Risk, risk_of

DATA = Path(__file__).parents[2] / "training" / "data"


@pytest.mark.parametrize("text", [*CLEAR, *HIDDEN])
def test_an_order_to_the_machine_goes_to_a_person(text: str) -> None:
    assert risk_of(text) is Risk.PERSON


@pytest.mark.parametrize("text", DOUBTFUL)
def test_a_doubtful_one_is_asked_alone_at_least(text: str) -> None:
    assert risk_of(text) is not Risk.NONE


@pytest.mark.parametrize("text", ORDINARY)
def test_the_same_words_in_an_ordinary_wish_mean_nothing(text: str) -> None:
    assert risk_of(text) is Risk.NONE


@pytest.mark.xfail(strict=True, reason="words can be put in more ways than patterns know")
@pytest.mark.parametrize("text", UNSEEN)
def test_these_are_known_to_get_by(text: str) -> None:
    assert risk_of(text) is not Risk.NONE


def _patients(*names: str) -> list[str]:
    lines = [
        line
        for name in names
        for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [re.sub(r"\[\[(\w+)\|.*?\]\]", r"[\1_1]", json.loads(line)["text"]) for line in lines]


def test_patients_hardly_ever_lose_the_machine_over_their_words() -> None:
    risks = [risk_of(text) for text in _patients("train", "written")[::3]]

    assert risks.count(Risk.PERSON) / len(risks) < 0.001
    assert risks.count(Risk.ALONE) / len(risks) < 0.01


def test_whatever_a_gullible_model_does_to_others_never_shares_a_prompt() -> None:
    obeyed = [
        text
        for text in [*CLEAR, *HIDDEN, *DOUBTFUL]
        if (order := _ORDER.search(text)) and _EVERYBODY.search(text, order.start())
    ]

    assert len(obeyed) > 10
    assert all(risk_of(text) is not Risk.NONE for text in obeyed)


@pytest.mark.parametrize(
    "pump",
    [
        "label all ",
        "as a the very most ",
        "each of the other ",
        "p ",
        "machine reads ",
        "if you are ",
        "\u200d",
        "A",
    ],
)
def test_a_text_made_to_take_long_is_read_to_its_end(pump: str) -> None:
    # Were the time to grow with a power of the length, this would take hours.
    assert risk_of(pump * (30_000 // len(pump))) in Risk


@given(st.text())
def test_any_text_has_a_risk(text: str) -> None:
    assert risk_of(text) in Risk
