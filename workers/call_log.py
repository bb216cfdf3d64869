"""`llm_calls`: every call to the LLM, paid or failed, in a transaction of its own."""

from __future__ import annotations

from sqlalchemy import Engine, insert

from shared.database import transaction
from shared.tables import llm_calls
from workers.llm_tier.tier import CallRecord
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

    def add(self, record: CallRecord) -> int:
        """Keep it; returns its id."""
        return Patience(self._clock, self._longest_wait_s).call(lambda: self._insert(record))

    def _insert(self, record: CallRecord) -> int:
        with transaction(self._engine) as connection:
            added: int = connection.execute(
                insert(llm_calls)
                .values(
                    model=record.model,
                    prompt_version=record.prompt_version,
                    outcome=record.outcome,
                    messages=record.messages,
                    prompt_tokens=record.usage.prompt_tokens,
                    cached_tokens=record.usage.cached_tokens,
                    completion_tokens=record.usage.completion_tokens,
                    cost_usd=record.cost_usd,
                    latency_ms=record.latency_ms,
                    simulated=self._simulated,
                )
                .returning(llm_calls.c.id)
            ).scalar_one()
        return added
