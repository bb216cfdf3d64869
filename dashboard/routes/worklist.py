"""The worklist: what is open, the most urgent first."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import Blueprint, abort, render_template, request

from dashboard import queries
from dashboard.context import context
from dashboard.permissions import Access, asks
from dashboard.queries import PAGE_LINES, Place
from dashboard.rows import Line, line_of, utc_now
from shared.database import transaction

blueprint = Blueprint("worklist", __name__)


@blueprint.get("/")
@asks(Access.READ_MESSAGES)
def index() -> str:
    """The list, a page of it from the place in `after` on."""
    shared = context()
    after = place_from(request.args.get("after"))
    # Before the query: what changes after this is in the stream, what changed before is in the
    # query's snapshot, and what is in both does no harm.
    position = shared.hub.position
    with transaction(shared.engine) as connection:
        found = queries.worklist(connection, after=after)
        counts = queries.counts(connection)
    lines = [line_of(row, shared.taxonomy) for row in found[:PAGE_LINES]]
    more = place_text(lines[-1]) if len(found) > PAGE_LINES else None
    return render_template(
        "worklist.html",
        lines=lines,
        counts=counts,
        more=more,
        first_page=after is None,
        position=position,
        now=utc_now(),
    )


def place_text(line: Line) -> str:
    """A line's place in the order, for a link."""
    return f"{line.rank}~{line.received_at.isoformat()}~{line.id}"


def place_from(value: str | None) -> Place | None:
    """The place that a link names; 400 for what is none."""
    if not value:
        return None
    try:
        rank, received_at, message_id = value.split("~")
        at = datetime.fromisoformat(received_at)
        if at.tzinfo is None:
            raise ValueError("a time without zone")
        return Place(rank=int(rank), received_at=at, id=UUID(message_id))
    except ValueError:
        abort(400, "This link's place in the list cannot be read. Open the worklist anew.")
