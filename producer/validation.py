"""Checks what a portal sends, message by message: a pure core without input or output.

A bad message is refused by its place, field and reason; the good ones beside it go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from producer.schema import REASONS, MessageIn, Reason
from shared.errors import InvalidInput
from shared.message_text import is_blank

#: pydantic's error types in our words.
_REASON_BY_TYPE: dict[str, Reason] = {
    "extra_forbidden": "unknown_field",
    "literal_error": "not_allowed",
    "missing": "missing",
    "model_type": "not_an_object",
    "string_pattern_mismatch": "wrong_format",
    "string_too_long": "too_long",
    "string_too_short": "empty",
    "string_type": "wrong_type",
    "string_unicode": "not_utf8",
}
_SHOWN_CHARS = 80
#: A row can bring any number of foreign fields; naming a few is enough.
_REFUSALS_PER_ROW = 5


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one call may bring."""

    text_chars: int
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A message that passed every check, at its place in the call."""

    index: int
    external_id: str
    text: str
    patient_ref: str | None = None
    sender: str | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One thing that is wrong with the message at `index`."""

    index: int
    reason: Reason
    detail: str
    field: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A call's messages, sorted into good and refused."""

    drafts: tuple[Draft, ...]
    refusals: tuple[Refusal, ...]
    rows: int  # good and bad


class TooManyMessages(InvalidInput):
    """The call has more messages than one call may bring; none of them was kept."""


def parse_body(body: bytes, limits: Limits) -> Sequence[Any]:
    """The rows of a JSON body: one object, or ``{"messages": [...]}``.

    Bytes that are not UTF-8 become lone surrogates here, so that only the message that has them
    is refused later, by its place.

    Raises:
        InvalidInput: the body is not JSON of either shape.
        TooManyMessages: it has more rows than `limits` allow.
    """
    try:
        payload = json.loads(body.decode("utf-8", "surrogateescape"))
    except RecursionError as error:
        raise InvalidInput("the body is nested too deeply to be a message") from error
    except ValueError as error:
        where = f", at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        what = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        raise InvalidInput(f"the body is not JSON: {what}{where}") from error
    if not isinstance(payload, dict):
        raise InvalidInput(
            'the body must be a JSON object: one message, or {"messages": [...]} for several'
        )
    if "messages" not in payload:
        return [payload]
    return _several(payload, limits)


def _several(payload: Mapping[str, Any], limits: Limits) -> Sequence[Any]:
    others = [_shown(key) for key in payload if key != "messages"]
    if others:
        raise InvalidInput(f"beside `messages` the body has {', '.join(others[:5])}; remove it")
    rows = payload["messages"]
    if not isinstance(rows, list) or not rows:
        raise InvalidInput("`messages` must be a list with at least one message")
    if len(rows) > limits.messages:
        raise TooManyMessages(
            f"{len(rows):,} messages in one call; at most {limits.messages:,} are taken. "
            "Send them in several calls"
        )
    return rows


def check_rows(rows: Sequence[Any], limits: Limits) -> Checked:
    """Sort the rows of a call into drafts and refusals."""
    drafts: list[Draft] = []
    refusals: list[Refusal] = []
    for index, row in enumerate(rows):
        outcome = _check_row(index, row, limits)
        if isinstance(outcome, Draft):
            drafts.append(outcome)
        else:
            refusals.extend(outcome)
    return Checked(drafts=tuple(drafts), refusals=tuple(refusals), rows=len(rows))


def _check_row(index: int, row: Any, limits: Limits) -> Draft | list[Refusal]:
    nul = _fields_with_nul(row)
    if nul:
        return [_refusal(index, row, field, "nul") for field in nul]
    try:
        message = MessageIn.model_validate(row)
    except ValidationError as error:
        return [
            _refusal(index, row, _field_of(each["loc"]), _reason_of(each["type"]))
            for each in error.errors(include_url=False, include_context=False, include_input=False)[
                :_REFUSALS_PER_ROW
            ]
        ]
    if is_blank(message.text):
        return [_refusal(index, row, "text", "empty")]
    if len(message.text) > limits.text_chars:
        extra = f": {len(message.text):,} characters, at most {limits.text_chars:,} are taken"
        return [_refusal(index, row, "text", "too_long", extra)]
    return Draft(
        index=index,
        external_id=message.external_id,
        text=message.text,
        patient_ref=message.patient_ref,
        sender=message.sender,
    )


def _fields_with_nul(row: Any) -> list[str]:
    if not isinstance(row, dict):
        return []
    return [k for k, v in row.items() if isinstance(v, str) and k in _FIELDS and "\0" in v]


_FIELDS = frozenset(MessageIn.model_fields)


def _field_of(location: tuple[int | str, ...]) -> str | None:
    return _shown(location[0]) if location else None


def _reason_of(pydantic_type: str) -> Reason:
    return _REASON_BY_TYPE.get(pydantic_type, "wrong_type")


def _refusal(index: int, row: Any, field: str | None, reason: Reason, extra: str = "") -> Refusal:
    name = f"`{field}`" if field else "the message"
    return Refusal(
        index=index,
        field=field,
        reason=reason,
        detail=f"{name} {REASONS[reason]}{extra}",
        external_id=_external_id_of(row),
    )


def _external_id_of(row: Any) -> str | None:
    """The portal's id for its own search, where it can be shown; never any other content."""
    value = row.get("external_id") if isinstance(row, dict) else None
    return _shown(value) if isinstance(value, str) and value else None


def _shown(value: object) -> str:
    """Foreign text cut short and made safe for logs and JSON."""
    text = str(value).encode("utf-8", "backslashreplace").decode()
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
