"""What the workers write: claims with a lease, labels, statuses. Every write is conditional.

A row is written only while it has the status that the tier works on and the claim's own owner,
so a late or repeated delivery, a person's decision and a lease taken over all change nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Row,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from shared.contracts import Lane, Status, Tier, Urgency
from shared.notify import notify_messages, notify_outbox
from shared.red_flags import RedFlag
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened
from shared.tables import label_cache, labels, messages, outbox

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that this process holds."""

    id: UUID
    text: str
    red_flags: tuple[RedFlag, ...]
    attempts: int  # claims so far in this tier, this one included; see workers.in_hand
    received_at: datetime
    waited_s: float = 0.0  # since it was enqueued
    trace_parent: str | None = None  # where its trace hangs; None: not traced
    claimed_ns: int = field(default_factory=time.time_ns)
    before: str | None = None  # the claim that had it before, and ended without a word
    cache_key: str | None = None  # worked out after the claim


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A message of the chunk that was not claimed though it waits for this tier."""

    id: UUID
    attempts: int
    lease_owner: str | None  # of the last claim; None where that was settled or given back
    held: bool  # that lease still runs


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

    `tried_below` leaves out messages that were claimed so often before. One whose text cannot be
    opened is let go of again, as if it had not been claimed: it comes back by the sweeper, for a
    worker that has the key, and in the end goes to a person.
    """
    m = messages.c
    # One's own: the first try's commit may have gone through though its answer was lost.
    mine = m.lease_owner == owner
    free = or_(m.lease_until.is_(None), m.lease_until < func.now(), mine)
    wanted = select(m.id, m.lease_owner).where(m.id.in_(ids), m.status == status, free)
    if tried_below is not None:
        wanted = wanted.where(or_(m.attempts < tried_below, mine))
    # Locked in one order: two workers with overlapping chunks never wait for each other.
    locked = wanted.order_by(m.id).with_for_update(skip_locked=True).cte("locked")
    rows = connection.execute(
        update(messages)
        .where(m.id == locked.c.id)
        .values(
            lease_owner=owner,
            lease_until=func.now() + timedelta(seconds=lease_s),
            attempts=case((mine, m.attempts), else_=m.attempts + 1),
        )
        .returning(
            m.id,
            type_coerce(m.text, TriedText(MESSAGE_TEXT)).label("text"),
            m.red_flags,
            m.attempts,
            m.trace_parent,
            # One that was run again has its time again.
            func.greatest(m.received_at, m.rerun_at).label("received_at"),
            func.extract("epoch", func.clock_timestamp() - m.enqueued_at).label("waited_s"),
            locked.c.lease_owner.label("before"),
        )
    )
    return [
        Claimed(
            id=row.id,
            text=row.text,
            red_flags=_red_flags(row.red_flags),
            attempts=row.attempts,
            received_at=row.received_at,
            waited_s=float(row.waited_s),
            trace_parent=row.trace_parent,
            before=None if row.before == owner else row.before,
        )
        # UUIDv7: oldest first.
        for row in sorted(_readable(connection, owner, rows.all()), key=lambda each: each.id)
    ]


def _readable(connection: Connection, owner: str, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The rows whose texts can be opened; lets go of the others."""
    closed = {row.id: row.text for row in rows if isinstance(row.text, Unopened)}
    if closed:
        give_back(connection, owner, sorted(closed), None, uncounted=True)
        for id_, text in closed.items():
            logger.error("text not opened", extra={"message_id": id_, "reason": str(text.error)})
    return [row for row in rows if row.id not in closed]


def waiting(connection: Connection, ids: Sequence[UUID], status: Status) -> list[Waiting]:
    """Those of `ids` that still wait in `status`: least often tried first, then longest ago.

    So one that cannot be settled, though nothing counts against it, lets the others go first.
    """
    m = messages.c
    held = func.coalesce(m.lease_until >= func.now(), false()).label("held")
    rows = connection.execute(
        select(m.id, m.attempts, m.lease_owner, held)
        .where(m.id.in_(ids), m.status == status)
        # When a claim's lease ends tells when it was last tried.
        .order_by(m.attempts, m.lease_until.nulls_first(), m.id)
    )
    return [Waiting(**row._mapping) for row in rows]  # noqa: SLF001  SQLAlchemy's public name


def end_lease(connection: Connection, owner: str, blamed: Collection[UUID] | None) -> None:
    """Free what a dead process held; only for the `blamed`, by default all, was it an attempt."""
    m = messages.c
    counted = true() if blamed is None else m.id.in_(blamed)
    connection.execute(
        update(messages)
        # The status is what the partial index knows; nothing else is ever held.
        .where(m.lease_owner == owner, m.status.in_(("queued", "escalated")))
        .values(
            lease_owner=None,
            lease_until=None,
            attempts=case((counted, m.attempts), else_=func.greatest(m.attempts - 1, 0)),
        )
    )


def uncount(connection: Connection, owner: str, ids: Sequence[UUID]) -> None:
    """Take back an attempt of rows that this claim holds: an earlier claim was none."""
    m = messages.c
    connection.execute(
        update(messages)
        .where(m.id.in_(ids), m.lease_owner == owner)
        .values(attempts=func.greatest(m.attempts - 1, 1))
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
        enqueue(connection, [(row.id, lane) for row in rows])


def provisional(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[str, Urgency]]:
    """The provisional labels' primary category and urgency."""
    rows = connection.execute(
        select(messages.c.id, labels.c.categories, labels.c.urgency)
        .join(labels, labels.c.id == messages.c.provisional_label_id)
        .where(messages.c.id.in_(ids))
    )
    return {row.id: (row.categories[0], Urgency(row.urgency)) for row in rows}


def doubt(connection: Connection, id_: UUID, call_id: int, reason: str) -> None:
    """Hand a label of this call to a person, because the rest of its answer contradicted it.

    Equal messages do not get it either: it leaves the cache, unless a person has put theirs there.
    """
    m = messages.c
    mine = select(labels.c.id).where(labels.c.message_id == id_, labels.c.llm_call_id == call_id)
    ranks = case({each.value: each.rank for each in Urgency}, value=labels.c.urgency)
    gravest = select(func.min(ranks)).where(labels.c.message_id == id_).scalar_subquery()
    changed = connection.execute(
        update(messages)
        .where(m.id == id_, m.status == Status.LABELLED, m.current_label_id.in_(mine))
        .values(
            status=Status.NEEDS_REVIEW.value,
            status_reason=reason,
            provisional_label_id=m.current_label_id,
            current_label_id=None,
            # Where it waits for a person, the gravest of all that was said counts.
            urgency_rank=func.least(m.urgency_rank, gravest),
        )
        .returning(m.id, m.cache_key)
    ).all()
    keys = [row.cache_key for row in changed if row.cache_key is not None]
    cached = label_cache.c
    connection.execute(
        delete(label_cache).where(cached.key.in_(keys), cached.tier == Tier.LLM.value)
    )
    notify_messages(connection, [row.id for row in changed])


def enqueue(connection: Connection, rows: Sequence[tuple[UUID, Lane]]) -> None:
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
