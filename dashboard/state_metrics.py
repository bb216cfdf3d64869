"""How the system stands, for Prometheus: read from Postgres and SQS when somebody asks.

Each dashboard process tells the same numbers, because they come from the same tables: over
several of them take the maximum, never the sum.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Engine

from dashboard import operations_queries, scale
from dashboard.operations_queries import Found
from dashboard.queue_depths import Depth, QueueDepths
from shared.contracts import PROCESSING, Lane, Status, Urgency
from shared.database import transaction
from shared.errors import StoreError
from shared.settings import Settings

logger = logging.getLogger(__name__)

#: A scrape waits no longer for SQS.
_SQS_WAIT_S: Final = 3.0
_SILENT_AFTER_S: Final = 30.0

#: Name: what it tells, and its labels.
GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "carelane_up": ("1 where the part answered this scrape: postgres, sqs.", ("part",)),
    "carelane_queue_chunks": (
        "Chunks in an SQS queue, approximately; state waiting, in_flight or dead.",
        ("queue", "state"),
    ),
    "carelane_sent_messages": ("Messages sent to a lane's queue and not settled.", ("lane",)),
    "carelane_sent_oldest_seconds": ("Time since the oldest of these was enqueued.", ("lane",)),
    "carelane_in_hand_messages": ("Messages that workers hold.", ("lane",)),
    "carelane_outbox_messages": ("Messages that the relay has yet to send.", ("lane",)),
    "carelane_outbox_oldest_seconds": ("How long the oldest of these waits.", ("lane",)),
    "carelane_waiting_messages": ("Messages without a final label.", ("status",)),
    "carelane_waiting_oldest_seconds": ("Time since the oldest of these came in.", ("status",)),
    "carelane_unread_messages": ("Open messages that nobody has read.", ("urgency",)),
    "carelane_unread_oldest_seconds": ("Time since the oldest of these came in.", ("urgency",)),
    "carelane_review_messages": ("Messages that need a person now, by reason.", ("reason",)),
    "carelane_workers": ("Workers; state alive, or silent for 30 s.", ("lane", "state")),
    "carelane_workers_wanted": ("Workers that a tier wants; for an autoscaler.", ("lane",)),
    "carelane_llm_breaker_open": ("1 while calls to the LLM are stopped.", ()),
    "carelane_llm_spent_today_usd": ("What LLM calls cost since midnight UTC.", ()),
    "carelane_llm_budget_usd": ("What they may cost in a day; 0 is no limit.", ()),
    "carelane_webhook_due_calls": ("Calls that portals are owed.", ("webhook",)),
    "carelane_webhook_oldest_seconds": ("How long the oldest of these is owed.", ("webhook",)),
    "carelane_viewers": ("Pages open on the worklist of this process.", ()),
}

_LANES: Final = {lane.value: lane.value for lane in Lane}
_WAITING: Final = {each.value: each.value for each in (*PROCESSING, Status.NEEDS_REVIEW)}
_URGENCIES: Final = {urgency.rank: urgency.value for urgency in Urgency}
#: Queries of messages and their ages: by which column, and that column's values as labels.
_BY_KEY: Final[Sequence[tuple[str, str, Mapping[Any, str]]]] = (
    ("sent", "lane", _LANES),
    ("outbox", "lane", _LANES),
    ("waiting", "status", _WAITING),
    ("unread", "urgency_rank", _URGENCIES),
)

Values = Iterator[tuple[str, tuple[str, ...], float]]


class State:
    """A collector in the sense of prometheus-client."""

    def __init__(self, engine: Engine, depths: QueueDepths | None, settings: Settings) -> None:
        self._engine = engine
        self._depths = depths  # None: another broker, whose own tools tell
        self._settings = settings
        self.viewers = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge of GAUGES; those of a part that does not answer are left out."""
        families = {
            name: GaugeMetricFamily(name, about, labels=labels)
            for name, (about, labels) in GAUGES.items()
        }
        for name, labels, value in self._values():
            families[name].add_metric(labels, value)
        yield from families.values()

    def _values(self) -> Values:
        yield "carelane_viewers", (), self.viewers
        yield "carelane_llm_budget_usd", (), self._settings.llm_daily_budget_usd
        if self._depths is not None:
            depths = self._depths.fresh(_SQS_WAIT_S)
            yield "carelane_up", ("sqs",), float(depths is not None)
            yield from _of_sqs(depths or ())
        try:
            with transaction(self._engine) as connection:
                found = operations_queries.read(connection, operations_queries.STANDING)
                wanted = scale.advice(connection, self._settings)
        except StoreError as error:
            logger.warning("Postgres did not tell its state", extra={"error_text": str(error)})
            yield "carelane_up", ("postgres",), 0.0
            return
        yield "carelane_up", ("postgres",), 1.0
        yield from _of_postgres(found)
        for each in wanted:
            yield "carelane_workers_wanted", (each.load.tier,), each.wanted


def _of_sqs(depths: Sequence[Depth]) -> Values:
    for each in depths:
        name = "carelane_queue_chunks"
        yield name, (each.queue, "waiting"), each.waiting
        yield name, (each.queue, "in_flight"), each.in_flight
        yield name, (each.queue, "dead"), each.dead


def _of_postgres(found: Found) -> Values:
    for name, key, values in _BY_KEY:
        rows = {row[key]: row for row in found[name]}
        # What nothing waits for is told as 0: a number that is not there looks like a fault.
        for value, said in values.items():
            row = rows.get(value)
            yield f"carelane_{name}_messages", (said,), row["messages"] if row else 0
            oldest_s = float(row["oldest_s"]) if row else 0.0
            yield f"carelane_{name}_oldest_seconds", (said,), oldest_s
    in_hand = {row["lane"]: row["in_hand"] for row in found["sent"]}
    for lane in Lane:
        yield "carelane_in_hand_messages", (lane.value,), in_hand.get(lane.value, 0)
    for row in found["failures"]:
        yield "carelane_review_messages", (row["reason"] or "unknown",), row["messages"]
    yield from _workers(found)
    for row in found["webhooks"]:
        if row["due"]:
            yield "carelane_webhook_due_calls", (str(row["id"]),), row["due"]
            yield "carelane_webhook_oldest_seconds", (str(row["id"]),), float(row["oldest_s"])
    for row in found["gate"]:
        yield "carelane_llm_breaker_open", (), float(row["open"])
        yield "carelane_llm_spent_today_usd", (), float(row["spent_today_usd"])


def _workers(found: Found) -> Values:
    # A lane without any worker must be told as 0, or no alert could see it.
    counts = {(lane, state): 0 for lane in ("fast", "llm") for state in ("alive", "silent")}
    for row in found["workers"]:
        counts[row["lane"], "silent" if row["silent_s"] > _SILENT_AFTER_S else "alive"] += 1
    for labels, count in counts.items():
        yield "carelane_workers", labels, count
