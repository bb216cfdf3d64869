"""What lies in the intake queue is read letter by letter, whatever it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from producer.intake_queue import Letter, read
from producer.validation import Limits

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

LIMITS = Limits(text_chars=100, messages=10)


def _read(body: str) -> Letter:
    message: MessageTypeDef = {"MessageId": "m", "ReceiptHandle": "r", "Body": body}
    return read(message, LIMITS)


def test_one_message_or_several_are_read_as_over_http() -> None:
    one = {"external_id": "a", "text": "hello"}

    assert [draft.external_id for draft in _read(json.dumps(one)).drafts] == ["a"]
    several = _read(json.dumps({"messages": [one, {**one, "external_id": "b"}]}))
    assert [draft.external_id for draft in several.drafts] == ["a", "b"]
    assert several.reasons == ()


def test_the_good_messages_of_a_letter_are_kept_beside_the_reasons_for_the_bad() -> None:
    body = {"messages": [{"external_id": "a", "text": "ok"}, {"external_id": "b", "text": ""}]}

    letter = _read(json.dumps(body))

    assert [draft.external_id for draft in letter.drafts] == ["a"]
    assert letter.reasons == ("message 1: `text` has nothing to read in it [empty]",)


@given(st.text(max_size=200))
def test_no_body_makes_the_reader_crash(body: str) -> None:
    letter = _read(body)

    assert letter.body == body
    assert letter.drafts or letter.reasons
    for reason in letter.reasons:
        # SQS takes printable characters only in an attribute.
        assert reason.isprintable()
