"""Every exception of the openai client becomes one of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from workers.llm_tier.errors import TABLE, retry_after_s, translate

_REQUEST = httpx2.Request("POST", "http://llm/v1/chat/completions")


def _status(
    kind: type[openai.APIStatusError], status: int, *, code: str | None = None, **headers: str
) -> openai.APIStatusError:
    response = httpx2.Response(status, headers=headers, request=_REQUEST)
    return kind("SECRET TEXT", response=response, body={"code": code} if code else None)


def _exported() -> list[type[Exception]]:
    return [
        each
        for each in (getattr(openai, name) for name in openai.__all__)
        if isinstance(each, type) and issubclass(each, openai.OpenAIError)
    ]


def test_every_exception_that_the_openai_client_exports_is_decided_on() -> None:
    undecided = {
        kind.__name__
        for kind in _exported()
        # The root's entry is for what concerns the client as a whole, not one call.
        if not any(each in TABLE for each in kind.__mro__ if each is not openai.OpenAIError)
    }

    assert len(_exported()) > 10
    assert undecided == {
        "OpenAIError",
        "WebSocketConnectionClosedError",  # of an API that is not used
        "WebSocketQueueFullError",
    }


@pytest.mark.parametrize(
    ("error", "made", "reason"),
    [
        (openai.APITimeoutError(_REQUEST), LanguageModelUnavailable, "timeout"),
        (openai.APIConnectionError(request=_REQUEST), LanguageModelUnavailable, "connection"),
        (_status(openai.RateLimitError, 429), LanguageModelUnavailable, "rate_limit"),
        (_status(openai.InternalServerError, 503), LanguageModelUnavailable, "server_error"),
        (_status(openai.AuthenticationError, 401), LanguageModelMisconfigured, "bad_key"),
        (_status(openai.NotFoundError, 404), LanguageModelMisconfigured, "model_not_found"),
        (_status(openai.BadRequestError, 400), LanguageModelRefused, "bad_request"),
        (
            _status(openai.BadRequestError, 400, code="content_filter"),
            LanguageModelRefused,
            "content_filter",
        ),
        (
            _status(openai.RateLimitError, 429, code="insufficient_quota"),
            LanguageModelMisconfigured,
            "insufficient_quota",
        ),
        (
            openai.APIResponseValidationError(
                httpx2.Response(200, request=_REQUEST), None, message="x"
            ),
            LanguageModelBadAnswer,
            "not_an_answer",
        ),
    ],
)
def test_an_openai_exception_becomes_ours_with_its_reason(
    error: Exception, made: type[LanguageModelError], reason: str
) -> None:
    ours = translate(error)

    assert type(ours) is made
    assert ours.reason == reason
    assert "SECRET" not in str(ours)


def test_retry_after_is_read_in_milliseconds_seconds_and_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    assert retry_after_s(_status(openai.RateLimitError, 429, **{"retry-after-ms": "1500"})) == 1.5
    assert retry_after_s(_status(openai.RateLimitError, 429, **{"retry-after": "7"})) == 7.0
    dated = retry_after_s(_status(openai.RateLimitError, 429, **{"retry-after": soon}))
    assert dated is not None
    assert 25 < dated <= 30
    assert retry_after_s(_status(openai.RateLimitError, 429, **{"retry-after": "soon"})) is None
    assert retry_after_s(_status(openai.RateLimitError, 429)) is None
