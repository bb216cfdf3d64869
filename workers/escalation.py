"""The LLM tier's way with a chunk: claim, then hand each claim to a desk."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.contracts import Status
from shared.errors import StoreError, StoreUnavailable
from workers.chunk import Claim, Claims, Delivery, HeldElsewhere
from workers.desk import Desk
from workers.heartbeat import Heartbeat
from workers.label_cache import LabelCache
from workers.llm_tier.batcher import Asks
from workers.llm_tier.sheet import Sheet
from workers.llm_tier.tier import LlmTier
from workers.runtime import Runtime
from workers.seams import Masker
from workers.speculation import Speculation, Speculator

logger = logging.getLogger(__name__)

#: So many unanswered claims share a prompt before each message is taken alone. More than in the
#: fast lane: here a claim mostly ends because the LLM was away, which is no message's fault.
_SUSPECT_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class LlmLane:
    """What an LLM worker has beside the common runtime."""

    tier: LlmTier
    batcher: Asks
    masker: Masker
    heartbeat: Heartbeat
    cache: LabelCache
    budget_s: float  # calls for one claim start within this time
    speculator: Speculator | None = None  # with CARELANE_LLM_SPECULATE
    sheets: Mapping[UUID, Sheet] = field(default_factory=dict)  # what was made ready already


def run_llm_chunk(ids: Sequence[UUID], runtime: Runtime, delivery: Delivery) -> None:
    """Settle the chunk's messages that wait for the LLM tier; leaves the others alone.

    Raises:
        HeldElsewhere: another process holds some of them.
        StoreUnavailable: the database stayed away; the delivery will come again.
    """
    lane = runtime.llm
    if lane is None:
        raise RuntimeError("this worker has no LLM tier; the composition root made a fast worker")
    if lane.speculator is None:
        _settle_escalated(ids, runtime, delivery, lane)
    else:
        _beside_speculation(ids, runtime, delivery, lane, lane.speculator)


def _beside_speculation(
    ids: Sequence[UUID],
    runtime: Runtime,
    delivery: Delivery,
    lane: LlmLane,
    speculator: Speculator,
) -> None:
    """Ask ahead about what the fast tier has yet to decide, and settle the others meanwhile."""

    def settle(passed_on: Mapping[UUID, Sheet], answers: Asks) -> None:
        with_answers = replace(lane, batcher=answers, sheets=passed_on)
        _settle_escalated(list(passed_on), runtime, delivery, with_answers)

    ours: Speculation | None = None
    try:
        ours = speculator.begin(ids, delivery, settle)
    except StoreError as error:
        logger.warning("nothing asked ahead", extra={"reason": str(error)})
    try:
        fenced = _fenced(ids, runtime, speculator)
        _settle_escalated([id_ for id_ in ids if id_ not in fenced], runtime, delivery, lane)
    finally:
        if ours is not None:
            ours.join()
    theirs = sum(ours is None or owner != ours.owner for owner in fenced.values())
    if theirs:
        raise HeldElsewhere(f"{theirs} of these messages are asked about ahead by another delivery")


def _fenced(ids: Sequence[UUID], runtime: Runtime, speculator: Speculator) -> dict[UUID, str]:
    patience = runtime.patience(runtime.settings.llm_lease_s * 0.7)
    try:
        return patience.call(lambda: speculator.fenced(ids))
    except StoreUnavailable:
        raise
    except StoreError as error:
        # Without the table, or a right to it, nobody has put up a fence.
        logger.error(
            "asking ahead is off: the table speculations cannot be used; run `carelane migrate`, "
            "and deploy/postgres/roles.sql where roles are used",
            extra={"reason": str(error)},
        )
        return {}


def _settle_escalated(
    ids: Sequence[UUID], runtime: Runtime, delivery: Delivery, lane: LlmLane
) -> None:
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
