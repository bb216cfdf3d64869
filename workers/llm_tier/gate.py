"""The gate before every LLM call: breaker, rate limit and daily budget, shared by all workers.

One row of Postgres, locked for a moment per call, stands for a provider. That costs a
millisecond where a call takes seconds, and it needs no other service.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared import metrics
from shared.database import transaction
from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
    LanguageModelUnwanted,
)
from shared.settings import Settings
from shared.tables import llm_calls, llm_gate

logger = logging.getLogger(__name__)

#: Reasons with which the gate itself turns a call away.
BREAKER_OPEN: Final = "breaker_open"
OVER_BUDGET: Final = "over_budget"
RATE_LIMIT: Final = "own_rate_limit"

_OPENS_AFTER: Final = 5  # transient failures in a row
_FIRST_PAUSE_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 120.0
#: A setting has to be mended by a person; one call in so long finds out whether it was.
_MISCONFIGURED_PAUSE_S: Final = 300.0
#: Room for short bursts, in seconds of the rate.
_BURST_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the gate lets through; 0 is no limit."""

    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    daily_budget_usd: float = 0.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """As set."""
        return cls(
            requests_per_minute=settings.llm_requests_per_minute,
            tokens_per_minute=settings.llm_tokens_per_minute,
            daily_budget_usd=settings.llm_daily_budget_usd,
        )


def pause_s(failures: int) -> float:
    """How long the breaker stays open after so many failures in a row; 0: closed."""
    if failures < _OPENS_AFTER:
        return 0.0
    return float(min(_FIRST_PAUSE_S * 2 ** min(failures - _OPENS_AFTER, 8), _LONGEST_PAUSE_S))


def next_slot(
    now: datetime, taken_until: datetime | None, amount: float, per_minute: float
) -> tuple[float, datetime]:
    """Seconds to wait for `amount` of a rate, and until when the rate is then spoken for.

    The generic cell rate algorithm (ITU-T I.371), with a burst of some seconds' worth.
    """
    earliest = now - timedelta(seconds=_BURST_S)
    start = max(taken_until or earliest, earliest)
    wait_s = max(0.0, (start - now).total_seconds())
    return wait_s, start + timedelta(seconds=amount * 60.0 / per_minute)


class Gate:
    """The gate of one provider, as one process sees it."""

    def __init__(
        self, engine: Engine, limits: Limits, *, name: str = "default", probe_s: float = 60.0
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._name = name
        self._probe_s = probe_s  # a probe that has not come back after this counts as failed
        self._probe_until: datetime | None = None  # what this process's last probe wrote

    def admit(self, tokens: int, longest_wait_s: float) -> float:
        """Let one call of about so many tokens pass; returns the seconds to wait before it.

        Raises:
            LanguageModelUnavailable: with reason breaker_open, over_budget or own_rate_limit.
        """
        try:
            return self._admit(tokens, longest_wait_s)
        except LanguageModelUnavailable as error:
            metrics.LLM_TURNED_AWAY.inc(reason=error.reason)
            raise

    def _admit(self, tokens: int, longest_wait_s: float) -> float:
        with transaction(self._engine) as connection:
            row = self._locked(connection)
            now: datetime = row.now
            values: dict[str, Any] = {}
            if row.open_until is not None:
                if now < row.open_until:
                    raise LanguageModelUnavailable(
                        BREAKER_OPEN, f"the LLM is taken to be down ({row.reason})"
                    )
                # One call may try; the others go on waiting for what it finds.
                values["open_until"] = now + timedelta(seconds=self._probe_s)
            self._check_budget(connection, row, values)
            wait_s = self._take_slots(row, now, tokens, values)
            if wait_s > longest_wait_s:
                raise LanguageModelUnavailable(
                    RATE_LIMIT, f"our own rate limit leaves no room for {wait_s:.0f} s"
                )
            if values:
                self._set(connection, values)
        self._probe_until = values.get("open_until", self._probe_until)
        return wait_s

    def withdrawn(self) -> None:
        """The call that was let pass is not made after all: if it was to try, another may."""
        if self._probe_until is None:
            return
        with transaction(self._engine) as connection:
            connection.execute(
                update(llm_gate)
                .where(llm_gate.c.name == self._name, llm_gate.c.open_until == self._probe_until)
                .values(open_until=func.clock_timestamp())
            )
        self._probe_until = None

    def succeeded(self) -> None:
        """A call was answered: the breaker closes."""
        with transaction(self._engine) as connection:
            closed = connection.execute(
                update(llm_gate)
                .where(llm_gate.c.name == self._name, llm_gate.c.failures > 0)
                .values(failures=0, reason=None, open_until=None)
                .returning(llm_gate.c.name)
            ).one_or_none()
        if closed is not None:
            logger.info("the LLM answers again")

    def failed(self, error: LanguageModelError) -> None:
        """A call failed. Errors about one message alone say nothing about the LLM."""
        # One that was broken off had begun to answer.
        if isinstance(error, LanguageModelRefused | LanguageModelBadAnswer | LanguageModelUnwanted):
            self.succeeded()
            return
        with transaction(self._engine) as connection:
            row = self._locked(connection)
            now: datetime = row.now
            failures = row.failures + 1
            hold_s = pause_s(failures)
            if isinstance(error, LanguageModelMisconfigured):
                failures, hold_s = max(failures, _OPENS_AFTER), _MISCONFIGURED_PAUSE_S
            until = now + timedelta(seconds=hold_s) if hold_s else None
            self._set(
                connection, {"failures": failures, "reason": error.reason, "open_until": until}
            )
        if hold_s and row.failures < _OPENS_AFTER:
            # Once for all workers: the row says who came first.
            logger.error(
                "LLM tier stopped: %s",
                error,
                extra={"alert": "llm_stopped", "reason": error.reason, "pause_s": hold_s},
            )

    def _locked(self, connection: Connection) -> Any:
        statement = (
            select(llm_gate, func.clock_timestamp().label("now"))
            .where(llm_gate.c.name == self._name)
            .with_for_update()
        )
        row = connection.execute(statement).one_or_none()
        if row is None:
            connection.execute(insert(llm_gate).values(name=self._name).on_conflict_do_nothing())
            row = connection.execute(statement).one()
        return row

    def _set(self, connection: Connection, values: dict[str, Any]) -> None:
        connection.execute(update(llm_gate).where(llm_gate.c.name == self._name).values(values))

    def _take_slots(self, row: Any, now: datetime, tokens: int, values: dict[str, Any]) -> float:
        wait_s = 0.0
        if self._limits.requests_per_minute:
            wait_s, values["next_request_at"] = next_slot(
                now, row.next_request_at, 1, self._limits.requests_per_minute
            )
        if self._limits.tokens_per_minute:
            for_tokens_s, values["next_token_at"] = next_slot(
                now, row.next_token_at, tokens, self._limits.tokens_per_minute
            )
            wait_s = max(wait_s, for_tokens_s)
        return wait_s

    def _check_budget(self, connection: Connection, row: Any, values: dict[str, Any]) -> None:
        budget = Decimal(str(self._limits.daily_budget_usd))
        if not budget:
            return
        today = row.now.astimezone(UTC)
        spent = spent_usd(connection, today.replace(hour=0, minute=0, second=0, microsecond=0))
        if spent >= budget:
            raise LanguageModelUnavailable(
                OVER_BUDGET, f"the day's LLM budget of {budget} USD is spent"
            )
        if spent >= budget * Decimal("0.8") and row.alerted_on != today.date():
            values["alerted_on"] = today.date()
            logger.error(
                "80 % of the day's LLM budget is spent",
                extra={"alert": "llm_budget", "spent_usd": str(spent), "budget_usd": str(budget)},
            )


def spent_usd(connection: Connection, since: datetime) -> Decimal:
    """What all calls since then cost."""
    total = connection.execute(
        select(func.coalesce(func.sum(llm_calls.c.cost_usd), 0)).where(
            llm_calls.c.created_at >= since
        )
    ).scalar_one()
    return Decimal(total)
