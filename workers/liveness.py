"""A worker's sign of life: a row in `workers`, orders back, and an end when it no longer polls.

Celery on SQS has neither events nor remote control, so the row is what the operations page sees.
With each beat it reads what it is told: to pause, or to finish what it has and end. A process
whose polling has stopped although SQS answers others ends itself with an exit code
other than 0; its supervisor starts it again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.contracts import Order
from shared.database import transaction
from shared.errors import QueueError, StoreError
from shared.tables import worker_orders, workers
from workers.lease import ProcessName
from workers.sqs_guard import Polls

logger = logging.getLogger(__name__)

#: Exit code of a worker that has fallen silent (EX_TEMPFAIL: starting again may help).
SILENT: Final = 75
#: Tests beat faster.
BEAT_EVERY_S = 5.0
#: What the row says while an order holds.
_STATES: Final = {None: "running", Order.PAUSED: "paused", Order.DRAINED: "draining"}
#: Rows of workers that are gone this long are removed by the others.
_FORGET_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the row says about a process."""

    process: ProcessName
    lane: str  # fast or llm
    model_version: str | None

    @property
    def id(self) -> str:
        """host:pid:start, as the table keys it."""
        return f"{self.process.host}:{self.process.pid}:{self.process.start}"


class Liveness:
    """One thread in the worker's main process."""

    def __init__(
        self,
        identity: Identity,
        polls: Polls | None,
        engine: Engine,
        *,
        broker_answers: Callable[[], bool],
        silent_after_s: float,
        end: Callable[[int], None],
        in_hand: Callable[[], int] = lambda: 0,
    ) -> None:
        self._identity = identity
        self._polls = polls  # None with a broker other than SQS: Celery watches that itself
        self._engine = engine
        self._broker_answers = broker_answers
        self._silent_after_s = silent_after_s
        self._end = end
        self._in_hand = in_hand  # deliveries taken and not acknowledged
        self._wanted: Order | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Beat until `close`."""
        if self._polls is not None:
            self._polls.start()  # the clock starts now, not at import
        threading.Thread(target=self._run, name="liveness", daemon=True).start()

    def close(self) -> None:
        """Stop beating and take the row away."""
        self._stop.set()
        try:
            with transaction(self._engine) as connection:
                connection.execute(workers.delete().where(workers.c.id == self._identity.id))
                mine = worker_orders.c.target == self._identity.id
                connection.execute(worker_orders.delete().where(mine))
        except StoreError as error:
            logger.warning("own row not removed", extra={"reason": str(error)})

    def _run(self) -> None:
        while True:
            self.beat()
            if self.is_silent():
                logger.critical("this worker no longer polls; ending so that it is started again")
                self._end(SILENT)
                return
            if self.is_drained():
                logger.info("drained as told; ending")
                self._end(0)
                return
            if self._stop.wait(BEAT_EVERY_S):
                return

    def beat(self) -> None:
        """Write the row and read the orders; nobody here waits for a database that is away."""
        answered_at = self._polls.answered_at if self._polls else None
        polled_at = datetime.fromtimestamp(answered_at, UTC) if answered_at else None
        statement = insert(workers).values(
            id=self._identity.id,
            lane=self._identity.lane,
            host=self._identity.process.host,
            pid=self._identity.process.pid,
            model_version=self._identity.model_version,
            polled_at=polled_at,
            in_hand=self._in_hand(),
        )
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=[workers.c.id],
            set_={"heartbeat_at": func.now(), "polled_at": new.polled_at, "in_hand": new.in_hand},
        )
        old = workers.c.heartbeat_at < func.now() - _FORGET_AFTER
        try:
            with transaction(self._engine) as connection:
                connection.execute(statement)
                connection.execute(workers.delete().where(old))
                self._obey(connection)
        except StoreError as error:
            logger.warning("heartbeat not written", extra={"reason": str(error)})

    def _obey(self, connection: Connection) -> None:
        """Pause, drain or run, as the orders for this worker and its tier say."""
        me = workers.c.id == self._identity.id
        targets = (self._identity.id, self._identity.lane)
        orders = select(worker_orders.c.wanted).where(worker_orders.c.target.in_(targets))
        wanted = {Order(each) for each in connection.execute(orders).scalars()}
        order = next((each for each in (Order.DRAINED, Order.PAUSED) if each in wanted), None)
        if self._polls is not None:
            self._polls.paused = order is not None
        connection.execute(update(workers).where(me).values(state=_STATES[order]))
        if order is not self._wanted:
            logger.info("told otherwise", extra={"wanted": order or "running"})
            self._wanted = order

    def is_drained(self) -> bool:
        """Whether it was told to finish what it has, and has finished."""
        return self._wanted is Order.DRAINED and not self._in_hand()

    def is_silent(self) -> bool:
        """Whether no poll succeeded for long although the broker answers."""
        if self._polls is None:
            return False
        if time.monotonic() - self._polls.alive_at < self._silent_after_s:
            return False
        try:
            return self._broker_answers()
        except QueueError as error:
            logger.warning("broker away", extra={"reason": str(error)})
            return False


def end_process(code: int, *, ask_nicely: Callable[[int], None], grace_s: float) -> None:
    """End this process with `code`: first by Celery's own way, then without asking."""
    ask_nicely(code)
    time.sleep(grace_s)
    os._exit(code)
