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
from datetime import timedelta

from sqlalchemy import Connection, text

Clock = Callable[[], float]


# The generic cell rate algorithm (ITU-T I.371): a row says until when a source's rate is spoken
# for. One statement, so that processes cannot both take the last of it.
_TAKE = text(
    """
    INSERT INTO intake_rates (source, taken_until)
    VALUES (:source, clock_timestamp() - :burst + :cost)
    ON CONFLICT (source) DO UPDATE
    SET taken_until =
        greatest(intake_rates.taken_until, clock_timestamp() - :burst) + :cost
    WHERE greatest(intake_rates.taken_until, clock_timestamp() - :burst) + :cost
        <= clock_timestamp()
    RETURNING source
    """
)
_WAIT = text(
    "SELECT extract(epoch FROM taken_until + :cost - clock_timestamp()) FROM intake_rates "
    "WHERE source = :source"
)


class Rates:
    """A token bucket per source, one for all processes: a minute's worth, refilled evenly.

    It lies in Postgres, in a table that no crash needs to restore, so taking from it costs a
    statement and no write to disk.
    """

    def __init__(self, per_minute: int, *, largest_call: int) -> None:
        self._each = timedelta(minutes=1) / per_minute
        # A call of the largest size must fit, however small the rate.
        self._burst = max(per_minute, largest_call) * self._each

    def wait_s(self, connection: Connection, source: str, messages: int) -> float:
        """0 when `source` may hand in so many now, and they are counted; else seconds to wait.

        Counted when the transaction commits; keep it short, for the source's other calls wait.
        """
        given = {"source": source, "burst": self._burst, "cost": messages * self._each}
        if connection.execute(_TAKE, given).first():
            return 0.0
        left_s = connection.execute(_WAIT, {"source": source, "cost": given["cost"]}).scalar_one()
        return max(float(left_s), 0.001)


_COUNT = text(
    "SELECT count(*) FROM (SELECT FROM messages WHERE status IN ('queued', 'escalated') "
    "LIMIT :most) AS processing"
)
_LOOK_EVERY_S = 2.0


class Backlog:
    """Whether more messages are processing than the setting allows; looked up now and then.

    Between two looks this process counts what it lets in itself: a burst is over the limit before
    the next look.
    """

    def __init__(self, most: int, *, clock: Clock = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._looked_at = -math.inf
        self._room = 0
        self._lock = threading.Lock()

    def is_full(self, connection: Connection, messages: int) -> bool:
        """Whether there is no room now; if there is, so many messages are let in."""
        # Without the lock: two threads that look at the same time both see the truth.
        if self._clock() - self._looked_at > _LOOK_EVERY_S:
            # The count stops at the limit, so it stays cheap.
            processing = connection.execute(_COUNT, {"most": self._most}).scalar_one()
            self._room = self._most - processing
            self._looked_at = self._clock()
        with self._lock:
            if self._room <= 0:
                return True
            self._room -= messages
            return False


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
