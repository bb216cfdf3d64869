"""What the LLM tier does when the LLM is down, misconfigured, too dear, or talked to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, insert, select, update

from shared.contracts import Lane
from shared.database import transaction
from shared.errors import (
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.tables import llm_calls, llm_gate, messages
from tests.injections import CLEAR, DOUBTFUL, HIDDEN
from tests.services import StandinForTests, eventually
from tests.worker_process import SURE
from tests.worker_stack import Clinic, Workers, clinic, workers
from workers.deid import Deidentifier
from workers.llm_tier.gate import Gate, Limits
from workers.llm_tier.risk import Risk, risk_of

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]

DOWN = LanguageModelUnavailable("server_error", "500")


def _let_pause_end(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(llm_gate).values(open_until=datetime.now(UTC) - timedelta(seconds=1))
        )


def _turned_away(gate: Gate) -> str | None:
    try:
        gate.admit(100, 30.0)
    except LanguageModelUnavailable as error:
        return error.reason
    return None


def test_five_failures_in_a_row_close_the_gate_for_every_worker(engine: Engine) -> None:
    one, other = Gate(engine, Limits()), Gate(engine, Limits())
    for _ in range(4):
        one.failed(DOWN)
    assert _turned_away(other) is None

    one.failed(DOWN)

    assert _turned_away(other) == "breaker_open"


def test_after_the_pause_one_call_may_try_and_its_success_opens_the_gate(engine: Engine) -> None:
    gate = Gate(engine, Limits())
    for _ in range(5):
        gate.failed(DOWN)
    _let_pause_end(engine)

    assert [_turned_away(gate), _turned_away(gate)] == [None, "breaker_open"]
    gate.succeeded()

    assert [_turned_away(gate), _turned_away(gate)] == [None, None]


def test_a_try_that_is_not_made_after_all_is_left_to_another_call(engine: Engine) -> None:
    gate, other = Gate(engine, Limits()), Gate(engine, Limits())
    for _ in range(5):
        gate.failed(DOWN)
    _let_pause_end(engine)
    assert [_turned_away(gate), _turned_away(other)] == [None, "breaker_open"]

    other.withdrawn()
    assert _turned_away(other) == "breaker_open"
    gate.withdrawn()

    assert [_turned_away(other), _turned_away(gate)] == [None, "breaker_open"]


def test_a_wrong_key_closes_the_gate_at_once_with_one_alert(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(engine, Limits())

    for _ in range(3):
        gate.failed(LanguageModelMisconfigured("bad_key", "look at OPENAI_API_KEY"))

    assert _turned_away(gate) == "breaker_open"
    alerts = [r for r in caplog.records if getattr(r, "alert", None) == "llm_stopped"]
    assert len(alerts) == 1
    assert "OPENAI_API_KEY" in alerts[0].getMessage()


def test_what_concerns_one_message_alone_does_not_count_against_the_llm(engine: Engine) -> None:
    gate = Gate(engine, Limits())
    for _ in range(4):
        gate.failed(DOWN)

    gate.failed(LanguageModelRefused("content_filter", "filtered"))
    gate.failed(DOWN)

    assert _turned_away(gate) is None


def test_the_rate_limit_is_shared_by_all_workers(engine: Engine) -> None:
    gates = [Gate(engine, Limits(requests_per_minute=60)) for _ in range(3)]

    waits = [gates[n % 3].admit(100, 60.0) for n in range(12)]

    assert waits[0] == 0
    assert waits[-1] > 4


def test_a_token_rate_makes_long_prompts_wait(engine: Engine) -> None:
    gate = Gate(engine, Limits(tokens_per_minute=6_000))

    gate.admit(5_000, 60.0)

    assert gate.admit(10, 60.0) > 30


def _spend(engine: Engine, usd: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            insert(llm_calls).values(
                model="m",
                prompt_version="p",
                outcome="ok",
                messages=1,
                latency_ms=1.0,
                cost_usd=Decimal(usd),
            )
        )


def test_four_fifths_of_the_budget_raise_one_alarm_and_all_of_it_ends_the_calls(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(engine, Limits(daily_budget_usd=1.0))
    _spend(engine, "0.79")
    assert _turned_away(gate) is None

    _spend(engine, "0.02")
    assert [_turned_away(gate), _turned_away(gate)] == [None, None]
    alarms = [r for r in caplog.records if getattr(r, "alert", None) == "llm_budget"]
    assert len(alarms) == 1

    _spend(engine, "0.19")
    assert _turned_away(gate) == "over_budget"


def test_yesterday_s_calls_do_not_count_against_today_s_budget(engine: Engine) -> None:
    _spend(engine, "5")
    with transaction(engine) as connection:
        connection.execute(
            update(llm_calls).values(created_at=datetime.now(UTC) - timedelta(days=1, minutes=1))
        )

    assert _turned_away(Gate(engine, Limits(daily_budget_usd=1.0))) is None


def test_over_budget_messages_go_to_people_without_a_call(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    _spend(clinic.engine, "2")
    ids = clinic.accept("Please refill my metformin", status="escalated")
    clinic.send(Lane.LLM, ids)

    workers.start("llm", CARELANE_LLM_DAILY_BUDGET_USD="1")

    eventually(clinic.all_are(ids, "needs_review"), what="needs review")
    assert clinic.rows(ids)[0].status_reason == "llm_over_budget"
    assert standin_llm.requests() == []


@pytest.mark.parametrize(
    ("fault", "reason"), [("bad_key", "bad_key"), ("model_not_found", "model_not_found")]
)
def test_a_setting_that_must_be_mended_stops_the_tier_without_a_storm_and_messages_wait(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests, fault: str, reason: str
) -> None:
    standin_llm.knobs(fault_rates={fault: 1.0})
    ids = clinic.accept(*[f"Please refill drug number {n}" for n in range(12)], status="escalated")
    for id_ in ids:
        clinic.send(Lane.LLM, [id_])

    workers.start("llm", 1)

    eventually(lambda: clinic.queue(Lane.LLM).waiting == 0, what="all were looked at")
    eventually(
        lambda: all(row.lease_owner is None for row in clinic.rows(ids)), what="all are free"
    )
    assert len(standin_llm.requests()) == 1
    assert workers.logs().count('"alert": "llm_stopped"') == 1
    assert set(clinic.statuses(ids)) == {"escalated"}
    assert {row.attempts for row in clinic.rows(ids)} == {0}
    with transaction(clinic.engine) as connection:
        assert connection.execute(select(llm_gate.c.reason)).scalar_one() == reason


def test_a_message_that_waited_long_enough_for_a_dead_llm_goes_to_a_person(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(fault_rates={"bad_key": 1.0})
    ids = clinic.accept("Please refill my metformin", status="escalated")
    with transaction(clinic.engine) as connection:
        connection.execute(
            update(messages).values(received_at=datetime.now(UTC) - timedelta(hours=1))
        )
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "needs_review"), what="needs review")
    assert clinic.rows(ids)[0].status_reason == "llm_bad_key"


@pytest.mark.parametrize("fault", ["slow_headers", "stalled_stream", "dropped"])
def test_a_call_that_stalls_is_ended_and_made_again_with_nobody_labelled_twice(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests, fault: str
) -> None:
    standin_llm.knobs(next_faults=[fault], slow_s=30.0)
    ids = clinic.accept(*[f"Please refill drug number {n}" for n in range(4)], status="escalated")
    clinic.send(Lane.LLM, ids)

    workers.start("llm", CARELANE_LLM_TIMEOUT_S="3")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 4
    assert len(standin_llm.requests()) == 2


@pytest.mark.parametrize("fault", ["missing_id", "doubled_id", "wrong_id"])
def test_an_answer_with_wrong_ids_in_a_batch_ends_with_every_message_settled_once(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests, fault: str
) -> None:
    standin_llm.knobs(next_faults=[fault])
    ids = clinic.accept(*[f"Please refill drug number {n}" for n in range(4)], status="escalated")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="settled")
    eventually(lambda: "chunk asked" in workers.logs(), what="the chunk is done")
    expected = "needs_review" if fault == "doubled_id" else "labelled"
    assert clinic.statuses(ids) == ["labelled"] * 3 + [expected]


def test_an_instruction_in_a_message_changes_no_other_label_and_goes_to_a_person(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(obeys_injections=True)
    good = ["Please refill my metformin", "I want to move my appointment to Friday"]
    masker = Deidentifier.load()
    # Masking disarms some: what it takes for a name is then no order any more.
    attempts = [
        text
        for text in [*CLEAR, *HIDDEN, *DOUBTFUL[:4]]
        if risk_of(masker.mask(text, 10_000).text) is not Risk.NONE
    ]
    assert len(attempts) > len(CLEAR) + len(HIDDEN) - 4
    chunks = [
        clinic.accept(good[0], *attempts[at : at + 6], good[1], status="escalated")
        for at in range(0, len(attempts), 6)
    ]
    ids = [id_ for chunk in chunks for id_ in chunk]
    for chunk in chunks:
        clinic.send(Lane.LLM, chunk)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="settled")
    for chunk in chunks:
        ends, tried = [chunk[0], chunk[-1]], chunk[1:-1]
        assert clinic.statuses(ends) == ["labelled"] * 2
        assert [clinic.labels(id_)[-1].categories[0] for id_ in ends] == ["refill", "appointment"]
        assert all(clinic.labels(id_)[-1].urgency == "routine" for id_ in ends)
        assert set(clinic.statuses(tried)) == {"needs_review"}
        assert {row.status_reason for row in clinic.rows(tried)} == {"instructions_in_text"}


def test_the_fast_lane_keeps_its_pace_while_the_llm_hangs(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    def p95_s() -> float:
        ids = clinic.accept(*[f"{SURE} {n}" for n in range(40)])
        clinic.send(Lane.FAST, ids)
        eventually(clinic.all_are(ids, "labelled"), what="the fast lane is through")
        waits = sorted(row.settled_at - row.received_at for row in clinic.rows(ids))
        return float(waits[int(len(waits) * 0.95)].total_seconds())

    workers.start("fast")
    up_s = p95_s()
    standin_llm.knobs(fault_rates={"slow_headers": 1.0}, slow_s=30.0)
    waiting = clinic.accept(
        *[f"Please refill drug number {n}" for n in range(40)], status="escalated"
    )
    for at in range(0, len(waiting), 8):
        clinic.send(Lane.LLM, waiting[at : at + 8])
    workers.start("llm", CARELANE_LLM_CONCURRENCY="4")
    eventually(lambda: len(clinic.calls()) >= 1, what="the LLM is asked and does not answer")

    down_s = p95_s()

    # The order of magnitude only: a lane that waited for the LLM would take its time-out.
    assert down_s < 10 * max(up_s, 1.0)
    assert set(clinic.statuses(waiting)) == {"escalated"}
