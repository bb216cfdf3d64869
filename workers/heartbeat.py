"""Keeps long claims alive: prolongs their lease in Postgres and their invisibility in SQS.

An LLM call may outlast both. One thread per process beats for the leases of all claims in hand, and
another for their visibility, so that an SQS that swallows packets holds up no lease. A claim that
turns out to be lost is told so, and pays for nothing more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine

from shared.database import transaction
from shared.errors import CarelaneError
from workers import store
from workers.chunk import Delivery

logger = logging.getLogger(__name__)

#: Prolongs a delivery's invisibility by so many seconds from now.
ExtendDelivery = Callable[[Delivery, int], None]
#: Prolongs what an owner holds by so many seconds from now; returns what it still holds.
Extend = Callable[[Connection, str, float], Sequence[UUID]]


@dataclass
class Held:
    """One claim in hand."""

    owner: str
    delivery: Delivery
    extend: Extend
    lost: bool = False  # somebody else has it, or it was settled elsewhere

    def still_ours(self) -> bool:
        """Whether another call may be paid for this claim."""
        return not self.lost


class Heartbeat:
    """Beats every third of the lease while there is anything in hand."""

    def __init__(self, engine: Engine, extend_delivery: ExtendDelivery, lease_s: float) -> None:
        self._engine = engine
        self._extend_delivery = extend_delivery
        self._lease_s = lease_s
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._started = False

    @contextmanager
    def keep(self, owner: str, delivery: Delivery, extend: Extend = store.extend) -> Iterator[Held]:
        """Hold a claim, or what else `extend` prolongs, for the block."""
        held = Held(owner, delivery, extend)
        with self._lock:
            self._held[owner] = held
            self._start()
        try:
            yield held
        finally:
            with self._lock:
                del self._held[owner]

    def close(self) -> None:
        """Stop beating."""
        self._stop.set()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        for name, beat in (("leases", self.extend_lease), ("visibility", self.extend_visibility)):
            threading.Thread(
                target=self._run, args=(beat,), name=f"heartbeat-{name}", daemon=True
            ).start()

    def _run(self, beat: Callable[[Held], None]) -> None:
        while not self._stop.wait(self._lease_s / 3):
            with self._lock:
                all_held = list(self._held.values())
            for held in all_held:
                try:
                    beat(held)
                except Exception as error:
                    # Without this thread, every claim in hand would lapse.
                    logger.exception("a beat failed", extra={"error": type(error).__name__})

    def extend_lease(self, held: Held) -> None:
        """Prolong a claim's lease in Postgres."""
        try:
            with transaction(self._engine) as connection:
                held.lost = not held.extend(connection, held.owner, self._lease_s)
        except CarelaneError as error:
            logger.warning("lease not prolonged", extra={"reason": str(error)})
        if held.lost:
            logger.warning("claim lost, no further calls for it")

    def extend_visibility(self, held: Held) -> None:
        """Prolong a delivery's invisibility in SQS, unless it was settled meanwhile."""
        with self._lock:
            if held.lost or held.owner not in self._held:
                return
        try:
            self._extend_delivery(held.delivery, int(self._lease_s * 1.2) + 1)
        except CarelaneError as error:
            logger.warning("visibility not prolonged", extra={"reason": str(error)})
