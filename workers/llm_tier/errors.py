"""From the openai client's exceptions to ours. A test holds the table to every class it has.

Retried are the named, transient ones only: limits, time-outs, connections, the server's own
errors. What concerns this message alone (filter, refusal, bad answer) is settled for it; what
concerns every message (key, model name, address) is for a person to mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import openai

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)

#: Exception class → our class and reason. The nearest ancestor counts.
TABLE: Final[Mapping[type[Exception], tuple[type[LanguageModelError], str]]] = {
    openai.APITimeoutError: (LanguageModelUnavailable, "timeout"),
    openai.APIConnectionError: (LanguageModelUnavailable, "connection"),
    openai.RateLimitError: (LanguageModelUnavailable, "rate_limit"),
    openai.InternalServerError: (LanguageModelUnavailable, "server_error"),
    openai.ConflictError: (LanguageModelUnavailable, "conflict"),
    openai.AuthenticationError: (LanguageModelMisconfigured, "bad_key"),
    openai.PermissionDeniedError: (LanguageModelMisconfigured, "forbidden"),
    openai.NotFoundError: (LanguageModelMisconfigured, "model_not_found"),
    openai.BadRequestError: (LanguageModelRefused, "bad_request"),
    openai.UnprocessableEntityError: (LanguageModelRefused, "bad_request"),
    openai.APIStatusError: (LanguageModelUnavailable, "status"),
    openai.APIResponseValidationError: (LanguageModelBadAnswer, "not_an_answer"),
    openai.LengthFinishReasonError: (LanguageModelBadAnswer, "cut_off"),
    openai.ContentFilterFinishReasonError: (LanguageModelRefused, "content_filter"),
    openai.APIError: (LanguageModelUnavailable, "stream_error"),
    openai.OpenAIError: (LanguageModelMisconfigured, "client"),
}

#: `code` of an error body that says more than its HTTP status.
_BY_CODE: Final[Mapping[str, tuple[type[LanguageModelError], str]]] = {
    "insufficient_quota": (LanguageModelMisconfigured, "insufficient_quota"),
    "billing_hard_limit_reached": (LanguageModelMisconfigured, "insufficient_quota"),
    "content_filter": (LanguageModelRefused, "content_filter"),
    "content_policy_violation": (LanguageModelRefused, "content_filter"),
    "model_not_found": (LanguageModelMisconfigured, "model_not_found"),
    "DeploymentNotFound": (LanguageModelMisconfigured, "model_not_found"),
    "invalid_api_key": (LanguageModelMisconfigured, "bad_key"),
    "context_length_exceeded": (LanguageModelRefused, "too_long"),
}

_MEND: Final[Mapping[str, str]] = {
    "bad_key": "look at OPENAI_API_KEY",
    "forbidden": "the key may not use this model: look at OPENAI_API_KEY and CARELANE_LLM_MODEL",
    "model_not_found": "look at CARELANE_LLM_MODEL and OPENAI_BASE_URL",
    "insufficient_quota": "the account behind OPENAI_API_KEY has no money left",
    "client": "look at OPENAI_API_KEY and OPENAI_BASE_URL",
}


def translate(error: Exception) -> LanguageModelError:
    """Our error for one of the openai client's. The text holds no part of prompt or answer."""
    made, reason = _entry(error)
    status = getattr(error, "status_code", None)
    detail = f"the LLM call failed: {type(error).__name__}"
    if status is not None:
        detail += f", HTTP {status}"
    if reason in _MEND:
        detail += f"; {_MEND[reason]}"
    return made(reason, detail, retry_after_s(error))


def _entry(error: Exception) -> tuple[type[LanguageModelError], str]:
    code = getattr(error, "code", None)
    if isinstance(code, str) and code in _BY_CODE:
        return _BY_CODE[code]
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return LanguageModelUnavailable, "unknown"


def retry_after_s(error: Exception) -> float | None:
    """What the server asks to wait: `retry-after-ms`, or Retry-After in seconds or as a date."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        text = headers.get("retry-after")
        if text is None:
            return None
        if text.strip().replace(".", "", 1).isdecimal():
            return float(text)
        when = parsedate_to_datetime(text)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
