"""Explanations on the message's page: asking for them, and reading what workers answered.

The dashboard knows no model. It puts a question into `explanations` and a worker answers it there;
while no worker runs that could, nothing is asked and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping, and_, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from dashboard.text_view import Carried
from shared.contracts import CHANNEL_EXPLANATIONS, EXPLAIN_WITHIN_S, Explain, Tier
from shared.sealed_columns import open_answer
from shared.tables import explanations, workers

#: Which workers answer a kind of question.
_LANES: Final = {Explain.WORDS: "fast", Explain.RATIONALE: "llm"}
_ALIVE_WITHIN: Final = timedelta(seconds=30)
#: What nobody could answer because no such worker runs.
NOBODY: Final = "nobody_to_ask"
#: A word is said to carry a decision when without it the decision's log-odds fall by so much (from
#: 90 to 87 %, or from 99 to 98.7 %), and by half as much as without the weightiest one.
_LEAST_WEIGHT: Final = 0.25
_OF_THE_MOST: Final = 0.5


class Standing(StrEnum):
    """Where a question stands."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is known of one kind of explanation of one message."""

    standing: Standing
    reason: str | None  # why there is none: a code for words.explain_words
    result: Mapping[str, Any]
    label_id: int
    model_version: str | None
    asked_by: str


def read(connection: Connection, message_id: UUID) -> dict[Explain, Found]:
    """What was asked about a message, by kind."""
    rows = connection.execute(
        select(explanations, func.now().label("now")).where(explanations.c.message_id == message_id)
    ).mappings()
    return {
        Explain(row["kind"]): _found(row, open_answer(connection, row["result"] or {}))
        for row in rows
    }


def _found(row: RowMapping, result: Mapping[str, Any]) -> Found:
    asked_at: datetime = row["asked_at"]
    late = row["now"] - asked_at > timedelta(seconds=EXPLAIN_WITHIN_S)
    if row["outcome"] == "ok":
        standing = Standing.READY
    elif row["outcome"] is None and not late:
        standing = Standing.WAITING
    else:
        standing = Standing.FAILED
    return Found(
        standing=standing,
        reason=row["outcome"] or ("no_answer" if late else None),
        result=result,
        label_id=row["label_id"],
        model_version=row["model_version"],
        asked_by=row["asked_by"],
    )


def ask(
    connection: Connection, message_id: UUID, label_id: int, kind: Explain, asked_by: str
) -> None:
    """Ask, unless an answer for this label is there or under way."""
    e = explanations.c
    reason = None if _somebody_answers(connection, kind) else NOBODY
    values = {
        "message_id": message_id,
        "kind": kind.value,
        "label_id": label_id,
        "asked_by": asked_by,
        "outcome": reason,
    }
    anew = {
        "label_id": label_id,
        "asked_by": asked_by,
        "asked_at": func.now(),
        "claimed_until": None,
        "answered_at": None,
        "outcome": reason,
        "model_version": None,
        "result": None,
    }
    late = e.asked_at < func.now() - timedelta(seconds=EXPLAIN_WITHIN_S)
    over = or_(e.label_id != label_id, e.outcome != "ok", and_(e.outcome.is_(None), late))
    statement = (
        insert(explanations)
        .values(values)
        .on_conflict_do_update(index_elements=[e.message_id, e.kind], set_=anew, where=over)
        .returning(e.id)
    )
    if connection.execute(statement).first() and reason is None:
        connection.execute(
            text("SELECT pg_notify(:channel, :kind)"),
            {"channel": CHANNEL_EXPLANATIONS, "kind": kind.value},
        )


def _somebody_answers(connection: Connection, kind: Explain) -> bool:
    alive = select(workers.c.id).where(
        workers.c.lane == _LANES[kind], workers.c.heartbeat_at > func.now() - _ALIVE_WITHIN
    )
    return connection.execute(alive.limit(1)).first() is not None


def fast_label(history: Sequence[RowMapping]) -> RowMapping | None:
    """The fast tier's newest label, whose words can be asked for."""
    return next((label for label in history if label["tier"] == Tier.FAST), None)


def carried(found: Found | None) -> tuple[Carried, ...]:
    """The places in the text that carried the decision, few enough to see at a glance."""
    if found is None or found.standing is not Standing.READY:
        return ()
    rows = [row for row in found.result.get("words", ()) if len(row) == 4]
    marks = [*_weighty(rows, 2, "category"), *_weighty(rows, 3, "urgency")]
    return tuple(sorted(marks, key=lambda mark: (mark.start, mark.of)))


def _weighty(rows: Sequence[Sequence[float]], column: int, of: str) -> list[Carried]:
    """Words of enough weight; neighbours become one mark."""
    most = max((row[column] for row in rows), default=0.0)
    least = max(_LEAST_WEIGHT, most * _OF_THE_MOST)
    found: list[Carried] = []
    goes_on = False
    for row in rows:
        if row[column] < least:
            goes_on = False
            continue
        mark = Carried(start=int(row[0]), end=int(row[1]), of=of)
        if goes_on:
            mark = replace(mark, start=found.pop().start)
        found.append(mark)
        goes_on = True
    return found
