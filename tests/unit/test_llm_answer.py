"""What comes back from the LLM is read without trusting it, piece by piece as it comes."""

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
CODES = answer.label_codes(TAXONOMY)


def _text(*entries: object) -> str:
    return json.dumps({"items": list(entries)})


def _entry(id_: object, code: object = "A3") -> dict[str, object]:
    return {"i": id_, "l": code}


def test_a_good_answer_is_read_by_id_with_the_primary_category_first() -> None:
    read = answer.read(_text(_entry("bkt", "CB2"), _entry("dfg")), ["dfg", "bkt"], CODES)

    assert read["bkt"].categories == ("refill", "medication")
    assert read["bkt"].urgency is Urgency.URGENT
    assert read["dfg"].categories == ("symptom",)


def test_prose_and_fences_around_the_answer_are_passed_over() -> None:
    text = f"Sure! Here is the JSON:\n```json\n{_text(_entry('bkt'))}\n```\nAnything else?"

    assert set(answer.read(text, ["bkt"], CODES)) == {"bkt"}


def test_an_entry_comes_out_as_soon_as_it_is_complete() -> None:
    reader = answer.Reader(["bkt", "dfg"], CODES)
    text = _text(_entry("bkt"), _entry("dfg"))
    first, second = text[:40], text[40:]

    early = [id_ for id_, _ in reader.feed(first)]
    late = [id_ for id_, _ in reader.feed(second)]

    assert (early, late) == (["bkt"], ["dfg"])
    reader.finish()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no JSON", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_json"),
        ('{"items": {}}', "not_json"),
        ('{"items": [{"i":"bkt","l":"A3"}', "shape"),
        ('{"items": [{"i":"bkt","l":}]}', "not_json"),
        (_text({"i": "bkt"}), "shape"),
        (_text({**_entry("bkt"), "more": 1}), "shape"),
        (_text(_entry("bkt", "Z3")), "invalid_code"),
        (_text(_entry("bkt", "3")), "invalid_code"),
        (_text(_entry("bkt", "A9")), "invalid_code"),
        (_text(_entry("bkt", "AA3")), "invalid_code"),
        (_text(_entry("bkt", 3)), "invalid_code"),
        (_text(_entry(7)), "foreign_id"),
        (_text(_entry("xyz")), "foreign_id"),
        (_text(_entry("bkt"), _entry("bkt")), "doubled_id"),
        (_text(), "missing_id"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_is_refused_with_its_reason(
    text: str, reason: str
) -> None:
    with pytest.raises(LanguageModelBadAnswer) as raised:
        answer.read(text, ["bkt"], CODES)

    assert raised.value.reason == reason


def test_an_id_that_comes_twice_with_different_labels_is_named() -> None:
    reader = answer.Reader(["bkt", "dfg"], CODES)

    with pytest.raises(LanguageModelBadAnswer):
        list(reader.feed(_text(_entry("bkt", "A3"), _entry("dfg"), _entry("bkt", "J3"))))

    assert reader.doubled == {"bkt"}


def test_the_schema_is_within_what_strict_mode_takes() -> None:
    text = json.dumps(answer.schema(CODES))

    assert len(CODES) <= 1000  # OpenAI's bound on enum values
    assert text.count("additionalProperties") == text.count('"type": "object"')


def test_an_entry_is_short_and_the_room_for_it_not_much_longer() -> None:
    entry = json.dumps(_entry("bkt", "CB2"), separators=(",", ":"))

    assert len(entry) <= 24
    assert answer.max_tokens(8) == answer.max_tokens(0) + 8 * 16


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["items", "i", "l", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON.map(json.dumps) | st.text() | st.text().map(lambda t: '{"items":[' + t), st.data())
def test_whatever_comes_back_in_whatever_pieces_is_read_or_refused(
    text: str, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    reader = answer.Reader(["bkt"], CODES)

    try:
        for piece in (text[:cut], text[cut:]):
            list(reader.feed(piece))
        reader.finish()
    except LanguageModelBadAnswer:
        return

    assert set(reader.answers) == {"bkt"}
