"""The stream that keeps open pages up to date."""

from __future__ import annotations

import time

from flask import Blueprint, Response, request, session

from dashboard import audit
from dashboard.audit import Action
from dashboard.context import context
from dashboard.permissions import Access, asks
from dashboard.session import user, watch
from shared.database import transaction

blueprint = Blueprint("live", __name__)

#: A stream ends at least so often, and the browser comes back with a cookie that is checked again.
_LONGEST_S = 600


@blueprint.get("/live")
@asks(Access.READ_MESSAGES)
def stream() -> Response:
    """Server-sent events: changed lines, and "resync" when the page must read anew."""
    shared = context()
    settings = shared.settings
    ends = (
        session["seen_at"] + settings.session_idle_s + 1,
        session["started_at"] + settings.session_max_s + 1,
        time.time() + _LONGEST_S,
    )
    with transaction(shared.engine) as connection:
        audit.soon(connection)
        audit.record(connection, user().name, Action.WATCHED)
    # Plain header and argument: the browser sends the first when it comes back by itself.
    since = request.headers.get("Last-Event-ID") or request.args.get("since")
    return Response(
        shared.hub.stream(since, min(ends), watch(shared.engine, Access.READ_MESSAGES)),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
