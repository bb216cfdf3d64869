"""What the fast tier says of one message: label, and where the message goes next.

The one way from a text to a fast label: the live worker and `carelane bulk` both take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.contracts import Label, Status
from shared.red_flags import RedFlag
from workers import routing
from workers.seams import Clock, FastLabeller

#: Reason of an ambiguous message where no LLM is set up.
LLM_OFF: Final = "llm_off"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A label, and what becomes of the message."""

    status: Status  # labelled, escalated (an LLM is asked next) or needs_review
    label: Label  # provisional unless the status is labelled
    reason: str | None  # why it needs a person
    language: str | None


def judge(
    text: str, red_flags: Sequence[RedFlag], labeller: FastLabeller, clock: Clock, *, llm_on: bool
) -> Verdict:
    """Label a message by the fast tier, or send it on with that label as provisional."""
    started_s = clock.monotonic_s()
    scores = labeller.score(text)
    decision = routing.decide(scores, red_flags, labeller.policy)
    latency_ms = (clock.monotonic_s() - started_s) * 1000
    if decision.accepted:
        status, reason = Status.LABELLED, None
    elif llm_on:
        status, reason = Status.ESCALATED, None
    else:
        status, reason = Status.NEEDS_REVIEW, LLM_OFF
    return Verdict(
        status=status,
        label=replace(decision.label, latency_ms=latency_ms),
        reason=reason,
        language=scores.language[:16] or None,
    )
