"""The JSON API that portals call: hand messages in, ask how one stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from producer import patient_texts, store
from producer.door import current_door, require_source, take
from producer.intake import Result
from producer.limits import deadline
from producer.problems import Problem
from producer.validation import Refusal, TooManyMessages, check_rows, parse_body
from shared.contracts import PROCESSING
from shared.database import transaction
from shared.errors import InvalidInput, TaxonomyError
from shared.settings import Settings
from shared.taxonomy import Taxonomy

api = Blueprint("api", __name__)


@api.post("/v1/messages")
def take_messages() -> Response:
    """Keep the good messages of the call; say of each what became of it."""
    source = require_source()  # before the body is read: strangers cost nothing
    door = current_door()
    try:
        rows = parse_body(_json_body(), door.limits)
    except TooManyMessages as error:
        raise Problem(413, "too_many_messages", str(error)) from error
    except InvalidInput as error:
        raise Problem(400, "bad_request", str(error)) from error
    checked = check_rows(rows, door.limits)
    result = take(source, checked)
    refusals = sorted((*checked.refusals, *result.conflicts), key=lambda each: each.index)
    if not result.kept:
        raise _nothing_taken(refusals)
    return _json(_reply(result, refusals), 202 if any(kept.new for kept in result.kept) else 200)


def _json_body() -> bytes:
    if request.mimetype != "application/json":
        raise Problem(
            415,
            "unsupported_media_type",
            f"the body came as {request.mimetype or 'no type at all'}; "
            "send it as Content-Type: application/json",
        )
    return read_body()


def read_body() -> bytes:
    """The body, within the limits of size and time.

    Raises:
        Problem: 408 when it did not arrive in time, 413 when it is too large.
    """
    settings = current_door().settings
    try:
        with deadline(request.environ.get("gunicorn.socket"), settings.body_timeout_s) as late:
            body = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        detail = (
            f"the body is larger than {settings.max_body_bytes:,} bytes; "
            "send the messages in several calls"
        )
        raise Problem(413, "too_large", detail) from error
    except (ClientDisconnected, OSError) as error:
        raise _cut_short(late=late.is_set()) from error
    if late.is_set():
        raise _cut_short(late=True)
    return body


def _cut_short(*, late: bool) -> Problem:
    if not late:
        return Problem(400, "bad_request", "the body ended before its announced length")
    seconds = current_door().settings.body_timeout_s
    return Problem(
        408,
        "timeout",
        f"the body had not arrived after {seconds:g} s; nothing was kept, send it again",
        headers={"Connection": "close"},
    )


def _nothing_taken(refusals: Sequence[Refusal]) -> Problem:
    # One bad message reads as one sentence; a list of them needs the list.
    first = refusals[0]
    detail = first.detail if len({each.index for each in refusals}) == 1 else "see `errors`"
    if all(each.reason in ("conflict", "not_comparable") for each in refusals):
        return Problem(409, "conflict", detail, refusals=refusals)
    return Problem(422, "unprocessable", detail, refusals=refusals)


def _reply(result: Result, refusals: Sequence[Refusal]) -> dict[str, Any]:
    accepted = sum(kept.new for kept in result.kept)
    return {
        "accepted": accepted,
        "duplicates": len(result.kept) - accepted,
        "refused": len({each.index for each in refusals}),
        "messages": [
            {
                "index": kept.index,
                "external_id": kept.external_id,
                "id": str(kept.id),
                "outcome": "accepted" if kept.new else "duplicate",
            }
            for kept in result.kept
        ],
        "errors": [asdict(each) for each in refusals],
    }


@api.get("/v1/messages/<message_id>")
def show_message(message_id: str) -> Response:
    """How one of the caller's own messages stands."""
    source = require_source()
    door = current_door()
    unknown = Problem(404, "not_found", "you have handed in no message with this id")
    try:
        wanted = UUID(message_id)
    except ValueError:
        raise unknown from None
    with transaction(door.engine) as connection:
        standing = store.find_standing(connection, source, wanted)
    if standing is None:
        raise unknown
    return _json(describe(standing, door.taxonomy, door.settings), 200)


def describe(standing: store.Standing, taxonomy: Taxonomy, settings: Settings) -> dict[str, Any]:
    """A `StatusReply`."""
    label = None
    if standing.urgency is not None:
        label = {
            "categories": list(standing.categories),
            "urgency": standing.urgency.value,
            "provisional": standing.provisional,
        }
    return {
        "id": str(standing.id),
        "external_id": standing.external_id,
        "received_at": standing.received_at.isoformat(),
        "status": standing.status.value,
        "processing": standing.status in PROCESSING,
        "patient_text": patient_texts.status_text(standing.status),
        "emergency_text": patient_texts.emergency_text(
            standing.status,
            standing.urgency_rank,
            flagged=standing.flagged,
            emergency_number=settings.emergency_number,
        ),
        "pool": _pool(standing, taxonomy),
        "label": label,
    }


def pool_name(standing: store.Standing, taxonomy: Taxonomy) -> str | None:
    """The pool that the message went to, once that is settled."""
    if standing.urgency is None or standing.provisional:
        return None
    if standing.pool is not None:
        return standing.pool
    try:
        return taxonomy.category(standing.categories[0]).pool
    except TaxonomyError:  # a label from before the organisation changed its taxonomy
        return None


def _pool(standing: store.Standing, taxonomy: Taxonomy) -> dict[str, str] | None:
    name = pool_name(standing, taxonomy)
    if name is None:
        return None
    return {"name": name, "title": next((p.title for p in taxonomy.pools if p.name == name), name)}


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body) + "\n", status=status, content_type="application/json")
