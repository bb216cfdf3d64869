"""What the tiers count for Prometheus, and the spans of their work, from what they know anyway."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from shared import metrics, tracing
from shared.contracts import Status, Tier
from workers.settlement import Outcome
from workers.store import Claimed


def claimed(rows: Sequence[Claimed], status: Status) -> None:
    """Messages were claimed: how long they waited, and which were tried before."""
    tier = _tier_of(status)
    for row in rows:
        metrics.WAIT_SECONDS.observe(row.waited_s, tier=tier)
    if again := sum(row.attempts > 1 for row in rows):
        metrics.RETRIES.inc(again, tier=tier)


def settled(
    rows: Sequence[Claimed],
    outcomes: Sequence[Outcome],
    written: Collection[UUID],
    now: datetime,
    status: Status,
) -> None:
    """Messages that waited in `status` were settled, or passed on to the next tier."""
    claimed_by_id = {row.id: row for row in rows}
    for each in outcomes:
        if each.id not in written:
            continue
        row, label = claimed_by_id[each.id], each.label
        _trace(row, each, status)
        if label is not None and label.latency_ms is not None:
            metrics.TIER_SECONDS.observe(label.latency_ms / 1000, tier=label.tier.value)
        if each.status is Status.ESCALATED:
            metrics.ESCALATED.inc()
            continue
        final = label is not None and each.status is Status.LABELLED
        tier = label.tier.value if label is not None and final else "none"
        urgency = label.urgency.value if label is not None else "none"
        seconds = (now - row.received_at).total_seconds()
        metrics.SETTLE_SECONDS.observe(seconds, tier=tier, urgency=urgency)
        if final:
            metrics.LABELS.inc(tier=tier)
        else:
            metrics.NEEDS_REVIEW.inc(reason=each.reason or "unknown")


def _trace(row: Claimed, outcome: Outcome, status: Status) -> None:
    label = outcome.label
    took = None
    if label is not None and label.latency_ms is not None:
        took = ("llm call" if label.tier is Tier.LLM else "small model", label.latency_ms)
    tracing.record(
        f"{_tier_of(status)} worker",
        row.trace_parent,
        row.claimed_ns,
        inner=took,
        message_id=str(row.id),
        status=outcome.status.value,
        reason=outcome.reason or "",
        label_by=label.tier.value if label is not None else "",
        attempt=row.attempts,
        waited_s=row.waited_s,
    )


def _tier_of(status: Status) -> str:
    return Tier.LLM.value if status is Status.ESCALATED else Tier.FAST.value
