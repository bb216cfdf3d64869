"""What a portal may send, and how each fault is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.validation import (
    Limits,
    TooManyMessages,
    check_rows,
    parse_body,
)
from shared.errors import InvalidInput
from shared.message_text import is_blank

LIMITS = Limits(text_chars=100, messages=10)
GOOD = {"external_id": "m-1", "text": "Please refill my lisinopril"}


def _reasons(*rows: Any) -> list[tuple[int, str | None, str]]:
    return [(r.index, r.field, r.reason) for r in check_rows(rows, LIMITS).refusals]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({**GOOD, "text": ""}, "text", "empty"),
        ({**GOOD, "text": " \n\t\u200b\ufeff"}, "text", "empty"),
        ({**GOOD, "text": "x" * 101}, "text", "too_long"),
        ({**GOOD, "text": "half \ud83d of a smiley"}, "text", "not_utf8"),
        ({**GOOD, "text": "a\0b"}, "text", "nul"),
        ({**GOOD, "text": 7}, "text", "wrong_type"),
        ({**GOOD, "text": None}, "text", "wrong_type"),
        ({**GOOD, "text": ["x"]}, "text", "wrong_type"),
        ({"external_id": "m-1"}, "text", "missing"),
        ({"text": "x"}, "external_id", "missing"),
        ({**GOOD, "external_id": ""}, "external_id", "empty"),
        ({**GOOD, "external_id": "x" * 201}, "external_id", "too_long"),
        ({**GOOD, "external_id": "a\nb"}, "external_id", "wrong_format"),
        ({**GOOD, "external_id": "a\0b"}, "external_id", "nul"),
        ({**GOOD, "external_id": 12}, "external_id", "wrong_type"),
        ({**GOOD, "sender": "dog"}, "sender", "not_allowed"),
        ({**GOOD, "urgency": "high"}, "urgency", "unknown_field"),
        ([1, 2], None, "not_an_object"),
        ("text", None, "not_an_object"),
        (None, None, "not_an_object"),
    ],
)
def test_a_bad_message_is_refused_by_field_and_reason(
    row: Any, field: str | None, reason: str
) -> None:
    assert _reasons(row) == [(0, field, reason)]


def test_the_good_messages_of_a_call_go_through_beside_the_bad_ones() -> None:
    checked = check_rows([GOOD, {**GOOD, "text": ""}, {**GOOD, "external_id": "m-2"}], LIMITS)

    assert [draft.index for draft in checked.drafts] == [0, 2]
    assert [refusal.index for refusal in checked.refusals] == [1]


def test_every_fault_of_a_message_is_named_but_not_hundreds() -> None:
    assert {reason for _, _, reason in _reasons({"text": 1, "sender": 2, "x": 3})} == {
        "missing", "wrong_type", "not_allowed", "unknown_field",
    }  # fmt: skip
    assert len(_reasons({**GOOD, **{f"field{n}": 0 for n in range(500)}})) == 5


def test_a_refusal_repeats_the_portals_id_but_never_the_text() -> None:
    secret = "I am so ashamed of my rash " * 10

    (refusal,) = check_rows([{**GOOD, "text": secret}], LIMITS).refusals

    assert refusal.external_id == "m-1"
    assert "rash" not in repr(refusal)


def test_text_is_kept_as_it_was_written() -> None:
    wild = "  \u202eright to left\u202c \r\n👩🏽‍⚕️ e\u0301 \x07 zürich  "

    (draft,) = check_rows([{**GOOD, "text": wild}], LIMITS).drafts

    assert draft.text == wild


@pytest.mark.parametrize("text", ["?", "\U0001fae9", "\U000117e8", "\ue000", "e\u0301"])
def test_anything_that_may_be_seen_is_a_message(text: str) -> None:
    assert _reasons({**GOOD, "text": text}) == []


def test_bytes_that_are_not_utf8_spoil_their_own_message_only() -> None:
    bad, good = b'{"external_id": "a", "text": "caf\xe9"}', b'{"external_id": "b", "text": "ok"}'
    body = b'{"messages": [' + bad + b", " + good + b"]}"

    checked = check_rows(parse_body(body, LIMITS), LIMITS)

    assert [(r.index, r.reason) for r in checked.refusals] == [(0, "not_utf8")]
    assert [draft.external_id for draft in checked.drafts] == ["b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"3",
        b'{"messages": []}',
        b'{"messages": {}}',
        b'{"messages": [1], "urgent": true}',
        b"[" * 100_000,
        b'{"text": ' + b"9" * 5_000 + b"}",
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_a_body_of_another_shape_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_body(body, LIMITS)


def test_more_messages_than_a_call_may_bring_are_refused_with_the_limit() -> None:
    body = json.dumps({"messages": [GOOD] * 11}).encode()

    with pytest.raises(TooManyMessages, match="at most 10"):
        parse_body(body, LIMITS)


@given(st.binary(max_size=300))
def test_no_body_makes_the_check_crash(body: bytes) -> None:
    try:
        rows = parse_body(body, LIMITS)
    except InvalidInput:
        return
    check_rows(rows, LIMITS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=120)
_ROW = st.fixed_dictionaries(
    {},
    optional={
        "external_id": _ANY_TEXT | _JSON,
        "text": _ANY_TEXT | _JSON,
        "patient_ref": _ANY_TEXT | _JSON,
        "sender": st.sampled_from(["patient", "parent", ""]) | _JSON,
        "extra": _JSON,
    },
)


@given(st.lists(_ROW | _JSON, max_size=5))
def test_each_row_is_taken_or_refused_and_what_is_taken_can_be_stored(rows: list[Any]) -> None:
    checked = check_rows(rows, LIMITS)

    taken = {draft.index for draft in checked.drafts}
    refused = {refusal.index for refusal in checked.refusals}
    assert taken | refused == set(range(len(rows)))
    assert not taken & refused
    for draft in checked.drafts:
        for stored in (draft.external_id, draft.text, draft.patient_ref or "", draft.sender or ""):
            assert "\0" not in stored
            stored.encode("utf-8")
        assert not is_blank(draft.text)
        assert len(draft.text) <= LIMITS.text_chars
    for refusal in checked.refusals:
        json.dumps(refusal.detail).encode("utf-8")
        refusal.detail.encode("utf-8")
        (refusal.external_id or "").encode("utf-8")
