"""What stands before and behind every LLM call of one run: limits, breaker, budget, and a journal.

The live tier's rules without its database: one process asks for the whole run.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from decimal import Decimal

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from workers.bulk.places import Folder
from workers.bulk.questions import CALLS, Spending
from workers.llm_tier.call import CallRecord
from workers.llm_tier.gate import BREAKER_OPEN, OVER_BUDGET, RATE_LIMIT, Limits, next_slot, pause_s
from workers.seams import Clock


class RunGate:
    """The gate before every call of one run: the live gate's rules, in this process's memory."""

    def __init__(self, clock: Clock, limits: Limits, most_usd: Decimal, spent: Spending) -> None:
        self._clock = clock
        self._limits = limits
        self._most_usd = most_usd  # 0: no limit
        self._spent = spent
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: datetime | None = None
        self._requests_until: datetime | None = None
        self._tokens_until: datetime | None = None

    def admit(self, tokens: int, longest_wait_s: float) -> float:
        """Let one call pass; returns the seconds to wait before it."""
        with self._lock:
            now = self._clock.now()
            if self._open_until is not None and now < self._open_until:
                raise LanguageModelUnavailable(BREAKER_OPEN, "the LLM is taken to be down")
            if self._most_usd and self._spent.cost_usd >= self._most_usd:
                raise LanguageModelUnavailable(OVER_BUDGET, f"{self._most_usd} USD are spent")
            return self._take_slots(now, tokens, longest_wait_s)

    def _take_slots(self, now: datetime, tokens: int, longest_wait_s: float) -> float:
        wait_s, requests, used = 0.0, self._requests_until, self._tokens_until
        if self._limits.requests_per_minute:
            wait_s, requests = next_slot(now, requests, 1, self._limits.requests_per_minute)
        if self._limits.tokens_per_minute:
            tokens_s, used = next_slot(now, used, tokens, self._limits.tokens_per_minute)
            wait_s = max(wait_s, tokens_s)
        if wait_s > longest_wait_s:
            raise LanguageModelUnavailable(RATE_LIMIT, f"no room for {wait_s:.0f} s")
        self._requests_until, self._tokens_until = requests, used
        return wait_s

    def withdrawn(self) -> None:
        """The call is not made after all; nobody waits for what it would have found out."""

    def succeeded(self) -> None:
        """A call was answered: the breaker closes."""
        with self._lock:
            self._failures, self._open_until = 0, None

    def failed(self, error: LanguageModelError) -> None:
        """A call failed; errors about one message say nothing about the LLM."""
        if isinstance(error, LanguageModelRefused | LanguageModelBadAnswer):
            self.succeeded()
            return
        with self._lock:
            self._failures += 1
            hold_s = pause_s(self._failures)
            if hold_s:
                self._open_until = self._clock.now() + timedelta(seconds=hold_s)

    def opens_in_s(self) -> float:
        """Seconds until a call may be tried."""
        with self._lock:
            if self._open_until is None:
                return 0.0
            return max(0.0, (self._open_until - self._clock.now()).total_seconds())


class RunCalls:
    """Every call of the run, written down when it ends, and their sum."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._next = 0
        self.total = Spending.read(folder)

    def start(self, model: str, prompt_version: str, messages: int) -> int:  # noqa: ARG002
        """A call is about to be made."""
        with self._lock:
            self._next += 1
            return self._next

    def end(self, call_id: int, record: CallRecord) -> None:  # noqa: ARG002  a seam's signature
        """The call has ended."""
        usage = record.usage
        line = {
            "outcome": record.outcome,
            "messages": record.messages,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": str(record.cost_usd),
            "latency_ms": round(record.latency_ms),
        }
        with self._lock:
            self.total.add(line)
            self._folder.append(CALLS, [json.dumps(line)])
