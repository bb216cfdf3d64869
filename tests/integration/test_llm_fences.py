"""Fences around what the LLM is asked about ahead of time: against paying twice, never in the way.

The lane's own code in this process, on a real database; the LLM is told by hand when to answer.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, insert, select, text, update
from sqlalchemy.exc import OperationalError

from shared.contracts import Urgency
from shared.database import make_engine, transaction
from shared.errors import DeidError
from shared.settings import Settings
from shared.tables import messages, speculations, worker_orders
from shared.taxonomy import Taxonomy
from tests.services import eventually
from tests.worker_stack import Clinic
from workers.call_log import StoredCalls
from workers.chunk import Delivery
from workers.escalation import LlmLane, run_llm_chunk
from workers.heartbeat import Heartbeat
from workers.label_cache import LabelCache
from workers.lease import ProcessName
from workers.llm_tier.answer import Answer
from workers.llm_tier.batcher import Asks
from workers.llm_tier.call import Answered
from workers.llm_tier.prompt import make_prompt
from workers.llm_tier.sheet import Sheet
from workers.llm_tier.tier import Question, Request
from workers.patience import SystemClock
from workers.runtime import Runtime
from workers.speculation import Speculator

pytestmark = pytest.mark.integration

FLAG = {"rule": "r", "title": "t", "urgency": "routine", "start": 0, "end": 1}
DELIVERY = Delivery(queue=None, receipt=None)
TAXONOMY = Taxonomy.load()


@dataclass
class AnswersWhenTold:
    """A batcher whose calls are answered by `answer`."""

    call_id: int
    asked: list[str] = field(default_factory=list)
    told: threading.Event = field(default_factory=threading.Event)

    def begin(self, request: Request) -> list[threading.Event]:
        self.asked += [each.text for each in request.questions]
        waits = [threading.Event() for _ in request.questions]

        def answer() -> None:
            self.told.wait(60)
            answered = Answered(
                answer=Answer(categories=("refill",), urgency=Urgency.ROUTINE),
                call_id=self.call_id,
                model="m",
                cost_usd=Decimal(0),
                latency_ms=1.0,
            )
            for place, done in enumerate(waits):
                request.on_result(place, answered)
                done.set()

        threading.Thread(target=answer, daemon=True).start()
        return waits

    def ask(self, request: Request) -> None:
        for done in self.begin(request):
            done.wait()


@dataclass
class MasksOnce:
    """A masker whose time is up when it sees a text again."""

    seen: set[str] = field(default_factory=set)

    def mask(self, text: str, budget_ms: float | None = None) -> Any:  # noqa: ARG002
        if text in self.seen:
            raise DeidError("timeout", "took too long")
        self.seen.add(text)
        return SimpleNamespace(text=text)


@dataclass
class Parts:
    """An LLM worker's lane in hand."""

    clinic: Clinic
    engine: Engine  # the worker's own
    runtime: Runtime
    lane: LlmLane
    llm: AnswersWhenTold
    speculator: Speculator

    def accept(self, *texts: str, status: str = "queued") -> list[UUID]:
        return self.clinic.accept(*texts, status=status, red_flags=[FLAG])

    def fences(self) -> dict[UUID, datetime]:
        with transaction(self.clinic.engine) as connection:
            rows = connection.execute(select(speculations.c.message_id, speculations.c.until))
            return {row.message_id: row.until for row in rows}

    def now(self, id_: UUID, status: str) -> None:
        """Somebody else decides about a message."""
        with transaction(self.clinic.engine) as connection:
            connection.execute(update(messages).where(messages.c.id == id_).values(status=status))


@pytest.fixture
def parts(engine: Engine, settings: Settings) -> Iterator[Parts]:
    own = make_engine(settings, "llm-worker")
    settings = replace(settings, llm_lease_s=1.5)
    clock, process = SystemClock(), ProcessName.of_pid(os.getpid())
    heartbeat = Heartbeat(own, lambda _delivery, _seconds: None, settings.llm_lease_s)
    calls = StoredCalls(engine, clock, simulated=True, longest_wait_s=1.0)
    llm = AnswersWhenTold(calls.start("m", "p", 1))
    masker: Any = MasksOnce()
    batcher: Any = llm
    tier: Any = SimpleNamespace(taxonomy=TAXONOMY, prompt=make_prompt(TAXONOMY))
    speculator = Speculator(
        engine=own,
        process=process,
        clock=clock,
        batcher=batcher,
        masker=masker,
        heartbeat=heartbeat,
        slots=threading.BoundedSemaphore(1),
        fence_s=settings.llm_lease_s,
        budget_s=30.0,
    )
    lane = LlmLane(
        tier=tier,
        batcher=llm,
        masker=masker,
        heartbeat=heartbeat,
        cache=LabelCache(engine=own, clock=clock, keys=None, days=1.0, most_entries=1),
        budget_s=30.0,
        speculator=speculator,
    )
    runtime = Runtime(settings=settings, engine=own, process=process, clock=clock, llm=lane)
    yield Parts(Clinic(engine, settings), own, runtime, lane, llm, speculator)
    llm.told.set()
    heartbeat.close()
    own.dispose()


def _nothing(passed_on: Mapping[UUID, Sheet], answers: Asks) -> None:
    """Settles nothing."""


def test_what_is_passed_on_before_its_fence_can_be_seen_is_not_asked_about_ahead(
    parts: Parts,
) -> None:
    late, other = parts.accept("late", "other")

    @event.listens_for(parts.engine, "commit", once=True)
    def passed_on(_: object) -> None:
        parts.now(late, "escalated")

    speculation = parts.speculator.begin([late, other], DELIVERY, _nothing)

    assert parts.llm.asked == ["other"]
    assert list(parts.fences()) == [other]
    parts.now(other, "done")
    assert speculation is not None
    speculation.join()


def test_while_the_fast_tier_is_paused_nothing_is_asked_ahead(parts: Parts) -> None:
    ids = parts.accept("flagged")
    with transaction(parts.clinic.engine) as connection:
        order = {"target": "fast", "wanted": "paused", "actor": "somebody"}
        connection.execute(insert(worker_orders).values(order))

    assert parts.speculator.begin(ids, DELIVERY, _nothing) is None
    assert (parts.llm.asked, parts.fences()) == ([], {})


def test_a_fence_stands_for_as_long_as_its_worker_settles_another_message(parts: Parts) -> None:
    first, second = parts.accept("first", "second")
    settling, go_on = threading.Event(), threading.Event()

    def settle(passed_on: Mapping[UUID, Sheet], answers: Asks) -> None:
        settling.set()
        go_on.wait(60)

    speculation = parts.speculator.begin([first, second], DELIVERY, settle)
    assert speculation is not None
    until = parts.fences()[second]
    parts.now(first, "escalated")
    assert settling.wait(30)

    eventually(lambda: datetime.now(UTC) > until, what="the fence would have run out")

    assert second in parts.speculator.fenced([second])
    go_on.set()
    speculation.join()
    assert parts.fences() == {}


def test_a_database_that_is_away_for_a_moment_ends_no_speculation(parts: Parts) -> None:
    (id_,) = parts.accept("flagged")
    refused: list[str] = []

    @event.listens_for(parts.engine, "before_cursor_execute")
    def away(_c: object, _k: object, statement: str, *_: object) -> None:
        kind = statement.split()[0]
        ours = threading.current_thread().name == "llm-speculation"
        if ours and kind in ("SELECT", "DELETE") and refused.count(kind) < 2:
            refused.append(kind)
            raise OperationalError("", {}, Exception("server closed the connection"))

    speculation = replace(parts.speculator, fence_s=50.0).begin([id_], DELIVERY, _nothing)
    eventually(lambda: refused == ["SELECT", "SELECT"], what="two looks failed")
    assert list(parts.fences()) == [id_]
    parts.now(id_, "done")

    assert speculation is not None
    speculation.join()
    assert refused == ["SELECT", "SELECT", "DELETE", "DELETE"]
    assert parts.fences() == {}


def test_an_answer_that_is_paid_for_is_used_though_masking_again_would_take_too_long(
    parts: Parts,
) -> None:
    ids = parts.accept("flagged")
    with ThreadPoolExecutor() as pool:
        done = pool.submit(run_llm_chunk, ids, parts.runtime, DELIVERY)
        eventually(lambda: parts.llm.asked, what="asked ahead")
        parts.now(ids[0], "escalated")
        parts.llm.told.set()
        done.result(60)

    assert parts.clinic.statuses(ids) == ["labelled"]
    assert parts.llm.asked == ["flagged"]


@pytest.mark.parametrize("asks", [True, False])
def test_only_an_answer_that_was_handed_over_counts_as_used(
    parts: Parts, caplog: pytest.LogCaptureFixture, asks: bool
) -> None:
    caplog.set_level(logging.INFO, "workers.speculation")
    (id_,) = parts.accept("flagged")
    parts.llm.told.set()
    ask: Callable[[Sequence[str], Asks], None] = _ask if asks else lambda _texts, _answers: None

    def settle(passed_on: Mapping[UUID, Sheet], answers: Asks) -> None:
        ask([sheet.text for sheet in passed_on.values()], answers)

    speculation = parts.speculator.begin([id_], DELIVERY, settle)
    assert speculation is not None
    parts.now(id_, "escalated")
    speculation.join()

    results = [r.result for r in caplog.records if r.getMessage() == "speculation over"]  # type: ignore[attr-defined]
    assert results == ["used" if asks else "lost"]


def _ask(texts: Sequence[str], answers: Asks) -> None:
    answers.ask(
        Request(
            questions=[Question(text=each) for each in texts],
            on_result=lambda _place, _result: None,
            budget_s=1.0,
            still_ours=lambda: True,
        )
    )


def test_without_the_table_the_lane_goes_on_and_says_what_to_mend(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction(parts.clinic.engine) as connection:
        connection.execute(text("DROP TABLE speculations"))
    ids = parts.accept("flagged", status="escalated")
    parts.llm.told.set()

    run_llm_chunk(ids, parts.runtime, DELIVERY)

    assert parts.clinic.statuses(ids) == ["labelled"]
    assert "carelane migrate" in caplog.text
