"""The page of one message: its text, its labels, who read it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, url_for
from sqlalchemy import Connection, RowMapping, func, update
from werkzeug.wrappers import Response as WerkzeugResponse

from dashboard import audit, counting, explanations, queries
from dashboard import session as sessions
from dashboard.audit import Action
from dashboard.context import context
from dashboard.exchanges import exchange_of
from dashboard.explanations import Standing
from dashboard.permissions import Access, asks, may
from dashboard.rows import line_of, utc_now
from dashboard.text_view import pieces
from shared.contracts import Explain
from shared.database import transaction
from shared.notify import notify_messages
from shared.sealed_columns import Unopened
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
            _mark_read(connection, message_id, found)
        seen = {"by_itself": True} if sessions.by_itself() else {}
        audit.record(connection, user.name, Action.MESSAGE_READ, message_id, **seen)
        history = queries.label_history(connection, message_id)
        if not sessions.by_itself():
            _ask_for_words(connection, message_id, history, user.name)
        explained = explanations.read(connection, message_id)
        exchanges = queries.exchanges(connection, message_id)
        log = queries.message_audit(connection, message_id)
        others = (
            queries.same_patient(connection, found["patient_ref"], message_id)
            if found["patient_ref"]
            else []
        )
        staff = queries.staff(connection)
    line = line_of(found, shared.taxonomy)
    closed = isinstance(found["text"], Unopened)
    words = explained.get(Explain.WORDS)
    if closed and words is not None and words.standing is Standing.READY:
        words = None  # they are places in a text that is not shown
    carried = explanations.carried(words)
    return render_template(
        "message.html",
        line=line,
        message=found,
        pieces=pieces(found["text"], () if closed else line.flags, carried),
        carried={each.of for each in carried},
        words=words,
        rationale=explained.get(Explain.RATIONALE),
        waiting=any(each.standing is Standing.WAITING for each in explained.values()),
        history=history,
        exchanges=[exchange_of(row, shared.taxonomy) for row in exchanges],
        text_days=shared.settings.llm_text_days,
        log=log,
        others=[line_of(row, shared.taxonomy) for row in others],
        staff=staff,
        now=utc_now(),
        position=position,
    )


@blueprint.get("/messages/<uuid:message_id>/explanations")
@asks(Access.READ_MESSAGES)
def explained(message_id: UUID) -> Response:
    """Whether an explanation is still under way; the open page asks, and then reads itself anew."""
    with transaction(context().engine) as connection:
        found = explanations.read(connection, message_id)
    return jsonify(waiting=any(each.standing is Standing.WAITING for each in found.values()))


@blueprint.post("/messages/<uuid:message_id>/why")
@asks(Access.WORK_MESSAGES)
def ask_why(message_id: UUID) -> WerkzeugResponse:
    """Have the LLM asked why the label fits; a call that costs, so only when somebody wants it."""
    with transaction(context().engine) as connection:
        found = queries.message(connection, message_id)
        if found is None:
            abort(404)
        label_id = found["current_label_id"] or found["provisional_label_id"]
        if label_id is None:
            abort(400, "There is no label yet that could be explained.")
        user = sessions.user().name
        explanations.ask(connection, message_id, label_id, Explain.RATIONALE, user)
        audit.record(connection, user, Action.WHY_ASKED, message_id)
    return redirect(url_for("message.show", message_id=message_id, _anchor="why"))


def _ask_for_words(
    connection: Connection, message_id: UUID, history: Sequence[RowMapping], user: str
) -> None:
    """Have a fast worker find the words, if the fast tier said anything."""
    label = explanations.fast_label(history)
    if label is not None:
        explanations.ask(connection, message_id, label["id"], Explain.WORDS, user)


def _mark_read(connection: Connection, message_id: UUID, found: RowMapping) -> None:
    """Keep the time of the first reading, and take "unread" off every open list."""
    first = (
        connection.execute(
            update(messages)
            .where(messages.c.id == message_id, messages.c.first_read_at.is_(None))
            .values(first_read_at=func.now())
            .returning(messages.c.received_at, messages.c.first_read_at)
        )
        .mappings()
        .first()
    )
    if first:
        counting.first_read(found, first)
        notify_messages(connection, [message_id])
