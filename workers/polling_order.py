"""Which queue a worker polls while the most important one has more than it can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A receive that is open for this long found an empty queue and waits for something to come: well
#: above what SQS takes for an answer that brings messages, a few tens of milliseconds.
_WAITS_AFTER_S: Final = 0.4
#: The other queues get a poll after so long, and a free slot, so that a flood of red flags cannot
#: starve them.
_LONGEST_HOLD_S: Final = 5.0


@dataclass
class PollingOrder:
    """Holds the other queues back while polls of the first one bring something.

    Without it a child takes turns: a chunk of 32 ordinary messages for each small chunk of flagged
    ones, so that a burst's flagged messages wait for most of its ordinary ones. All times are of
    time.monotonic(), in seconds.
    """

    _found: bool = False
    _asked_at: float | None = None
    _held_since: float | None = None

    def asked(self, now_s: float) -> None:
        """A receive from the first queue begins."""
        self._asked_at = now_s

    def answered(self, messages: int) -> None:
        """It ended with so many messages; 0 also where it failed."""
        self._found = messages > 0
        self._asked_at = None

    def others_may_poll(self, now_s: float) -> bool:
        """Whether another queue may be asked now; where it may, its time begins anew."""
        waits = self._asked_at is not None and now_s - self._asked_at > _WAITS_AFTER_S
        if self._found and not waits:
            if self._held_since is None:
                self._held_since = now_s
            if now_s - self._held_since < _LONGEST_HOLD_S:
                return False
        self._held_since = None
        return True
