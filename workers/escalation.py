"""The LLM tier's way with a chunk: claim, de-identify, ask, validate, write."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts import Label, Status, Tier
from shared.database import transaction
from shared.errors import DeidError, LanguageModelUnavailable
from workers import routing, store
from workers.chunk import Claim, Claims, Delivery, settle
from workers.heartbeat import Heartbeat, Held
from workers.llm_tier.tier import Answered, LlmTier, Result
from workers.patience import Patience
from workers.runtime import Runtime
from workers.seams import Masker
from workers.store import Claimed, Outcome

logger = logging.getLogger(__name__)

#: So many unanswered claims share a prompt before each message is taken alone. More than in the
#: fast lane: here a claim mostly ends because the LLM was away, which is no message's fault.
_SUSPECT_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class LlmLane:
    """What an LLM worker has beside the common runtime."""

    tier: LlmTier
    masker: Masker
    heartbeat: Heartbeat
    budget_s: float  # calls for one claim start within this time


def run_llm_chunk(ids: list[UUID], runtime: Runtime, delivery: Delivery) -> None:
    """Settle the chunk's messages that wait for the LLM tier; leaves the others alone.

    Raises:
        HeldElsewhere: another process holds some of them.
        StoreUnavailable: the database stayed away; the delivery will come again.
    """
    lane = runtime.llm
    if lane is None:
        raise RuntimeError("this worker has no LLM tier; the composition root made a fast worker")
    settings = runtime.settings
    patience = runtime.patience(settings.llm_lease_s * 0.7)
    claims = Claims(
        runtime.engine,
        patience,
        runtime.process,
        status=Status.ESCALATED,
        lease_s=settings.llm_lease_s,
        max_attempts=settings.max_attempts,
        suspect_after=_SUSPECT_AFTER,
    )
    for claim in claims.of(ids):
        with lane.heartbeat.keep(claim.owner, delivery) as held:
            _settle(claim, held, lane, runtime)


def _settle(claim: Claim, held: Held, lane: LlmLane, runtime: Runtime) -> None:
    started_s = runtime.clock.monotonic_s()
    outcomes = label_rows(claim.rows, lane, runtime, held)
    # A new wait: the calls took their time, and what they cost must not be lost.
    patience = runtime.patience(runtime.settings.llm_lease_s * 0.7)
    written = settle(runtime.engine, patience, claim.owner, Status.ESCALATED, outcomes)
    done = {each.id for each in outcomes}
    open_ids = [row.id for row in claim.rows if row.id not in done]
    if open_ids:
        _leave_to_sweeper(claim, open_ids, runtime, patience)
    logger.info(
        "chunk asked",
        extra={
            "messages": len(claim.rows),
            "written": len(written),
            "unanswered": len(open_ids),
            "to_people": sum(each.status is Status.NEEDS_REVIEW for each in outcomes),
            "duration_ms": round((runtime.clock.monotonic_s() - started_s) * 1000),
        },
    )


def label_rows(
    rows: Sequence[Claimed], lane: LlmLane, runtime: Runtime, held: Held
) -> list[Outcome]:
    """What becomes of each row; those that a later try may settle are left out."""
    outcomes: list[Outcome] = []
    texts: list[tuple[Claimed, str]] = []
    for row in rows:
        try:
            texts.append((row, lane.masker.mask(row.text).text))
        except DeidError as error:
            logger.warning(
                "not de-identified", extra={"message_id": row.id, "reason": error.reason}
            )
            outcomes.append(_to_person(row, f"deid_{error.reason}"))
    results = lane.tier.ask(
        [text for _, text in texts], budget_s=lane.budget_s, still_ours=held.still_ours
    )
    for (row, _), result in zip(texts, results, strict=True):
        outcome = _outcome(row, result, lane, runtime)
        if outcome is not None:
            outcomes.append(outcome)
    return outcomes


def _outcome(row: Claimed, result: Result, lane: LlmLane, runtime: Runtime) -> Outcome | None:
    if isinstance(result, Answered):
        return Outcome(id=row.id, status=Status.LABELLED, label=_label(row, result, lane.tier))
    last = row.attempts >= runtime.settings.max_attempts
    if isinstance(result, LanguageModelUnavailable) and not last:
        return None
    return _to_person(row, f"llm_{result.reason}")


def _label(row: Claimed, answered: Answered, tier: LlmTier) -> Label:
    lowest = routing.floor(row.red_flags)
    said = answered.answer.urgency
    raised = lowest.rank < said.rank
    return Label(
        categories=answered.answer.categories,
        urgency=lowest if raised else said,
        tier=Tier.LLM,
        taxonomy_version=tier.taxonomy.version,
        model_version=answered.model,
        prompt_version=tier.prompt.version,
        reasons=("red_flag_floor",) if raised else (),
        latency_ms=answered.latency_ms,
        cost_usd=answered.cost_usd,
        llm_call_id=answered.call_id,
    )


def _to_person(row: Claimed, reason: str) -> Outcome:
    return Outcome(id=row.id, status=Status.NEEDS_REVIEW, reason=reason)


def _leave_to_sweeper(
    claim: Claim, ids: Sequence[UUID], runtime: Runtime, patience: Patience
) -> None:
    """Let go without a queue: the sweeper sends them again when the LLM had time to recover."""

    def work() -> None:
        with transaction(runtime.engine) as connection:
            store.give_back(connection, claim.owner, ids, None)

    patience.call(work)
