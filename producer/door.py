"""What every view of the intake goes through: the parts made in `create_app`, keys, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, cast

from flask import Flask, current_app, request
from sqlalchemy import Engine

from producer import keys
from producer.intake import Intake, Result
from producer.limits import Backlog, Rates
from producer.problems import Problem
from producer.validation import Checked, Limits
from shared import tracing
from shared.database import transaction
from shared.settings import Settings
from shared.taxonomy import Taxonomy

_EXTENSION = "carelane_door"
_BACKLOG_WAIT_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Door:
    """The parts of this process."""

    settings: Settings
    engine: Engine
    intake: Intake
    taxonomy: Taxonomy
    limits: Limits
    rates: Rates
    backlog: Backlog
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


def take(source: str, checked: Checked) -> Result:
    """Take what a call brought, within the limits.

    Raises:
        Problem: 429 with a time to come back; nothing was kept.
        StoreUnavailable: nothing was kept.
    """
    door = current_door()
    with transaction(door.engine) as connection:
        full = door.backlog.is_full(connection, len(checked.drafts))
        if full and not _is_one_in_danger(checked, door.intake):
            raise _later(
                "overloaded",
                f"more than {door.settings.max_backlog:,} messages are being sorted",
                _BACKLOG_WAIT_S,
            )
        wait_s = door.rates.wait_s(connection, source, checked.rows)
    if wait_s:
        raise _later(
            "rate_limited",
            f"more than {door.settings.max_messages_per_minute:,} messages a minute from {source}",
            wait_s,
        )
    with tracing.root("intake", request.headers.get("traceparent")):
        return door.intake.take(source, checked.drafts)


def _is_one_in_danger(checked: Checked, intake: Intake) -> bool:
    """A patient's message that a red-flag rule fires on is taken however full the house is.

    Only when it comes alone, as live messages do: most bulk calls have a flag somewhere.
    """
    return len(checked.drafts) == 1 and intake.is_flagged(checked.drafts[0].text)


def _later(code: str, why: str, wait_s: float) -> Problem:
    seconds = max(1, math.ceil(wait_s))
    return Problem(
        429,
        code,
        f"nothing of this call was kept: {why}. Send it again in {seconds} s",
        headers={"Retry-After": str(seconds)},
    )


def _unauthorized(detail: str) -> Problem:
    return Problem(
        401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="carelane"'}
    )
