"""The LLM asked about red-flagged messages before the fast tier has decided, on real parts.

The fast tier is held back by starting it late; the stand-in's log tells what was asked, and when.
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, insert, select, update

from producer.intake import Intake
from producer.sweeper import sweep
from producer.validation import Draft
from shared.contracts import Lane
from shared.database import transaction
from shared.tables import label_cache, llm_calls, llm_gate, messages, outbox, speculations
from tests.integration.intake_parts import ChestPain
from tests.services import StandinForTests, eventually
from tests.worker_process import SURE, UNSURE
from tests.worker_stack import Clinic, Workers, children, clinic, workers

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]

# Of the urgency that the tests' fast tier says, or that would never be sure.
FLAG = {"rule": "r", "title": "t", "urgency": "routine", "start": 0, "end": 1}


def _ask_ahead(clinic: Clinic, workers: Workers, llm: StandinForTests, text: str) -> list[UUID]:
    """A flagged message that the LLM is being asked about, and that is still the fast tier's."""
    ids = clinic.accept(text, red_flags=[FLAG])
    clinic.send(Lane.LLM, ids)
    workers.start("llm", 4, CARELANE_LLM_SPECULATE="1")
    eventually(llm.requests, what="the LLM is asked")
    assert clinic.statuses(ids) == ["queued"]
    return ids


def _let_the_fast_tier(clinic: Clinic, workers: Workers, ids: list[UUID]) -> None:
    clinic.send(Lane.PRIORITY, ids)
    workers.start("fast", CARELANE_LLM_SPECULATE="1")


def _fences(clinic: Clinic) -> int:
    with transaction(clinic.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(speculations)).scalar_one())


def test_a_message_that_the_fast_tier_passes_on_gets_the_answer_that_is_on_its_way(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(latency_mean_s=6.0, latency_sigma=0.0)
    ids = _ask_ahead(clinic, workers, standin_llm, f"{UNSURE} my chest hurts")

    _let_the_fast_tier(clinic, workers, ids)
    eventually(clinic.relay, what="the escalation is sent")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    provisional, label = clinic.labels(ids[0])
    assert (provisional.tier, label.tier) == ("fast", "llm")
    eventually(lambda: clinic.calls()[-1].outcome == "ok", what="the call has ended")
    (call,) = clinic.calls()
    assert label.llm_call_id == call.id
    assert len(standin_llm.requests()) == 1
    eventually(lambda: not _fences(clinic), what="the fence is gone")
    with transaction(clinic.engine) as connection:
        assert connection.execute(select(label_cache.c.key)).all() == []


def test_an_answer_that_came_before_the_fast_tier_passed_the_message_on_is_not_asked_for_again(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    ids = _ask_ahead(clinic, workers, standin_llm, f"{UNSURE} my chest hurts")
    eventually(lambda: clinic.calls()[-1].outcome == "ok", what="the call has ended")

    _let_the_fast_tier(clinic, workers, ids)

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    assert [label.tier for label in clinic.labels(ids[0])] == ["fast", "llm"]
    clinic.relay()
    eventually(lambda: clinic.queue(Lane.LLM).waiting == 0, what="the escalation is looked at")
    assert len(standin_llm.requests()) == 1


def test_a_call_that_the_fast_tier_does_without_is_broken_off_and_charged(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(output_token_s=2.0)
    ids = _ask_ahead(clinic, workers, standin_llm, f"{SURE} a refill and my chest hurts")

    _let_the_fast_tier(clinic, workers, ids)

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    eventually(lambda: clinic.calls()[0].outcome != "started", what="the call has ended")
    (call,) = clinic.calls()
    assert call.outcome == "speculation_lost"
    assert call.prompt_tokens > 0
    assert call.cost_usd > 0
    assert [label.tier for label in clinic.labels(ids[0])] == ["fast"]
    eventually(
        lambda: standin_llm.requests()[0]["outcome"] == "gone", what="the connection was closed"
    )
    assert len(standin_llm.requests()) == 1
    eventually(lambda: not _fences(clinic), what="the fence is gone")


def test_a_call_for_a_message_that_a_person_has_taken_changes_nothing(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(output_token_s=2.0)
    ids = _ask_ahead(clinic, workers, standin_llm, UNSURE)

    with transaction(clinic.engine) as connection:
        connection.execute(update(messages).values(status="done"))

    eventually(lambda: clinic.calls()[0].outcome == "speculation_lost", what="broken off")
    assert clinic.statuses(ids) == ["done"]
    assert clinic.labels(ids[0]) == []


def test_a_worker_killed_while_it_asks_ahead_leaves_the_message_to_the_next(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(latency_mean_s=60.0, latency_sigma=0.0)
    ids = _ask_ahead(clinic, workers, standin_llm, UNSURE)

    first = workers.started[0]
    for pid in (*children(first.pid), first.pid):
        os.kill(pid, signal.SIGKILL)
    first.wait()
    standin_llm.knobs(latency_mean_s=0.0)
    workers.start("llm", 4, CARELANE_LLM_SPECULATE="1")
    _let_the_fast_tier(clinic, workers, ids)
    eventually(clinic.relay, what="the escalation is sent")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    eventually(
        lambda: [call.outcome for call in clinic.calls()] == ["started", "ok"],
        what="the dead one's call is in the books, and the one that counts",
    )
    assert [label.tier for label in clinic.labels(ids[0])] == ["fast", "llm"]
    assert clinic.rows(ids)[0].attempts == 1


def test_a_fence_whose_owner_cannot_be_seen_holds_until_it_runs_out(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    clinic.set_visibility(Lane.LLM, 4)
    workers.start("llm", 4, CARELANE_LLM_LEASE_S="3", CARELANE_LLM_SPECULATE="1")
    ids = clinic.accept("Please refill my metformin", status="escalated", red_flags=[FLAG])
    with transaction(clinic.engine) as connection:
        fence = {"message_id": ids[0], "owner": "elsewhere/1/1/1/a"}
        until = connection.execute(
            insert(speculations)
            .values(**fence, until=func.clock_timestamp() + timedelta(seconds=6))
            .returning(speculations.c.until)
        ).scalar_one()

    clinic.send(Lane.LLM, ids)

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    assert clinic.labels(ids[0])[-1].created_at > until
    assert len(standin_llm.requests()) == 1


@pytest.mark.parametrize("why", ["over_budget", "breaker_open", "not_masked"])
def test_nothing_is_asked_ahead_where_the_call_would_not_be_made(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests, why: str
) -> None:
    text = "Мне нужна помощь, у меня болит голова" if why == "not_masked" else UNSURE
    ids = clinic.accept(text, red_flags=[FLAG])
    with transaction(clinic.engine) as connection:
        if why == "over_budget":
            spent = {"model": "m", "prompt_version": "1", "outcome": "ok", "messages": 1}
            connection.execute(insert(llm_calls).values(**spent, latency_ms=1.0, cost_usd=1))
        if why == "breaker_open":
            shut = func.now() + timedelta(minutes=5)
            connection.execute(insert(llm_gate).values(name="default", failures=5, open_until=shut))
    clinic.send(Lane.LLM, ids)

    workers.start("llm", 4, CARELANE_LLM_DAILY_BUDGET_USD="0.5", CARELANE_LLM_SPECULATE="1")

    eventually(lambda: "not_made" in workers.logs(), what="not made")
    eventually(lambda: not _fences(clinic), what="the fence is gone")
    row = clinic.rows(ids)[0]
    assert (row.status, row.attempts, row.lease_owner) == ("queued", 0, None)
    assert standin_llm.requests() == []


@pytest.mark.parametrize(
    ("red_flags", "environment"),
    [
        pytest.param([FLAG], {}, id="without the setting"),
        pytest.param([], {"CARELANE_LLM_SPECULATE": "1"}, id="not flagged"),
        pytest.param(
            [FLAG],
            {"CARELANE_LLM_SPECULATE": "1", "CARELANE_LLM_CONCURRENCY": "1"},
            id="a process that makes one call at a time",
        ),
    ],
)
def test_a_queued_message_in_the_llm_lane_is_left_alone(
    clinic: Clinic,
    workers: Workers,
    standin_llm: StandinForTests,
    red_flags: list[dict[str, object]],
    environment: dict[str, str],
) -> None:
    queued = clinic.accept(UNSURE, red_flags=red_flags)
    escalated = clinic.accept("Please refill my metformin", status="escalated")
    clinic.send(Lane.LLM, [*queued, *escalated])

    workers.start("llm", 4, **environment)

    eventually(clinic.all_are(escalated, "labelled"), what="the other is labelled")
    assert clinic.statuses(queued) == ["queued"]
    assert (len(standin_llm.requests()), _fences(clinic)) == (1, 0)


@pytest.mark.parametrize(
    ("speculate", "lanes"),
    [(False, ["fast", "priority"]), (True, ["fast", "llm", "priority"])],
)
def test_the_intake_sends_flagged_messages_to_the_llm_lane_too_where_that_is_set(
    engine: Engine, speculate: bool, lanes: list[str]
) -> None:
    intake = Intake(engine, ChestPain(), speculate=speculate)

    texts = ["I have chest pain", "Please refill my metformin"]
    intake.take("tests", [_draft(n, text) for n, text in enumerate(texts)])

    with transaction(engine) as connection:
        found = connection.execute(select(outbox.c.lane).order_by(outbox.c.lane)).scalars().all()
    assert found == lanes


def test_a_flagged_message_lost_on_its_way_is_sent_again_though_the_llm_lane_holds_it_too(
    clinic: Clinic,
) -> None:
    ids = clinic.accept(UNSURE, red_flags=[FLAG])
    with transaction(clinic.engine) as connection:
        connection.execute(insert(outbox).values(message_id=ids[0], lane="llm"))
        connection.execute(update(messages).values(enqueued_at=func.now() - timedelta(hours=1)))

    swept = sweep(clinic.engine, sweep_after_s=60, give_up_after_s=86_400)

    assert swept.sent_again == (ids[0],)


def _draft(index: int, text: str) -> Draft:
    return Draft(index=index, external_id=str(index), text=text, patient_ref=None, sender=None)
