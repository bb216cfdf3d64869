"""The words that Carelane's processes share: statuses, tiers, lanes, task names, a label.

Task and queue names are constants here, so that moving a function never renames a task that
already lies in a queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

TASK_FAST: Final = "triage.fast"
TASK_LLM: Final = "triage.llm"

#: Most ids in one task, by lane: 32 fill a fast worker for about 0.1 s; 8 share one LLM prompt.
FAST_CHUNK: Final = 32
LLM_CHUNK: Final = 8

#: NOTIFY channels. The outbox one has no payload, the messages' carries {"ids": [...]}, the
#: explanations' the kind that is asked for.
CHANNEL_OUTBOX: Final = "carelane_outbox"
CHANNEL_MESSAGES: Final = "carelane_messages"
CHANNEL_EXPLANATIONS: Final = "carelane_explanations"
#: Postgres refuses payloads of 8,000 bytes; 32 ids take about 1,300.
IDS_PER_NOTIFY: Final = 32


class Status(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"  # accepted; no label yet
    ESCALATED = "escalated"  # the fast tier was not sure; the LLM tier has it
    LABELLED = "labelled"  # has its current label
    NEEDS_REVIEW = "needs_review"  # the machine gave up; status_reason says why
    DONE = "done"  # a person has dealt with it


#: What the dashboard shows as "processing…".
PROCESSING: Final = (Status.QUEUED, Status.ESCALATED)


class Order(StrEnum):
    """What workers can be told; without an order they run."""

    PAUSED = "paused"  # take nothing new, until told otherwise
    DRAINED = "drained"  # finish what is in hand, then end


class Tier(StrEnum):
    """Who made a label."""

    RULE = "rule"  # a red-flag rule, at the door
    CACHE = "cache"  # an equal message's label
    FAST = "fast"  # the small model
    LLM = "llm"  # the large language model
    HUMAN = "human"  # a clinician; nothing later overrides it


class Urgency(StrEnum):
    """How soon somebody must look, most urgent first."""

    EMERGENT = "emergent"  # minutes count
    URGENT = "urgent"  # the same day
    ROUTINE = "routine"  # everything else

    @property
    def rank(self) -> int:
        """0 for emergent to 2 for routine; the dashboard sorts by it."""
        return tuple(Urgency).index(self)


class Lane(StrEnum):
    """A queue of its own."""

    FAST = "fast"
    PRIORITY = "priority"  # red-flagged messages, served first by the fast workers
    LLM = "llm"

    @property
    def task(self) -> str:
        """The name of the task that serves this lane."""
        return TASK_LLM if self is Lane.LLM else TASK_FAST

    @property
    def chunk(self) -> int:
        """Most message ids in one task of this lane."""
        return LLM_CHUNK if self is Lane.LLM else FAST_CHUNK


@dataclass(frozen=True, kw_only=True)
class Label:
    """What somebody or something says a message is; becomes a row of `labels`."""

    categories: tuple[str, ...]  # names of the taxonomy, primary first, at least one
    urgency: Urgency
    tier: Tier
    taxonomy_version: str
    category_confidence: float | None = None  # calibrated, 0 to 1; None where nobody says
    urgency_confidence: float | None = None
    model_version: str | None = None  # the bundle's version, or the LLM's name
    prompt_version: str | None = None
    rationale: str | None = None
    reasons: tuple[str, ...] = ()  # why routing accepted or escalated, as stable codes
    latency_ms: float | None = None  # time that the tier took for this message
    cost_usd: Decimal | None = None  # this message's share of the call
    llm_call_id: int | None = None
    author: str | None = None  # the clinician's user name, for tier human


class Explain(StrEnum):
    """What can be asked about a label, by somebody who looks at the message."""

    WORDS = "words"  # the words that carried the fast tier's decision; answered by fast workers
    RATIONALE = "rationale"  # a sentence from the LLM; answered by LLM workers


#: Nobody waits for an explanation longer than this, so none is worked out later.
EXPLAIN_WITHIN_S: Final = 60.0


def queue_name(prefix: str, lane: Lane) -> str:
    """The SQS queue of a lane, e.g. ``carelane-fast``."""
    return f"{prefix}-{lane.value}"


def dead_letter_queue_name(prefix: str, lane: Lane) -> str:
    """Where a lane's undeliverable messages end."""
    return f"{queue_name(prefix, lane)}-dlq"


def intake_queue_name(prefix: str) -> str:
    """Where portals that speak nothing but SQS put messages, as plain JSON."""
    return f"{prefix}-intake"


def intake_dead_letter_queue_name(prefix: str) -> str:
    """Where the intake's consumer puts what it cannot take, with the reason."""
    return f"{intake_queue_name(prefix)}-dlq"
