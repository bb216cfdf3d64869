"""`/metrics`: how the system stands, and what was counted, for Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response, abort, g, request

from dashboard.accounts import User
from dashboard.context import context
from dashboard.permissions import Access, asks, may
from dashboard.state_metrics import State
from shared import metrics, metrics_server

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@asks(Access.PUBLIC)  # checked here: a scraper has a token, not a session
def show() -> Response:
    """To whoever has the token, or is signed in and may see operations."""
    shared = context()
    header = request.headers.get("Authorization")
    if not metrics_server.may_read(shared.settings, header) and not _may_see():
        abort(404 if header is None else 401)
    settings = shared.settings
    depths = shared.depths if settings.broker_url is None else None
    state = State(shared.engine, depths, settings)
    state.viewers = shared.hub.viewers
    return Response(metrics.text(state), content_type=metrics_server.CONTENT_TYPE)


def _may_see() -> bool:
    who = g.get("user")
    return (
        isinstance(who, User) and not who.must_change_password and may(who.role, Access.OPERATIONS)
    )
