"""The worklist: what is open, the most urgent first; filtered and searched by the link."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, abort, make_response, render_template, request
from sqlalchemy import RowMapping

from dashboard import audit, queries
from dashboard import session as sessions
from dashboard.audit import Action
from dashboard.context import context
from dashboard.filters import Age, Filters, Show
from dashboard.permissions import Access, asks
from dashboard.queries import MAX_LINES, PAGE_LINES, Place
from dashboard.rows import Line, line_of, utc_now
from shared.contracts import Tier, Urgency
from shared.database import transaction

blueprint = Blueprint("worklist", __name__)

_RANKS = frozenset(urgency.rank for urgency in Urgency)


@blueprint.get("/")
@asks(Access.READ_MESSAGES)
def index() -> Response:
    """The list, a page of it from the place in `after` on."""
    shared = context()
    user = sessions.user().name
    filters = Filters.from_args(request.args, shared.taxonomy)
    after = place_from(request.args.get("after"))
    limit = min(max(request.args.get("lines", PAGE_LINES, int), 1), MAX_LINES)
    # Before the query: what changes after this is in the stream, what changed before is in the
    # query's snapshot, and what is in both does no harm.
    position = shared.hub.position
    with transaction(shared.engine) as connection:
        found = queries.worklist(
            connection, filters, shared.taxonomy, user=user, after=after, limit=limit
        )
        # Which messages somebody saw the beginnings of; a search's words may name a patient.
        action = Action.SEARCHED if filters.q else Action.LISTED
        audit.soon(connection)
        audit.record(connection, user, action, **_seen(found[:limit]))
    lines = [line_of(row, shared.taxonomy) for row in found[:limit]]
    page = render_template(
        "worklist.html",
        lines=lines,
        filters=filters,
        script_filters=json.dumps(filters.for_script(user)),
        more=_more(filters, lines[-1]) if len(found) > limit else None,
        last=lines[-1] if len(found) > limit else None,
        first_page=after is None,
        position=position,
        numbers=shared.numbers.now(),
        now=utc_now(),
        Show=Show,
        Age=Age,
        Tier=Tier,
    )
    response = make_response(page)
    if request.headers.get("HX-Request") and after is None:
        # The address that the browser shows, without the form's empty fields.
        response.headers["HX-Push-Url"] = filters.link()
    return response


def _seen(rows: Sequence[RowMapping]) -> dict[str, Any]:
    seen: dict[str, Any] = {"lines": len(rows), "ids": [str(row["id"]) for row in rows]}
    return {**seen, "by_itself": True} if sessions.by_itself() else seen


def _more(filters: Filters, last: Line) -> str:
    link = filters.link()
    return f"{link}{'&' if '?' in link else '?'}after={place_text(last)}"


def place_text(line: Line) -> str:
    """A line's place in the order, for a link."""
    at = line.received_at.isoformat().replace("+00:00", "Z")
    return f"{line.rank}~{at}~{line.id}"


def place_from(value: str | None) -> Place | None:
    """The place that a link names; 400 for what is none."""
    if not value:
        return None
    try:
        rank, received_at, message_id = value.split("~")
        at = datetime.fromisoformat(received_at)
        if at.tzinfo is None:
            raise ValueError("a time without zone")
        if int(rank) not in _RANKS:
            raise ValueError("a rank of no urgency")
        return Place(rank=int(rank), received_at=at, id=UUID(message_id))
    except ValueError:
        abort(400, "This link's place in the list cannot be read. Open the worklist anew.")
