"""Moves outbox rows to the queues: at least once, by any number of relays at the same time.

One step claims rows of one lane (SKIP LOCKED), sends them as chunks of ids, deletes what the
broker took and commits. Killed anywhere in between, the rows are still there and go again:
the workers settle a message once however often its id arrives.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from producer.publisher import TASKS_PER_CALL, QueuePublisher
from shared import logs, metrics, tracing
from shared.contracts import Lane
from shared.database import transaction
from shared.errors import QueueError, StoreError
from shared.notify import Listener

logger = logging.getLogger(__name__)

#: Priority first; after it the LLM lane, whose rows are few and whose work is slow.
_LANES = (Lane.PRIORITY, Lane.LLM, Lane.FAST)
#: A notification can be lost; then a row waits this long at most.
_POLL_S = 1.0
_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 5.0
#: A row that waited longer in the outbox is stamped anew when it is sent, or the sweeper would
#: take what a broker's outage held back for lost and send all of it a second time.
_STAMP_AFTER_S = 10


@dataclass(frozen=True)
class _Claimed:
    outbox_id: int
    message_id: UUID
    waited_s: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step moved and what it could not."""

    sent: int = 0
    left: int = 0  # claimed, but refused by the broker; still in the outbox


_CLAIM = text(
    """
    SELECT id, message_id, extract(epoch FROM clock_timestamp() - created_at) AS waited_s
    FROM outbox WHERE lane = :lane
    ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
    """
)
_DELETE = text(
    """
    WITH gone AS (
        DELETE FROM outbox WHERE id = ANY(CAST(:ids AS bigint[])) RETURNING message_id, created_at
    ), late AS (
        SELECT m.id FROM messages m JOIN gone ON gone.message_id = m.id
        WHERE gone.created_at < now() - make_interval(secs => :late_s)
        FOR UPDATE OF m SKIP LOCKED
    )
    UPDATE messages SET enqueued_at = now() FROM late WHERE messages.id = late.id
    """
)


def relay_lane(engine: Engine, publisher: QueuePublisher, lane: Lane) -> Step:
    """Claim, send, delete, commit: one step for one lane.

    Raises:
        QueueError: the broker took nothing; all rows are where they were.
        StoreError: the database failed; what was sent meanwhile will go again.
    """
    with transaction(engine) as connection:
        started_ns = time.time_ns()
        claimed = _claim(connection, lane)
        if not claimed:
            return Step()
        parents = tracing.parents(connection, [row.message_id for row in claimed])
        chunks = [
            claimed[start : start + lane.chunk] for start in range(0, len(claimed), lane.chunk)
        ]
        taken = publisher.publish(lane, [[row.message_id for row in chunk] for chunk in chunks])
        sent = [row for chunk, ok in zip(chunks, taken, strict=True) if ok for row in chunk]
        if sent:
            parameters = {"ids": [row.outbox_id for row in sent], "late_s": _STAMP_AFTER_S}
            connection.execute(_DELETE, parameters)
    metrics.SENT.inc(len(sent), lane=lane.value)
    for row in sent:
        metrics.OUTBOX_SECONDS.observe(row.waited_s, lane=lane.value)
        tracing.record(
            "relay",
            parents.get(row.message_id),
            started_ns,
            message_id=str(row.message_id),
            lane=lane.value,
            waited_s=row.waited_s,
        )
    logs.with_ids(logger, "sent to queue", [row.message_id for row in sent], lane=lane.value)
    return Step(sent=len(sent), left=len(claimed) - len(sent))


def _claim(connection: Connection, lane: Lane) -> Sequence[_Claimed]:
    rows = connection.execute(_CLAIM, {"lane": lane.value, "most": TASKS_PER_CALL * lane.chunk})
    return [_Claimed(row.id, row.message_id, float(row.waited_s)) for row in rows]


class Relay:
    """The relay's loop: send all there is, then sleep until woken."""

    def __init__(self, engine: Engine, publisher: QueuePublisher, listener: Listener) -> None:
        self._engine = engine
        self._publisher = publisher
        self._listener = listener
        self._listening = False
        self._backoff_s = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`; the step in hand is finished first."""
        logger.info("relay started")
        try:
            while not stop.is_set():
                self._listen()
                if self._drain(stop):
                    self._backoff_s = 0.0
                    self._sleep_until_woken(stop)
                else:
                    self._back_off(stop)
        finally:
            self._listener.close()
        logger.info("relay stopped")

    def _listen(self) -> None:
        """(Re)connect if need be. The look at the table that must follow is the next `_drain`."""
        if self._listening:
            return
        try:
            self._listener.connect()
        except StoreError as error:
            logger.warning("cannot listen; polling", extra={"error_text": str(error)})
            return
        self._listening = True

    def _drain(self, stop: threading.Event) -> bool:
        """Send until every lane is empty; False when something did not go through."""
        all_well = True
        busy = set(_LANES)
        while busy and not stop.is_set():
            for lane in [lane for lane in _LANES if lane in busy]:
                step = self._try_step(lane)
                if step is None or step.left:
                    all_well = False
                if step is None or step.left or not step.sent:
                    busy.discard(lane)
        return all_well

    def _try_step(self, lane: Lane) -> Step | None:
        started = time.monotonic()
        try:
            step = relay_lane(self._engine, self._publisher, lane)
        except (QueueError, StoreError) as error:
            logger.warning(
                "nothing sent; the outbox keeps it",
                extra={"lane": lane.value, "error": type(error).__name__, "error_text": str(error)},
            )
            metrics.SEND_FAILURES.inc(lane=lane.value)
            return None
        if step.left:
            metrics.SEND_FAILURES.inc(lane=lane.value)
            logger.warning(
                "the broker refused part of a batch; the outbox keeps it",
                extra={"lane": lane.value, "sent": step.sent, "left": step.left},
            )
        elif step.sent:
            duration_ms = round((time.monotonic() - started) * 1000, 1)
            logger.info(
                "sent", extra={"lane": lane.value, "sent": step.sent, "duration_ms": duration_ms}
            )
        return step

    def _sleep_until_woken(self, stop: threading.Event) -> None:
        if not self._listening:
            stop.wait(_POLL_S)
            return
        try:
            for _ in self._listener.wait(_POLL_S):
                pass  # that something came is all a notification says
        except StoreError as error:
            logger.warning("listener lost", extra={"error_text": str(error)})
            self._listening = False

    def _back_off(self, stop: threading.Event) -> None:
        self._backoff_s = min(max(2 * self._backoff_s, _FIRST_BACKOFF_S), _LONGEST_BACKOFF_S)
        # Jitter, so that relays that failed together do not come back together.
        stop.wait(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  not a secret
