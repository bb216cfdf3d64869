"""What every view of the intake needs, made once in `create_app`, and the check of API keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy import Engine

from producer import keys
from producer.intake import Intake
from producer.problems import Problem
from producer.validation import Limits
from shared.database import transaction
from shared.settings import Settings
from shared.taxonomy import Taxonomy

_EXTENSION = "carelane_door"


@dataclass(frozen=True, kw_only=True)
class Door:
    """The parts of this process."""

    settings: Settings
    engine: Engine
    intake: Intake
    taxonomy: Taxonomy
    limits: Limits
    hmac_key: str


def install(app: Flask, door: Door) -> None:
    """Give `app` its parts."""
    app.extensions[_EXTENSION] = door


def door_of(app: Flask) -> Door:
    """The parts of `app`."""
    return cast("Door", app.extensions[_EXTENSION])


def current_door() -> Door:
    """The parts of the app that serves this request."""
    return door_of(current_app)


def require_source() -> str:
    """The source that this request's API key belongs to.

    Raises:
        Problem: 401 without a valid key.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _unauthorized("send your API key in the header `Authorization: Bearer <key>`")
    door = current_door()
    with transaction(door.engine) as connection:
        source = keys.source_of(connection, key.strip(), door.hmac_key)
    if source is None:
        raise _unauthorized("this API key is unknown or revoked; ask for a new one")
    return source


def _unauthorized(detail: str) -> Problem:
    return Problem(
        401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="carelane"'}
    )
