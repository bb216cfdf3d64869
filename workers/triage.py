"""The fast tier's way with a chunk: claim, judge one by one, write all in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from shared.contracts import Lane, Status
from shared.database import transaction
from shared.errors import StoreError
from workers import checks, counting, store, verdict
from workers.chunk import Claim, Claims, Delivery, settle
from workers.label_cache import label_of
from workers.patience import Patience
from workers.runtime import Runtime
from workers.settlement import Outcome
from workers.store import Claimed

logger = logging.getLogger(__name__)


def run_fast_chunk(ids: list[UUID], runtime: Runtime, delivery: Delivery) -> None:  # noqa: ARG001
    """Settle the chunk's messages that wait for the fast tier; leaves the others alone.

    Raises:
        HeldElsewhere: another process holds some of them.
        StoreUnavailable: the database stayed away; the delivery will come again.
    """
    settings = runtime.settings
    patience = runtime.patience(settings.fast_lease_s * 0.7)
    claims = Claims(
        runtime.engine,
        patience,
        runtime.process,
        status=Status.QUEUED,
        lease_s=settings.fast_lease_s,
        max_attempts=settings.max_attempts,
    )
    for claim in claims.of(ids):
        _settle(claim, runtime, patience)


def _settle(claim: Claim, runtime: Runtime, patience: Patience) -> None:
    started_s = runtime.clock.monotonic_s()
    given_up, keyed = _with_keys(claim.rows, runtime)
    cached, rows = _from_cache(keyed, runtime)
    judged = [outcome for row in rows if (outcome := _outcome(row, runtime)) is not None]
    outcomes = given_up + cached + judged
    written = settle(runtime.engine, patience, claim.owner, Status.QUEUED, outcomes)
    counting.settled(claim.rows, outcomes, written, runtime.clock.now(), Status.QUEUED)
    # Red-flagged messages are left out: eyes are on them anyway.
    plain = {row.id for row in claim.rows if not row.red_flags}
    _note_checks(outcomes, plain & set(written), runtime)
    done = {each.id for each in outcomes}
    failed = [row for row in claim.rows if row.id not in done]
    if failed:
        _try_again(claim, failed, runtime, patience)
    logger.info(
        "chunk labelled",
        extra={
            "messages": len(claim.rows),
            "message_ids": [str(row.id) for row in claim.rows],
            "written": len(written),
            "failed": len(failed),
            "escalated": sum(each.status is Status.ESCALATED for each in outcomes),
            "duration_ms": round((runtime.clock.monotonic_s() - started_s) * 1000),
        },
    )


def _note_checks(outcomes: Sequence[Outcome], ids: Collection[UUID], runtime: Runtime) -> None:
    """Have some of the sure labels checked; a lost note costs nothing, so nobody waits for it."""
    if runtime.sampler is None:
        return
    try:
        with transaction(runtime.engine) as connection:
            checks.note(connection, outcomes, ids, runtime.sampler)
    except StoreError as error:
        logger.warning("checks not noted", extra={"reason": str(error)})


def _with_keys(
    rows: Sequence[Claimed], runtime: Runtime
) -> tuple[list[Outcome], Sequence[Claimed]]:
    """The rows with their cache keys; apart from them, those given up because that fails.

    The texts are looked up as they came: for those without an identifier that is the same key as
    after de-identification, and masking all of them would cost more than the model does.
    """
    cache = runtime.cache
    if cache is None:
        return [], rows
    given_up, keyed = [], []
    for row in rows:
        try:
            with runtime.at(row.id):
                keyed.append(replace(row, cache_key=cache.key(row, row.text)))
        except Exception as error:  # noqa: BLE001  one message must not take its neighbours along
            if outcome := _failed(row, error, runtime):
                given_up.append(outcome)
    return given_up, keyed


def _from_cache(
    rows: Sequence[Claimed], runtime: Runtime
) -> tuple[list[Outcome], Sequence[Claimed]]:
    """What equal messages answer, and the rows that are left."""
    if runtime.cache is None or runtime.labeller is None:
        return [], rows
    found = runtime.cache.find(row.cache_key for row in rows)
    outcomes, left = [], []
    for row in rows:
        cached = found.get(row.cache_key or "")
        if cached is None:
            left.append(row)
            continue
        label = label_of(cached, row, runtime.labeller.policy.taxonomy_version)
        outcomes.append(
            Outcome(id=row.id, status=Status.LABELLED, label=label, cache_key=row.cache_key)
        )
    return outcomes, left


def _outcome(row: Claimed, runtime: Runtime) -> Outcome | None:
    """What becomes of one message; None when the fast tier failed on it and may try again."""
    try:
        with runtime.at(row.id):
            return judge(row, runtime)
    except Exception as error:  # noqa: BLE001  one message must not take its neighbours along
        return _failed(row, error, runtime)


def _failed(row: Claimed, error: Exception, runtime: Runtime) -> Outcome | None:
    """A message that cannot be judged goes to a person after its last attempt; till then None."""
    logger.error(
        "fast tier failed on a message",
        extra={"message_id": row.id, "attempt": row.attempts, "error": type(error).__name__},
    )
    if row.attempts >= runtime.settings.max_attempts:
        return Outcome(id=row.id, status=Status.NEEDS_REVIEW, reason="fast_failed")
    return None


def judge(row: Claimed, runtime: Runtime) -> Outcome:
    """Label a message by the fast tier, or send it on with that label as provisional."""
    if runtime.labeller is None:
        raise RuntimeError("this worker has no fast tier; the composition root made an LLM worker")
    found = verdict.judge(
        row.text,
        row.red_flags,
        runtime.labeller,
        runtime.clock,
        llm_on=runtime.settings.openai_api_key is not None,
    )
    return Outcome(
        id=row.id,
        status=found.status,
        label=found.label,
        reason=found.reason,
        language=found.language,
        lane=Lane.LLM if found.status is Status.ESCALATED else None,
        cache_key=row.cache_key,
    )


def _try_again(
    claim: Claim, failed: Sequence[Claimed], runtime: Runtime, patience: Patience
) -> None:
    """Send failed messages through their queue again; claims count the attempts."""

    def work() -> None:
        with transaction(runtime.engine) as connection:
            for lane in (Lane.PRIORITY, Lane.FAST):
                ids = [row.id for row in failed if bool(row.red_flags) is (lane is Lane.PRIORITY)]
                store.give_back(connection, claim.owner, ids, lane)

    patience.call(work)
