"""Waiting inside a task for a service that is away, bounded below the visibility timeout.

Measured (docs/queueing): waiting inside the task costs a second where giving the task back costs
a visibility timeout, and where Celery's own retry loses messages.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from shared.errors import StoreUnavailable
from workers.seams import Clock

logger = logging.getLogger(__name__)
T = TypeVar("T")


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Patience:
    """Tries again while the database is away, `longest_s` at most since it was made."""

    def __init__(self, clock: Clock, longest_s: float, *, first_pause_s: float = 0.1) -> None:
        self._clock = clock
        self._until_s = clock.monotonic_s() + longest_s
        self._first_pause_s = first_pause_s

    def call(self, work: Callable[[], T]) -> T:
        """The result of `work`, a whole transaction; raises its StoreUnavailable at the end."""
        pause_s = self._first_pause_s
        while True:
            try:
                return work()
            except StoreUnavailable as error:
                if self._clock.monotonic_s() + pause_s > self._until_s:
                    raise
                logger.warning("database away, waiting", extra={"reason": str(error)})
            # Full jitter, or every worker knocks at once when the database is back.
            self._clock.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  not a secret
            pause_s = min(pause_s * 2, 1.0)
