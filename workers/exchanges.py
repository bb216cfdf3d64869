"""What the LLM was sent about a message and what it answered, kept for the message's page.

Only de-identified text comes here: the same string that went into the prompt. The sweeper removes
rows after CARELANE_LLM_TEXT_DAYS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, insert

from shared.tables import llm_exchanges
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.gate import BREAKER_OPEN, OVER_BUDGET, RATE_LIMIT
from workers.llm_tier.retry import NOT_ASKED

#: The gate turned the call away, or there was no time for one: nothing was sent.
_NOT_SENT = frozenset({BREAKER_OPEN, OVER_BUDGET, RATE_LIMIT, NOT_ASKED})


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One question about one message, and what came of it."""

    purpose: Literal["label", "check", "rationale"]
    sent: str  # de-identified
    answered: str | None
    outcome: str  # ok, or the reason of a LanguageModelError
    call_id: int | None


def exchange_of(
    purpose: Literal["label", "check"], sent: str, result: Result, *, days: float
) -> Exchange | None:
    """The record of a result; None where nothing was sent or nothing may be kept."""
    if not days:
        return None
    if isinstance(result, Answered):
        return Exchange(
            purpose=purpose,
            sent=sent,
            answered=result.entry,
            outcome="ok",
            call_id=result.call_id,
        )
    if result.reason in _NOT_SENT:
        return None
    return Exchange(purpose=purpose, sent=sent, answered=None, outcome=result.reason, call_id=None)


def storable(text: str) -> str:
    """Text that Postgres takes: an LLM's JSON may hold NUL and half a surrogate pair."""
    whole = text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass")
    return whole.decode("utf-16-le", "replace")


def keep(connection: Connection, exchanges: Sequence[tuple[UUID, Exchange]]) -> None:
    """Store exchanges by message in the caller's transaction."""
    rows = [
        {
            "message_id": message_id,
            "purpose": each.purpose,
            "sent": storable(each.sent),
            "answered": None if each.answered is None else storable(each.answered),
            "outcome": each.outcome,
            "llm_call_id": each.call_id,
        }
        for message_id, each in exchanges
    ]
    if rows:
        connection.execute(insert(llm_exchanges), rows)
