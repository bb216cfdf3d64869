"""What people do, counted for Prometheus."""

from __future__ import annotations

from sqlalchemy import RowMapping

from dashboard.audit import Action
from shared import metrics
from shared.contracts import Urgency


def first_read(before: RowMapping, after: RowMapping) -> None:
    """A row of `messages` was written; if that was its first reading, how long it waited."""
    if before["first_read_at"] is None and after["first_read_at"] is not None:
        waited = after["first_read_at"] - after["received_at"]
        urgency = tuple(Urgency)[before["urgency_rank"]].value
        metrics.FIRST_READ_SECONDS.observe(waited.total_seconds(), urgency=urgency)


def decided(action: Action, before: RowMapping, after: RowMapping) -> None:
    """Somebody decided about a message."""
    metrics.DECISIONS.inc(action=action.value)
    first_read(before, after)
