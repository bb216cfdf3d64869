"""The audit log, newest first, for leads and auditors."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, abort, render_template, request

from dashboard import queries
from dashboard.context import context
from dashboard.permissions import Access, asks
from shared.database import transaction

blueprint = Blueprint("audit", __name__)

_PAGE = 100
_MAX_DIGITS = 18  # always fits the column


@blueprint.get("/audit")
@asks(Access.AUDIT)
def index() -> str:
    """Who read and changed what; by person, action or message."""
    before = _entry_id(request.args.get("before", ""))
    # Postgres stores no NUL, so nothing of that name is there.
    who = request.args.get("who", "").replace("\0", " ").strip().lower()
    action = request.args.get("action", "").replace("\0", " ")
    message_id = _message_id(request.args.get("message", "").strip())
    with transaction(context().engine) as connection:
        found = queries.audit_entries(
            connection,
            before=before,
            actor=who or None,
            action=action or None,
            message_id=message_id,
            limit=_PAGE,
        )
    return render_template(
        "audit.html",
        entries=found[:_PAGE],
        more=found[_PAGE - 1]["id"] if len(found) > _PAGE else None,
        who=who,
        action=action,
        message=message_id or "",
    )


def _entry_id(value: str) -> int | None:
    fits = value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
    if value and not fits:
        abort(400, "This link's place in the log cannot be read. Open the audit log anew.")
    return int(value) if value else None


def _message_id(value: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        abort(400, "That is no message's id. It is the last part of the message page's address.")
