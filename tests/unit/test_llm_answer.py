"""What comes back from the LLM is read without trusting it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import Urgency
from shared.errors import LanguageModelBadAnswer
from shared.taxonomy import Taxonomy
from workers.llm_tier import answer

TAXONOMY = Taxonomy.load()


def _text(*entries: object) -> str:
    return json.dumps({"items": list(entries)})


def _entry(id_: str, categories: object = ("A",), urgency: object = "3") -> dict[str, object]:
    return {"id": id_, "c": categories, "u": urgency}


def test_a_good_answer_is_read_by_id_with_the_primary_category_first() -> None:
    text = _text(_entry("b2c", ["C", "B"], "2"), _entry("d3f"))

    read = answer.read(text, ["d3f", "b2c"], TAXONOMY)

    assert read["b2c"].categories == ("refill", "medication")
    assert read["b2c"].urgency is Urgency.URGENT
    assert read["d3f"].categories == ("symptom",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "shape"),
        ('{"items": {}}', "shape"),
        (_text("b2c"), "shape"),
        (_text({"id": "b2c", "c": ["A"]}), "shape"),
        (_text({**_entry("b2c"), "more": 1}), "shape"),
        (_text(_entry("b2c", [])), "shape"),
        (_text(_entry("b2c", ["Z"])), "invalid_code"),
        (_text(_entry("b2c", [1])), "invalid_code"),
        (_text(_entry("b2c", urgency="9")), "invalid_code"),
        (_text(_entry("b2c", urgency=None)), "invalid_code"),
        (_text(_entry("x9x")), "foreign_id"),
        (_text(_entry("b2c"), _entry("b2c")), "doubled_id"),
        (_text(), "missing_id"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_is_refused_with_its_reason(
    text: str, reason: str
) -> None:
    with pytest.raises(LanguageModelBadAnswer) as raised:
        answer.read(text, ["b2c"], TAXONOMY)

    assert raised.value.reason == reason


def test_a_category_named_twice_counts_once_and_three_are_the_most() -> None:
    read = answer.read(_text(_entry("b2c", ["A", "A", "B", "C", "D"])), ["b2c"], TAXONOMY)

    assert read["b2c"].categories == ("symptom", "medication", "refill")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["items", "id", "c", "u", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON.map(json.dumps) | st.text())
def test_whatever_comes_back_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        read = answer.read(text, ["b2c"], TAXONOMY)
    except LanguageModelBadAnswer:
        return

    assert set(read) == {"b2c"}
