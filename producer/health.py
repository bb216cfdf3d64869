"""Health for load balancers and supervisors."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from producer.door import current_door
from producer.problems import Problem
from shared.database import transaction
from shared.schema import is_current

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthy() -> Response:
    """The process answers; says nothing about anything behind it."""
    return jsonify(status="ok")


@health.get("/readyz")
def ready() -> Response:
    """Messages can be taken: the database answers and has the schema that this code expects."""
    engine = current_door().engine
    with transaction(engine):  # a database that is away is answered with 503 and Retry-After
        pass
    if not is_current(engine):
        raise Problem(
            503,
            "unavailable",
            "the database's schema is not the one this version expects; "
            "run `carelane database upgrade`",
            headers={"Retry-After": "10"},
        )
    return jsonify(status="ok")
