"""From a message to a question for the LLM, and from its answer to a label. Pure but for masking.

The live worker's desk and `carelane bulk` both go this way, so that both ask and label alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.contracts import Label, Tier
from shared.errors import DeidError
from shared.red_flags import RedFlag
from workers import routing
from workers.llm_tier.answer import Answer
from workers.llm_tier.compress import compress
from workers.llm_tier.risk import Risk, risk_of
from workers.seams import Masker

#: Reason of a message that talks to the machine.
INSTRUCTIONS: Final = "instructions_in_text"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A message that may be asked about."""

    text: str  # de-identified, compressed
    masked: str  # de-identified only: equal messages are told by it
    alone: bool  # in a prompt of its own, and the small model must agree


def prepare(text: str, masker: Masker, budget_ms: float | None = None) -> Sheet | str:
    """The message as the LLM may see it; or the reason, a stable code, why a person gets it."""
    try:
        masked = masker.mask(text, budget_ms).text
    except DeidError as error:
        return f"deid_{error.reason}"
    risk = risk_of(masked)
    if risk is Risk.PERSON:
        return INSTRUCTIONS
    return Sheet(text=compress(masked), masked=masked, alone=risk is Risk.ALONE)


def label_of_answer(
    answer: Answer,
    red_flags: Sequence[RedFlag],
    *,
    taxonomy_version: str,
    model: str,
    prompt_version: str,
) -> Label:
    """The LLM's answer as a label, never below the red flags' floor."""
    lowest = routing.floor(red_flags)
    raised = lowest.rank < answer.urgency.rank
    return Label(
        categories=answer.categories,
        urgency=lowest if raised else answer.urgency,
        tier=Tier.LLM,
        taxonomy_version=taxonomy_version,
        model_version=model,
        prompt_version=prompt_version,
        reasons=("red_flag_floor",) if raised else (),
    )
