"""The words on the pages: reasons, ages and tiers, written for the person who reads them. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.contracts import Tier

TIER_WORDS: Final = {
    Tier.RULE: "red-flag rule",
    Tier.CACHE: "seen before",
    Tier.FAST: "fast model",
    Tier.LLM: "second opinion (LLM)",
    Tier.HUMAN: "a person",
}

#: Why a message needs a person, by the stable code that the workers store.
_REASONS: Final = {
    "llm_off": "The fast model was not sure, and no second opinion is set up.",
    "budget": "The fast model was not sure, and today's budget for second opinions is spent.",
    "attempts": "It was tried several times and failed each time.",
    "too_many_attempts": "It was tried several times and failed each time.",
    "gave_up": "No label came in time.",
    "too_old": "No label came in time.",
    "timeout": "The second opinion did not answer in time.",
    "rate_limit": "The second opinion had no capacity left.",
    "rate_limited": "The second opinion had no capacity left.",
    "server_error": "The second opinion's server failed.",
    "unavailable": "The second opinion could not be reached.",
    "breaker_open": "The second opinion kept failing and is paused.",
    "refused": "The second opinion declined to answer.",
    "refusal": "The second opinion declined to answer.",
    "content_filter": "The second opinion's filter stopped the message.",
    "bad_answer": "The second opinion's answer could not be used.",
    "schema": "The second opinion's answer could not be used.",
    "misconfigured": "The second opinion is not set up correctly.",
    "deid": "Names and numbers could not be masked for certain, so it was not sent on.",
    "deid_timeout": "Masking names and numbers took too long, so it was not sent on.",
    "deid_language": "It is in a language whose names cannot be masked, so it was not sent on.",
    "language": "It is in a language that the model was not trained for.",
}


def reason_words(code: str | None) -> str:
    """A sentence for a stored reason; an unknown code is shown as it is, in plain words."""
    if not code:
        return "The machine could not decide."
    if code in _REASONS:
        return _REASONS[code]
    tail = code.rsplit(":", 1)[-1].rsplit(".", 1)[-1]
    if tail in _REASONS:
        return _REASONS[tail]
    return f"The machine could not decide ({code.replace('_', ' ')})."


def span_words(span: timedelta) -> str:
    """A length of time in at most two units: "40 s", "7 min", "3 h 05 min", "2 d 4 h"."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
