"""Settling: labels and statuses of one chunk, in one transaction, for rows that are still ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    SmallInteger,
    Text,
    Uuid,
    case,
    cast,
    column,
    func,
    insert,
    select,
    update,
    values,
)

from shared.contracts import Label, Lane, Status, Urgency
from shared.notify import notify_messages
from shared.tables import labels, messages
from workers import exchanges
from workers.exchanges import Exchange
from workers.store import enqueue


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of one claimed message."""

    id: UUID
    status: Status
    label: Label | None = None  # provisional unless the status is labelled
    reason: str | None = None  # why it needs a person
    language: str | None = None
    lane: Lane | None = None  # the queue that it goes to next, if any
    cache_key: str | None = None  # under which equal messages find its label
    exchange: Exchange | None = None  # what the LLM was sent for it, and answered
    heard: Urgency | None = None  # what a doubted answer said: a message may rise by it


def settle(
    connection: Connection, owner: str, status: Status, outcomes: Sequence[Outcome]
) -> list[UUID]:
    """Write labels and statuses of one chunk in this transaction; returns what was written.

    Left out: rows that are no longer in `status` or no longer held by `owner`.
    """
    held = _hold(connection, owner, status, outcomes)
    outcomes = [each for each in outcomes if each.id in held]
    if not outcomes:
        return []
    label_ids = _append_labels(connection, outcomes)
    _move(connection, owner, status, [_row(each, held, label_ids) for each in outcomes])
    enqueue(connection, [(each.id, each.lane) for each in outcomes if each.lane is not None])
    exchanges.keep(connection, [(o.id, o.exchange) for o in outcomes if o.exchange is not None])
    settled = [each.id for each in outcomes]
    notify_messages(connection, settled)
    return settled


def _hold(
    connection: Connection, owner: str, status: Status, outcomes: Sequence[Outcome]
) -> dict[UUID, int]:
    """Lock the rows that may be written, until commit; their urgency by id."""
    m = messages.c
    rows = connection.execute(
        select(m.id, m.urgency_rank)
        .where(m.id.in_([o.id for o in outcomes]), m.lease_owner == owner, m.status == status)
        .order_by(m.id)
        .with_for_update()
    )
    return {row.id: row.urgency_rank for row in rows}


def _append_labels(connection: Connection, outcomes: Sequence[Outcome]) -> dict[UUID, int]:
    rows = [
        label_row(each.id, each.label, provisional=each.status is not Status.LABELLED)
        for each in outcomes
        if each.label is not None
    ]
    if not rows:
        return {}
    added = connection.execute(insert(labels).returning(labels.c.id, labels.c.message_id), rows)
    return {row.message_id: row.id for row in added}


def label_row(message_id: UUID, label: Label, *, provisional: bool) -> dict[str, Any]:
    """A label as a row of `labels`."""
    return {
        "message_id": message_id,
        "categories": list(label.categories),
        "urgency": label.urgency.value,
        "tier": label.tier.value,
        "provisional": provisional,
        "category_confidence": label.category_confidence,
        "urgency_confidence": label.urgency_confidence,
        "model_version": label.model_version,
        "prompt_version": label.prompt_version,
        "taxonomy_version": label.taxonomy_version,
        "rationale": label.rationale,
        "reasons": list(label.reasons),
        "latency_ms": label.latency_ms,
        "cost_usd": label.cost_usd,
        "llm_call_id": label.llm_call_id,
        "author": label.author,
    }


def _row(each: Outcome, held: dict[UUID, int], label_ids: dict[UUID, int]) -> tuple[Any, ...]:
    rank = each.label.urgency.rank if each.label is not None else held[each.id]
    if each.heard is not None:
        rank = min(rank, each.heard.rank)
    return (
        each.id,
        each.status.value,
        each.reason,
        each.language,
        label_ids.get(each.id),
        rank,
        each.cache_key,
    )


def _move(
    connection: Connection, owner: str, status: Status, rows: Sequence[tuple[Any, ...]]
) -> None:
    names = ("id", "status", "reason", "language", "label_id", "rank", "cache_key")
    types = (Uuid, Text, Text, Text, BigInteger, SmallInteger, Text)
    to = values(*(column(n, t) for n, t in zip(names, types, strict=True)), name="new_state").data(
        list(rows)
    )
    # Casts, because a column of VALUES that is all NULL counts as text.
    new: dict[str, ColumnElement[Any]] = {
        n: cast(to.c[n], t) for n, t in zip(names, types, strict=True)
    }
    m = messages.c
    labelled = new["status"] == Status.LABELLED.value
    final = new["status"] != Status.ESCALATED.value
    connection.execute(
        update(messages)
        .where(m.id == new["id"], m.lease_owner == owner, m.status == status)
        .values(
            status=new["status"],
            status_reason=new["reason"],
            language=func.coalesce(new["language"], m.language),
            current_label_id=case((labelled, new["label_id"]), else_=m.current_label_id),
            provisional_label_id=case(
                (labelled, m.provisional_label_id),
                else_=func.coalesce(new["label_id"], m.provisional_label_id),
            ),
            urgency_rank=new["rank"],
            cache_key=func.coalesce(new["cache_key"], m.cache_key),
            settled_at=case((final, func.coalesce(m.settled_at, func.now())), else_=m.settled_at),
            enqueued_at=case((final, m.enqueued_at), else_=func.now()),
            attempts=case((final, m.attempts), else_=0),
            lease_owner=None,
            lease_until=None,
        )
    )
