"""What people decide: the routes behind keys, buttons and the change form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from flask import Blueprint, abort, current_app, flash, jsonify, redirect, request
from sqlalchemy import Connection, select
from werkzeug.wrappers import Response

from dashboard import queries, review
from dashboard import session as sessions
from dashboard.audit import Action
from dashboard.context import context
from dashboard.permissions import Access, Role, asks, may
from dashboard.review import Applied, Decision
from dashboard.rows import line_of, utc_now
from dashboard.session import safe_next
from shared.contracts import Urgency
from shared.database import transaction
from shared.errors import InvalidInput
from shared.tables import users

blueprint = Blueprint("review", __name__)

_SAID: Final[Mapping[Action, str]] = {
    Action.ACCEPTED: "Label confirmed",
    Action.CORRECTED: "Label changed",
    Action.ASSIGNED: "Assigned",
    Action.DONE: "Marked done",
    Action.REOPENED: "Opened again",
}


@blueprint.post("/messages/decide")
@asks(Access.WORK_MESSAGES)
def decide() -> Response:
    """One decision for one or many messages: `ids`, `action` and what the action needs."""
    shared = context()
    actor = sessions.user().name
    with transaction(shared.engine) as connection:
        try:
            decision = _decision(connection, actor)
            applied = review.apply(connection, actor, _ids(), decision, shared.taxonomy)
        except InvalidInput as problem:
            abort(400, str(problem))
    said = _said(_SAID[decision.action], applied)
    if decision.action is Action.ASSIGNED and decision.assignee is None:
        said = _said("No longer assigned", applied)
    return _answer(applied, said)


@blueprint.post("/messages/undo")
@asks(Access.WORK_MESSAGES)
def undo() -> Response:
    """Put back what one's last decision changed."""
    with transaction(context().engine) as connection:
        try:
            applied = review.undo(connection, sessions.user().name, request.form.get("token", ""))
        except InvalidInput as problem:
            abort(400, str(problem))
    return _answer(applied, _said("Undone", applied))


@blueprint.get("/staff")
@asks(Access.WORK_MESSAGES)
def staff() -> Response:
    """Who can be given messages; asked for when somebody gives one."""
    with transaction(context().engine) as connection:
        return jsonify(names=list(queries.staff(connection)))


def _ids() -> list[UUID]:
    try:
        return [UUID(each) for each in dict.fromkeys(request.form.getlist("ids"))]
    except ValueError:
        raise InvalidInput("One of these is no message.") from None


def _decision(connection: Connection, actor: str) -> Decision:
    form = request.form
    try:
        action = Action(form.get("action", ""))
    except ValueError:
        raise InvalidInput("There is no such action.") from None
    if action not in _SAID:
        raise InvalidInput("There is no such action.")
    if action is Action.ASSIGNED:
        return Decision(action=action, assignee=_assignee(connection, form.get("to"), actor))
    if action is not Action.CORRECTED:
        return Decision(action=action, reason=form.get("reason"))
    categories = tuple(dict.fromkeys(filter(None, form.getlist("category"))))
    try:
        urgency = Urgency(form["urgency"]) if form.get("urgency") else None
    except ValueError:
        raise InvalidInput("There is no such urgency.") from None
    pool = form.get("pool")
    if pool == "keep":  # the form's first choice, as against "", the category's own
        pool = None
    if not categories and urgency is None and pool is None:
        raise InvalidInput("Choose what to change: a category, an urgency or a pool.")
    return Decision(
        action=action,
        categories=categories or None,
        urgency=urgency,
        pool=pool,
        reason=form.get("reason"),
    )


def _assignee(connection: Connection, to: str | None, actor: str) -> str | None:
    if to == "nobody":
        return None
    if to in (None, "", "me", actor):
        return actor
    role = connection.execute(
        select(users.c.role).where(users.c.name == to, users.c.disabled_at.is_(None))
    ).scalar_one_or_none()
    if role is None or not may(Role(role), Access.WORK_MESSAGES):
        raise InvalidInput(f"{to} cannot be given messages.")
    return to


def _said(what: str, applied: Applied) -> str:
    count = len(applied.changed)
    said = f"{what}." if count == 1 else f"{what}: {count} messages."
    if applied.skipped:
        why = "; ".join(dict.fromkeys(applied.skipped.values()))
        said += f" Left as they were: {len(applied.skipped)} ({why})."
    return said


def _answer(applied: Applied, said: str) -> Response:
    """Lines as they are now for the page's script; without one, back to the page."""
    shared = context()
    if request.headers.get("Accept") != "application/json":
        flash(said, applied.undo or "")
        return redirect(safe_next(request.form.get("next", "/")))
    position = shared.hub.position
    with transaction(shared.engine) as connection:
        found = queries.lines_by_id(connection, applied.changed)
    lines = [line_of(row, shared.taxonomy) for row in found]
    html = current_app.jinja_env.get_template("lines.html").render(lines=lines, now=utc_now())
    return jsonify(said=said, undo=applied.undo, lines=html, position=position)
