"""Errors of the HTTP side as `application/problem+json` (RFC 9457), all of them.

A `Problem` raised anywhere below a view becomes the answer; Werkzeug's own errors (404, 405,
413 ...) and a database that is away are answered in the same form.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from producer.validation import Refusal
from shared.errors import CarelaneError, SealedTextError, StoreOverloaded, StoreUnavailable

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_RETRY_SOON_S = 2

TITLES = {
    "bad_request": "The request cannot be read",
    "conflict": "The external_id was used before",
    "forbidden": "Not allowed",
    "internal": "The intake failed",
    "method_not_allowed": "Wrong method",
    "not_found": "Not found",
    "overloaded": "Too many messages are waiting",
    "rate_limited": "Too many messages from this source",
    "sealed": "The text cannot be opened",
    "timeout": "The body did not arrive in time",
    "too_large": "The body is too large",
    "too_many_messages": "Too many messages in one call",
    "unauthorized": "No valid API key",
    "unavailable": "The database cannot be reached now",
    "unprocessable": "No message could be taken",
    "unsupported_media_type": "Send application/json",
}
_CODE_BY_STATUS = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}


class Problem(CarelaneError):
    """An answer other than success, with what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        refusals: Sequence[Refusal] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.refusals = refusals
        self.headers = dict(headers or {})


def response_of(problem: Problem) -> Response:
    """The HTTP answer that says it."""
    body: dict[str, Any] = {
        "type": f"urn:carelane:problem:{problem.code}",
        "title": TITLES[problem.code],
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.refusals:
        body["errors"] = [asdict(refusal) for refusal in problem.refusals]
    return Response(
        json.dumps(body) + "\n",
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    code = _CODE_BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
    headers = {
        name: value
        for name, value in error.get_headers(request.environ)
        if name in ("Allow", "Retry-After")
    }
    return Problem(status, code, error.description or TITLES[code], headers=headers)


def of_store(error: StoreUnavailable) -> Problem:
    """The answer to a call that the database did not take."""
    again = {"Retry-After": str(_RETRY_SOON_S)}
    if isinstance(error, StoreOverloaded):
        detail = "the database has more to do than it can now"
        return Problem(429, "overloaded", f"{_NOT_KEPT}: {detail}. {_AGAIN}", headers=again)
    detail = "the database cannot be reached now"
    return Problem(503, "unavailable", f"{_NOT_KEPT}: {detail}. {_AGAIN}", headers=again)


def of_sealed() -> Problem:
    """The answer to who asks for a message whose text cannot be opened."""
    return Problem(
        500,
        "sealed",
        "The message is kept, but its text cannot be opened here: its key is not given, or it was "
        "changed. Asking again does not help; tell whoever runs Carelane, whose `carelane doctor` "
        "names the key.",
    )


_NOT_KEPT = "The message was not kept"
_AGAIN = "Send it again; with the same external_id that is safe."


def register(app: Flask) -> None:
    """Answer every error of `app` as a problem."""

    def on_problem(problem: Problem) -> Response:
        return response_of(problem)

    def on_http(error: HTTPException) -> Response:
        return response_of(_of_http(error))

    def on_store(error: StoreUnavailable) -> Response:
        logger.warning("database unavailable", extra={"error_text": str(error)})
        return response_of(of_store(error))

    def on_sealed(error: SealedTextError) -> Response:
        logger.error("text not opened", extra={"error_text": str(error)})
        return response_of(of_sealed())

    def on_any(error: Exception) -> Response:
        logger.error("request failed", exc_info=error)
        return response_of(
            Problem(500, "internal", "The intake failed on this request; its log says at what.")
        )

    app.register_error_handler(Problem, on_problem)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(StoreUnavailable, on_store)
    app.register_error_handler(SealedTextError, on_sealed)
    app.register_error_handler(Exception, on_any)
