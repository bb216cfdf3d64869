"""What keeps one caller, or one bad hour, from taking the intake down.

A rate per source, a backlog beyond which portals are asked to come back, and a time within which
a body must have arrived. Every refusal says when to try again.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, text

Clock = Callable[[], float]


class Rates:
    """A token bucket per source: a minute's worth at once, refilled evenly."""

    def __init__(
        self, per_minute: int, *, largest_call: int, clock: Clock = time.monotonic
    ) -> None:
        self._per_s = per_minute / 60
        # A call of the largest size must fit, however small the rate.
        self._capacity = float(max(per_minute, largest_call))
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}  # source: tokens, as of

    def wait_s(self, source: str, messages: int) -> float:
        """0 when `source` may hand in so many now, and they are counted; else seconds to wait."""
        now = self._clock()
        with self._lock:
            tokens, as_of = self._levels.get(source, (self._capacity, now))
            tokens = min(self._capacity, tokens + (now - as_of) * self._per_s)
            if tokens >= messages:
                self._levels[source] = (tokens - messages, now)
                return 0.0
            self._levels[source] = (tokens, now)
            return (messages - tokens) / self._per_s


_COUNT = text(
    "SELECT count(*) FROM (SELECT FROM messages WHERE status IN ('queued', 'escalated') "
    "LIMIT :most) AS processing"
)
_LOOK_EVERY_S = 2.0


class Backlog:
    """Whether more messages are processing than the setting allows; looked up now and then."""

    def __init__(self, most: int, *, clock: Clock = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._looked_at = -math.inf
        self._full = False

    def is_full(self, connection: Connection) -> bool:
        """At most `_LOOK_EVERY_S` old; the count stops at the limit, so it stays cheap."""
        # Without a lock: two threads that look at the same time both see the truth.
        if self._clock() - self._looked_at > _LOOK_EVERY_S:
            self._full = connection.execute(_COUNT, {"most": self._most}).scalar_one() >= self._most
            self._looked_at = self._clock()
        return self._full


@contextmanager
def deadline(connection: socket.socket | None, seconds: float) -> Iterator[threading.Event]:
    """Stop reading from `connection` after `seconds`; the event says that this happened.

    A time-out per read would not do: a byte now and then renews it for ever. Nothing happens
    without a socket, as in tests.
    """
    late = threading.Event()
    if connection is None:
        yield late
        return

    def end() -> None:
        late.set()
        with suppress(OSError):  # the caller may have hung up meanwhile
            connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
