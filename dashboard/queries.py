"""What the pages read from Postgres: one function and one round trip each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, Select, and_, func, literal, null, or_, select
from sqlalchemy.sql.elements import ColumnElement

from dashboard.rows import EXCERPT_CHARS
from shared.contracts import PROCESSING, Status
from shared.tables import audit_log, labels, llm_calls, messages

PAGE_LINES = 50


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in the order of the worklist: keyset paging starts after it."""

    rank: int
    received_at: datetime
    id: UUID


def _lines() -> Select[Any]:
    """The columns of a line; the label is the current one, else the provisional one."""
    shown = func.coalesce(messages.c.current_label_id, messages.c.provisional_label_id)
    return select(
        messages.c.id,
        messages.c.received_at,
        messages.c.status,
        messages.c.status_reason,
        messages.c.urgency_rank,
        messages.c.red_flags,
        messages.c.patient_ref,
        messages.c.sender,
        messages.c.first_read_at,
        messages.c.reviewed_at,
        func.left(messages.c.text, EXCERPT_CHARS).label("excerpt"),
        messages.c.current_label_id.is_not(None).label("final"),
        labels.c.categories,
        labels.c.urgency,
        labels.c.tier,
        labels.c.category_confidence,
        null().label("pool"),
        null().label("assignee"),
    ).select_from(messages.outerjoin(labels, labels.c.id == shown))


def worklist(
    connection: Connection, *, after: Place | None = None, limit: int = PAGE_LINES
) -> Sequence[RowMapping]:
    """Open messages by urgency, then age; one more than `limit` when there are more."""
    statement = _lines().where(messages.c.status != Status.DONE.value)
    if after is not None:
        statement = statement.where(_is_after(after))
    statement = statement.order_by(
        messages.c.urgency_rank, messages.c.received_at, messages.c.id
    ).limit(limit + 1)
    return connection.execute(statement).mappings().all()


def _is_after(place: Place) -> ColumnElement[bool]:
    return or_(
        messages.c.urgency_rank > place.rank,
        and_(
            messages.c.urgency_rank == place.rank,
            or_(
                messages.c.received_at > place.received_at,
                and_(messages.c.received_at == place.received_at, messages.c.id > place.id),
            ),
        ),
    )


def lines_by_id(connection: Connection, ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """The lines of these messages, in no order."""
    return connection.execute(_lines().where(messages.c.id.in_(ids))).mappings().all()


def counts(connection: Connection) -> RowMapping:
    """How many are open, processing, in need of a person, and by urgency."""
    processing = messages.c.status.in_([status.value for status in PROCESSING])
    is_open = messages.c.status != Status.DONE.value
    statement = select(
        func.count().label("open"),
        func.count().filter(processing).label("processing"),
        func.count().filter(messages.c.status == Status.NEEDS_REVIEW.value).label("needs_review"),
        func.count().filter(messages.c.urgency_rank == literal(0)).label("emergent"),
        func.count().filter(messages.c.urgency_rank == literal(1)).label("urgent"),
    ).where(is_open)
    return connection.execute(statement).mappings().one()


def message(connection: Connection, message_id: UUID) -> RowMapping | None:
    """Everything on the page of one message but its history."""
    statement = _lines().add_columns(
        messages.c.text,
        messages.c.source,
        messages.c.external_id,
        messages.c.language,
        messages.c.attempts,
        messages.c.settled_at,
        messages.c.current_label_id,
    )
    return connection.execute(statement.where(messages.c.id == message_id)).mappings().one_or_none()


def label_history(connection: Connection, message_id: UUID) -> Sequence[RowMapping]:
    """Every label that the message had, newest first, with its call to the LLM if any."""
    statement = (
        select(
            labels,
            llm_calls.c.model.label("llm_model"),
            llm_calls.c.simulated,
            llm_calls.c.messages.label("llm_messages"),
        )
        .select_from(labels.outerjoin(llm_calls, llm_calls.c.id == labels.c.llm_call_id))
        .where(labels.c.message_id == message_id)
        .order_by(labels.c.id.desc())
    )
    return connection.execute(statement).mappings().all()


def message_audit(connection: Connection, message_id: UUID) -> Sequence[RowMapping]:
    """Who read or changed the message, newest first."""
    statement = (
        select(audit_log)
        .where(audit_log.c.message_id == message_id)
        .order_by(audit_log.c.id.desc())
        .limit(100)
    )
    return connection.execute(statement).mappings().all()
