"""What the workers write: claims with a lease, labels, statuses. Every write is conditional.

A row is written only while it has the status that the tier works on and the claim's own owner,
so a late or repeated delivery, a person's decision and a lease taken over all change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    or_,
    select,
    update,
    values,
)

from shared.contracts import Label, Lane, Status, Urgency
from shared.notify import notify_messages, notify_outbox
from shared.red_flags import RedFlag
from shared.tables import labels, messages, outbox


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that this process holds."""

    id: UUID
    text: str
    red_flags: tuple[RedFlag, ...]
    attempts: int  # claims so far in this tier, this one included
    received_at: datetime
    cache_key: str | None = None  # worked out after the claim


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A message of the chunk that was not claimed though it waits for this tier."""

    id: UUID
    attempts: int
    lease_owner: str | None  # None where nobody holds it


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


def claim(
    connection: Connection,
    ids: Sequence[UUID],
    *,
    status: Status,
    owner: str,
    lease_s: float,
    tried_below: int | None = None,
) -> list[Claimed]:
    """Take those of `ids` that wait in `status` and that nobody holds; counts the attempt.

    `tried_below` leaves out messages that were claimed so often before.
    """
    m = messages.c
    # One's own: the first try's commit may have gone through though its answer was lost.
    mine = m.lease_owner == owner
    free = or_(m.lease_until.is_(None), m.lease_until < func.now(), mine)
    wanted = select(m.id).where(m.id.in_(ids), m.status == status, free)
    if tried_below is not None:
        wanted = wanted.where(or_(m.attempts < tried_below, mine))
    # Locked in one order: two workers with overlapping chunks never wait for each other.
    locked = wanted.order_by(m.id).with_for_update(skip_locked=True).cte("locked")
    rows = connection.execute(
        update(messages)
        .where(m.id.in_(select(locked.c.id)))
        .values(
            lease_owner=owner,
            lease_until=func.now() + timedelta(seconds=lease_s),
            attempts=m.attempts + 1,
        )
        .returning(m.id, m.text, m.red_flags, m.attempts, m.received_at)
    )
    return [
        Claimed(
            id=row.id,
            text=row.text,
            red_flags=_red_flags(row.red_flags),
            attempts=row.attempts,
            received_at=row.received_at,
        )
        # UUIDv7: oldest first.
        for row in sorted(rows, key=lambda each: each.id)
    ]


def waiting(connection: Connection, ids: Sequence[UUID], status: Status) -> list[Waiting]:
    """Those of `ids` that still wait in `status`, least often tried first."""
    m = messages.c
    held = case((m.lease_until >= func.now(), m.lease_owner), else_=None).label("held_by")
    rows = connection.execute(
        select(m.id, m.attempts, held)
        .where(m.id.in_(ids), m.status == status)
        .order_by(m.attempts, m.id)
    )
    return [Waiting(id=r.id, attempts=r.attempts, lease_owner=r.held_by) for r in rows]


def end_leases(connection: Connection, owners: Sequence[str]) -> None:
    """Free what these owners hold: their processes are dead."""
    connection.execute(
        update(messages)
        .where(messages.c.lease_owner.in_(owners))
        .values(lease_owner=None, lease_until=None)
    )


def extend(connection: Connection, owner: str, lease_s: float) -> list[UUID]:
    """Prolong a claim's lease; returns what it still holds."""
    m = messages.c
    rows = connection.execute(
        update(messages)
        .where(m.lease_owner == owner, m.status.in_((Status.QUEUED, Status.ESCALATED)))
        .values(lease_until=func.now() + timedelta(seconds=lease_s))
        .returning(m.id)
    )
    return [row.id for row in rows]


def give_back(
    connection: Connection,
    owner: str,
    ids: Sequence[UUID],
    lane: Lane | None,
    *,
    uncounted: bool = False,
) -> None:
    """Let go of `ids` unsettled: to `lane` again at once, or, without one, to the sweeper.

    `uncounted`: this claim was no attempt, because nothing was tried.
    """
    m = messages.c
    rows = connection.execute(
        update(messages)
        .where(m.id.in_(ids), m.lease_owner == owner)
        .values(
            lease_owner=None,
            lease_until=None,
            enqueued_at=func.now(),
            attempts=func.greatest(m.attempts - 1, 0) if uncounted else m.attempts,
        )
        .returning(m.id)
    )
    if lane is not None:
        _enqueue(connection, [(row.id, lane) for row in rows])


def provisional(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[str, Urgency]]:
    """The provisional labels' primary category and urgency."""
    rows = connection.execute(
        select(messages.c.id, labels.c.categories, labels.c.urgency)
        .join(labels, labels.c.id == messages.c.provisional_label_id)
        .where(messages.c.id.in_(ids))
    )
    return {row.id: (row.categories[0], Urgency(row.urgency)) for row in rows}


def doubt(connection: Connection, id_: UUID, call_id: int, reason: str) -> None:
    """Hand a label of this call to a person, because the rest of its answer contradicted it."""
    m = messages.c
    mine = select(labels.c.id).where(labels.c.message_id == id_, labels.c.llm_call_id == call_id)
    changed = connection.execute(
        update(messages)
        .where(m.id == id_, m.status == Status.LABELLED, m.current_label_id.in_(mine))
        .values(
            status=Status.NEEDS_REVIEW.value,
            status_reason=reason,
            provisional_label_id=m.current_label_id,
            current_label_id=None,
        )
        .returning(m.id)
    ).all()
    notify_messages(connection, [row.id for row in changed])


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
    _enqueue(connection, [(each.id, each.lane) for each in outcomes if each.lane is not None])
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


def _enqueue(connection: Connection, rows: Sequence[tuple[UUID, Lane]]) -> None:
    if rows:
        connection.execute(
            insert(outbox), [{"message_id": id_, "lane": lane.value} for id_, lane in rows]
        )
        notify_outbox(connection)


def _red_flags(found: Sequence[dict[str, Any]]) -> tuple[RedFlag, ...]:
    return tuple(
        RedFlag(
            rule=str(each["rule"]),
            title=str(each["title"]),
            urgency=Urgency(each["urgency"]),
            start=int(each["start"]),
            end=int(each["end"]),
        )
        for each in found
    )
