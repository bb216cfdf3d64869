"""For the supervisor and the load balancer: does the process live, can it serve."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from dashboard.context import context
from dashboard.permissions import Access, asks
from shared.database import transaction
from shared.errors import StoreError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@asks(Access.PUBLIC)
def alive() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@asks(Access.PUBLIC)
def ready() -> tuple[Response, int]:
    """Postgres answers, and the live connection listens."""
    try:
        with transaction(context().engine) as connection:
            connection.execute(text("SELECT 1 FROM messages LIMIT 1"))
    except StoreError:
        return jsonify(status="unavailable", reason="Postgres does not answer as expected"), 503
    if not context().hub.connected.is_set():
        return jsonify(status="unavailable", reason="not listening for changes yet"), 503
    return jsonify(status="ok", viewers=context().hub.viewers), 200
