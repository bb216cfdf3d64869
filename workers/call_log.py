"""`llm_calls`: every call to the LLM, from its start, in transactions of its own.

A row that stays `started` is a call whose process died: what it cost is not known, that it was
made is.
"""

from __future__ import annotations

from sqlalchemy import Engine, insert, update

from shared import metrics
from shared.database import transaction
from shared.tables import llm_calls
from workers.llm_tier.call import CallRecord
from workers.patience import Patience
from workers.seams import Clock


class StoredCalls:
    """Records calls in Postgres; waits a while for it, because the call has been paid for."""

    def __init__(
        self, engine: Engine, clock: Clock, *, simulated: bool, longest_wait_s: float
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._simulated = simulated
        self._longest_wait_s = longest_wait_s

    def start(self, model: str, prompt_version: str, messages: int) -> int:
        """A call is about to be made; returns its id."""
        statement = (
            insert(llm_calls)
            .values(
                model=model,
                prompt_version=prompt_version,
                outcome="started",
                messages=messages,
                latency_ms=0.0,
                simulated=self._simulated,
            )
            .returning(llm_calls.c.id)
        )

        def work() -> int:
            with transaction(self._engine) as connection:
                return int(connection.execute(statement).scalar_one())

        return Patience(self._clock, self._longest_wait_s).call(work)

    def end(self, call_id: int, record: CallRecord) -> None:
        """The call has ended, well or not."""
        _count(record)
        statement = (
            update(llm_calls)
            .where(llm_calls.c.id == call_id)
            .values(
                model=record.model,
                outcome=record.outcome,
                prompt_tokens=record.usage.prompt_tokens,
                cached_tokens=record.usage.cached_tokens,
                completion_tokens=record.usage.completion_tokens,
                cost_usd=record.cost_usd,
                latency_ms=record.latency_ms,
            )
        )

        def work() -> None:
            with transaction(self._engine) as connection:
                connection.execute(statement)

        Patience(self._clock, self._longest_wait_s).call(work)


def _count(record: CallRecord) -> None:
    usage = record.usage
    metrics.LLM_CALL_SECONDS.observe(record.latency_ms / 1000, outcome=record.outcome)
    metrics.LLM_MESSAGES.inc(record.messages, outcome=record.outcome)
    metrics.LLM_TOKENS.inc(max(0, usage.prompt_tokens - usage.cached_tokens), kind="prompt")
    metrics.LLM_TOKENS.inc(usage.cached_tokens, kind="cached")
    metrics.LLM_TOKENS.inc(usage.completion_tokens, kind="completion")
    metrics.LLM_COST_USD.inc(float(record.cost_usd))
