"""`speculations`: which worker has begun the LLM's call for a message that is not its turn yet.

A fence keeps the delivery that the escalation sends from paying for the same message again. It runs
out by itself, and is set once: a message whose speculation killed its process gets no second one.
There is no foreign key on purpose: its lock would make the fast tier's claim skip the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, delete, exists, func, literal, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from shared.contracts import Order, Status, Tier
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened
from shared.tables import messages, speculations, worker_orders

#: By then the message has long been settled or given up.
_FORGET_AFTER: Final = timedelta(days=1)


def take(connection: Connection, ids: Sequence[UUID], owner: str, for_s: float) -> dict[UUID, str]:
    """Fence those of `ids` that are red-flagged and still the fast tier's; returns their texts."""
    m, s, o = messages.c, speculations.c, worker_orders.c
    connection.execute(delete(speculations).where(s.until < func.now() - _FORGET_AFTER))
    eligible = select(m.id, literal(owner), func.now() + timedelta(seconds=for_s))
    eligible = eligible.where(
        m.id.in_(ids), m.status == Status.QUEUED, m.red_flags != type_coerce([], JSONB)
    )
    # A paused fast tier decides nothing in time. In order, or two deliveries wait for each other.
    paused = exists().where(o.target == Tier.FAST, o.wanted == Order.PAUSED)
    eligible = eligible.where(~paused).order_by(m.id)
    taken = connection.execute(
        insert(speculations)
        .from_select(["message_id", "owner", "until"], eligible)
        .on_conflict_do_nothing(index_elements=[s.message_id])
        .returning(s.message_id)
    )
    found = connection.execute(
        select(m.id, type_coerce(m.text, TriedText(MESSAGE_TEXT)).label("text"))
        .where(m.id.in_([row.message_id for row in taken]))
        .order_by(m.id)
    )
    texts = {row.id: row.text for row in found}
    closed = [id_ for id_, shown in texts.items() if isinstance(shown, Unopened)]
    # A worker that has the key may ask ahead in its place.
    remove(connection, owner, closed)
    return {id_: shown for id_, shown in texts.items() if id_ not in closed}


def standing(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Those of `ids` behind a fence that stands, with its owner."""
    s = speculations.c
    rows = connection.execute(
        select(s.message_id, s.owner).where(s.message_id.in_(ids), s.until > func.now())
    )
    return {row.message_id: row.owner for row in rows}


def extend(connection: Connection, owner: str, for_s: float) -> list[UUID]:
    """Prolong this owner's fences; returns what they are around."""
    s = speculations.c
    rows = connection.execute(
        update(speculations)
        .where(s.owner == owner)
        .values(until=func.now() + timedelta(seconds=for_s))
        .returning(s.message_id)
    )
    return [row.message_id for row in rows]


def remove(connection: Connection, owner: str, ids: Sequence[UUID]) -> None:
    """Take away this owner's fences."""
    if not ids:
        return
    s = speculations.c
    connection.execute(delete(speculations).where(s.owner == owner, s.message_id.in_(ids)))


def statuses(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, Status]:
    """Where the messages stand; those that are gone are left out."""
    m = messages.c
    rows = connection.execute(select(m.id, m.status).where(m.id.in_(ids)))
    return {row.id: Status(row.status) for row in rows}
