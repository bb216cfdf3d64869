"""The LLM tier's way with a chunk: claim, then hand each claim to a desk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts import Status
from workers.chunk import Claim, Claims, Delivery
from workers.desk import Desk
from workers.heartbeat import Heartbeat
from workers.label_cache import LabelCache
from workers.llm_tier.batcher import Batcher
from workers.llm_tier.tier import LlmTier
from workers.runtime import Runtime
from workers.seams import Masker

logger = logging.getLogger(__name__)

#: So many unanswered claims share a prompt before each message is taken alone. More than in the
#: fast lane: here a claim mostly ends because the LLM was away, which is no message's fault.
_SUSPECT_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class LlmLane:
    """What an LLM worker has beside the common runtime."""

    tier: LlmTier
    batcher: Batcher
    masker: Masker
    heartbeat: Heartbeat
    cache: LabelCache
    budget_s: float  # calls for one claim start within this time


def run_llm_chunk(ids: Sequence[UUID], runtime: Runtime, delivery: Delivery) -> None:
    """Settle the chunk's messages that wait for the LLM tier; leaves the others alone.

    Raises:
        HeldElsewhere: another process holds some of them.
        StoreUnavailable: the database stayed away; the delivery will come again.
    """
    lane = runtime.llm
    if lane is None:
        raise RuntimeError("this worker has no LLM tier; the composition root made a fast worker")
    settings = runtime.settings
    claims = Claims(
        runtime.engine,
        runtime.patience(settings.llm_lease_s * 0.7),
        runtime.process,
        status=Status.ESCALATED,
        lease_s=settings.llm_lease_s,
        max_attempts=settings.max_attempts,
        suspect_after=_SUSPECT_AFTER,
    )
    for claim in claims.of(ids):
        _settle(claim, delivery, lane, runtime)


def _settle(claim: Claim, delivery: Delivery, lane: LlmLane, runtime: Runtime) -> None:
    started_s = runtime.clock.monotonic_s()
    with lane.heartbeat.keep(claim.owner, delivery) as held:
        desk = Desk(claim, held, lane, runtime)
        desk.run()
    logger.info(
        "chunk asked",
        extra={
            "messages": len(claim.rows),
            "message_ids": [str(row.id) for row in claim.rows],
            **desk.counts,
            "duration_ms": round((runtime.clock.monotonic_s() - started_s) * 1000),
        },
    )
