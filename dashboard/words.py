"""The words on the pages: reasons, ages and tiers, written for the person who reads them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from shared.contracts import Tier

TIER_WORDS: Final = {
    Tier.RULE: "red-flag rule",
    Tier.CACHE: "seen before",
    Tier.FAST: "fast model",
    Tier.LLM: "second opinion (LLM)",
    Tier.HUMAN: "a person",
}

#: Why a message needs a person, by the code that workers and sweeper store; the part before the
#: first underscore (llm, deid) may stand before a code of its own.
_REASONS: Final = {
    "llm_off": "The fast model was not sure, and no second opinion is set up.",
    "fast_failed": "The fast model failed on it.",
    "crashed_worker": "It was there each time that a worker broke down, so it is not tried again.",
    "waited_too_long": "No label came in time.",
    "llm_timeout": "The second opinion did not answer in time.",
    "llm_out_of_time": "The second opinion did not answer in time.",
    "llm_not_asked_in_time": "There was no time left to ask for a second opinion.",
    "llm_connection": "The second opinion could not be reached.",
    "llm_rate_limit": "The second opinion had no capacity left.",
    "llm_over_budget": "The fast model was not sure, and today's budget for second opinions is "
    "spent.",
    "llm_breaker_open": "The second opinion kept failing and is paused.",
    "llm_server_error": "The second opinion's server failed.",
    "llm_refusal": "The second opinion declined to answer.",
    "llm_content_filter": "The second opinion's filter stopped the message.",
    "llm_too_long": "It is too long for a second opinion.",
    "llm_bad_key": "The second opinion is not set up correctly: its key is refused.",
    "llm_forbidden": "The second opinion is not set up correctly: its key may not use the model.",
    "llm_model_not_found": "The second opinion is not set up correctly: there is no such model.",
    "llm_insufficient_quota": "The second opinion's account has no money left.",
    "llm_cut_off": "The second opinion's answer was cut off.",
    "deid_timeout": "Masking names and numbers took too long, so it was not sent on.",
    "deid_too_long": "It is too long to mask names and numbers for certain, so it was not sent on.",
    "deid_unknown_language": "Names cannot be masked in its language, so it was not sent on.",
    "deid_unknown_script": "Names cannot be masked in its script, so it was not sent on.",
}
_FAMILIES: Final = {
    "llm": "The second opinion's answer could not be used",
    "deid": "Names and numbers could not be masked for certain, so it was not sent on",
}

#: Why the small model's label was not accepted, by the code that routing stores.
ROUTING_WORDS: Final = {
    "unsure": "not sure enough of category and urgency together",
    "unsure_category": "not sure what it is about",
    "unsure_urgency": "not sure how urgent it is",
    "possible_emergency": "could not rule out an emergency",
    "language": "in a language the small model does not know",
    "unfamiliar": "unlike what the small model learned from",
    "text_cut": "too long for the small model to read all of it",
    "contradiction": "the small model's answers did not fit together",
    "red_flag_disagrees": "a red-flag rule sees more danger",
    "red_flag_floor": "raised to the red flag's urgency",
    "accepted": "confirmed by a person",
    "corrected": "corrected by a person",
    "equal_message": "an equal message had this label",
    "corrected_by_person": "which a person had corrected",
}


#: Why there is no explanation, by the code that workers or dashboard store; others are reasons.
_UNEXPLAINED: Final = {
    "nobody_to_ask": "Nobody to ask: no worker that could answer is running.",
    "no_answer": "No answer came in time.",
    "failed": "It could not be worked out.",
    "workers_busy": "The workers were busy labelling messages.",
    "no_words": "The text has no words.",
    "text_sealed": "The worker could not open the sealed text.",
    "instructions_in_text": "The text talks to the machine, so it is not sent on.",
    "llm_over_budget": "Today's budget for the LLM is spent.",
    "llm_breaker_open": "The LLM kept failing and is paused.",
    "llm_own_rate_limit": "The LLM's rate limit is used up for the moment.",
}


_ACTIONS: Final = {
    "listed": "had a page of the worklist",
    "watched": "watched the worklist change",
    "searched": "searched the worklist",
    "message_read": "read it",
    "why_asked": "asked the LLM why",
    "accepted": "confirmed the label",
    "corrected": "changed the label",
    "done": "marked it done",
    "reopened": "opened it again",
    "undone": "undid their last decision",
    "texts_resealed": "rewrote stored texts under another key, or in clear",
}


def reason_words(code: str | None) -> str:
    """A sentence for a stored reason; an unknown code is shown as it is, in plain words."""
    if not code:
        return "The machine could not decide."
    if code in _REASONS:
        return _REASONS[code]
    family, _, rest = code.partition("_")
    if family in _FAMILIES:
        return f"{_FAMILIES[family]} ({rest.replace('_', ' ')})."
    return f"The machine could not decide ({code.replace('_', ' ')})."


def unexplained_words(code: str | None) -> str:
    """A sentence for why there is no explanation."""
    return _UNEXPLAINED.get(code or "failed") or reason_words(code)


def audit_words(action: str, detail: Mapping[str, Any]) -> str:
    """What an entry of the audit log says that somebody did, after their name."""
    before, after = detail.get("before") or {}, detail.get("after") or {}
    if action == "message_read" and detail.get("by_itself"):
        return "had it open while it changed"
    if action == "assigned":
        to = after.get("assignee")
        return f"gave it to {to}" if to else f"took it from {before.get('assignee') or 'nobody'}"
    return _ACTIONS.get(action, action.replace("_", " "))


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
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
