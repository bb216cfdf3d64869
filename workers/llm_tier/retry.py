"""How long to wait before an LLM call is tried again. Pure, but for the dice that are handed in."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from shared.errors import LanguageModelError, LanguageModelUnavailable

#: The lease ended: after a call, or before anything was sent.
OUT_OF_TIME: Final = "out_of_time"
NOT_ASKED: Final = "not_asked_in_time"
#: Our own gate's and lease's refusals: asking again within the lease changes nothing.
NOT_RETRIED: Final = frozenset(
    {"breaker_open", "over_budget", "own_rate_limit", OUT_OF_TIME, NOT_ASKED}
)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Full jitter over a doubling pause; never shorter than the server asks."""

    tries: int = 4
    first_pause_s: float = 0.5
    longest_pause_s: float = 8.0

    def pause_s(
        self, error: LanguageModelError, tried: int, left_s: float, dice: random.Random
    ) -> float | None:
        """Seconds until try number `tried` + 1, or None when there should be none.

        None for errors that are not transient, after the last try, and when the pause would not
        end within `left_s`, the rest of the lease.
        """
        if not isinstance(error, LanguageModelUnavailable) or tried >= self.tries:
            return None
        if error.reason in NOT_RETRIED:
            return None
        pause_s = dice.uniform(0, min(self.first_pause_s * 2**tried, self.longest_pause_s))
        if error.retry_after_s is not None:
            # Somewhat later than asked: others were asked to wait as long.
            pause_s = error.retry_after_s + pause_s / 4
        return pause_s if pause_s < left_s else None
