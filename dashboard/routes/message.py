"""The page of one message: its text, its labels, who read it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, render_template
from sqlalchemy import Connection, func, update

from dashboard import audit, queries
from dashboard import session as sessions
from dashboard.audit import Action
from dashboard.context import context
from dashboard.exchanges import exchange_of
from dashboard.permissions import Access, asks, may
from dashboard.rows import line_of, utc_now
from dashboard.text_view import pieces
from shared.database import transaction
from shared.notify import notify_messages
from shared.tables import messages

blueprint = Blueprint("message", __name__)


@blueprint.get("/messages/<uuid:message_id>")
@asks(Access.READ_MESSAGES)
def show(message_id: UUID) -> str:
    """The message; that it was read is kept and audited."""
    shared = context()
    user = sessions.user()
    position = shared.hub.position  # before the query: see worklist.index
    with transaction(shared.engine) as connection:
        found = queries.message(connection, message_id)
        if found is None:
            abort(404)
        if may(user.role, Access.WORK_MESSAGES):
            _mark_read(connection, message_id)
        audit.record(connection, user.name, Action.MESSAGE_READ, message_id)
        history = queries.label_history(connection, message_id)
        exchanges = queries.exchanges(connection, message_id)
        log = queries.message_audit(connection, message_id)
        others = (
            queries.same_patient(connection, found["patient_ref"], message_id)
            if found["patient_ref"]
            else []
        )
        staff = queries.staff(connection)
    line = line_of(found, shared.taxonomy)
    return render_template(
        "message.html",
        line=line,
        message=found,
        pieces=pieces(found["text"], line.flags),
        history=history,
        exchanges=[exchange_of(row, shared.taxonomy) for row in exchanges],
        text_days=shared.settings.llm_text_days,
        log=log,
        others=[line_of(row, shared.taxonomy) for row in others],
        staff=staff,
        now=utc_now(),
        position=position,
    )


def _mark_read(connection: Connection, message_id: UUID) -> None:
    """Keep the time of the first reading, and take "unread" off every open list."""
    first = connection.execute(
        update(messages)
        .where(messages.c.id == message_id, messages.c.first_read_at.is_(None))
        .values(first_read_at=func.now())
        .returning(messages.c.id)
    ).first()
    if first:
        notify_messages(connection, [message_id])
