"""The LLM lane on real parts: Postgres, SQS, and the stand-in LLM as witness of what was paid."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts import Lane
from tests.services import StandinForTests, eventually
from tests.worker_process import UNSURE
from tests.worker_stack import Clinic, Workers, clinic, workers

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]


def _escalate(clinic: Clinic, *texts: str) -> Any:
    return clinic.accept(*texts, status="escalated")


def test_a_chunk_is_labelled_by_one_call_that_every_label_names(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    ids = _escalate(clinic, "Please refill my metformin", "I want to move my appointment")
    clinic.send(Lane.LLM, ids)

    workers.start("llm", 2)

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    # Labels are written as they stream in, the call's own row when the answer has ended.
    eventually(lambda: clinic.calls()[0].outcome == "ok", what="the call's end")
    (call,) = clinic.calls()
    first, second = (clinic.labels(id_)[-1] for id_ in ids)
    assert first.categories[0] == "refill"
    assert second.categories[0] == "appointment"
    assert (first.tier, first.llm_call_id, second.llm_call_id) == ("llm", call.id, call.id)
    assert (call.messages, call.outcome, call.simulated) == (2, "ok", True)
    assert call.prompt_tokens > 0
    assert call.cost_usd > 0
    assert first.prompt_version == call.prompt_version
    assert len(standin_llm.requests()) == 1


def test_a_chunk_delivered_three_times_is_paid_for_once(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(latency_mean_s=0.5, latency_sigma=0.0)
    ids = _escalate(clinic, *[f"Question number {n} about my bill" for n in range(4)])
    clinic.send(Lane.LLM, ids, times=3)

    workers.start("llm", 4)

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    eventually(lambda: clinic.queue(Lane.LLM).waiting == 0, what="all deliveries looked at")
    assert len(standin_llm.requests()) == 1
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 4


def test_a_call_longer_than_lease_and_visibility_is_made_once(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    clinic.set_visibility(Lane.LLM, 3)
    standin_llm.knobs(latency_mean_s=8.0, latency_sigma=0.0)
    ids = _escalate(clinic, "Please refill my metformin")
    clinic.send(Lane.LLM, ids)

    workers.start("llm", 4, CARELANE_LLM_LEASE_S="2")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    assert len(standin_llm.requests()) == 1
    assert clinic.rows(ids)[0].attempts == 1


def test_identifiers_do_not_reach_the_llm(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    ids = _escalate(clinic, "My number is (614) 555-0143, write to jo.doe@example.org please")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    (request,) = standin_llm.requests()
    assert "555-0143" not in str(request)
    assert "jo.doe" not in str(request)
    assert "555-0143" not in workers.logs()


def test_what_the_llm_was_sent_and_answered_is_kept_masked(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(fail_if_text_contains={"zebra": "refusal"})
    asked = "Please refill my metformin, my number is (614) 555-0143"
    ids = _escalate(clinic, asked, "A zebra bit me")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="both settled")
    answered, refused = (clinic.exchanges(id_)[-1] for id_ in ids)
    assert (answered.outcome, refused.outcome) == ("ok", "refusal")
    assert "555-0143" not in answered.sent
    assert answered.sent.startswith("Please refill my metformin")
    assert answered.sent in str(standin_llm.requests()[-1]) + str(standin_llm.requests()[0])
    assert answered.answered.startswith('{"i":')
    assert answered.llm_call_id == clinic.labels(ids[0])[-1].llm_call_id
    assert (refused.sent, refused.answered) == ("A zebra bit me", None)


def test_what_the_llm_was_sent_is_not_kept_where_that_is_turned_off(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    ids = _escalate(clinic, "Please refill my metformin")
    clinic.send(Lane.LLM, ids)

    workers.start("llm", CARELANE_LLM_TEXT_DAYS="0")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    assert clinic.exchanges(ids[0]) == []


def test_a_text_that_cannot_be_masked_goes_to_a_person_and_not_to_the_llm(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    ids = _escalate(clinic, "Мне нужна помощь, у меня болит голова уже три дня подряд")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "needs_review"), what="needs review")
    assert clinic.rows(ids)[0].status_reason.startswith("deid_")
    assert standin_llm.requests() == []
    assert clinic.calls() == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refusal", "llm_refusal"),
        ("content_filter", "llm_content_filter"),
        ("content_filter_prompt", "llm_content_filter"),
        ("malformed_json", "llm_shape"),
        ("wrong_shape", "llm_not_json"),
        ("wrong_id", "llm_foreign_id"),
        ("invalid_code", "llm_invalid_code"),
        ("cut_off", "llm_cut_off"),
        ("empty_choices", "llm_empty_choices"),
    ],
)
def test_a_message_whose_answer_cannot_be_used_goes_to_a_person_and_its_neighbour_gets_a_label(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests, fault: str, reason: str
) -> None:
    standin_llm.knobs(fail_if_text_contains={"zebra": fault})
    ids = _escalate(clinic, "Please refill my metformin", "A zebra bit me")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="both settled")
    assert clinic.statuses(ids) == ["labelled", "needs_review"]
    assert clinic.rows(ids)[1].status_reason == reason


@pytest.mark.parametrize("fault", ["rate_limit", "rate_limit_bare", "server_error", "overloaded"])
def test_a_passing_fault_is_tried_again_inside_the_lease(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests, fault: str
) -> None:
    standin_llm.knobs(next_faults=[fault])
    ids = _escalate(clinic, "Please refill my metformin")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled"), what="labelled")
    assert len(standin_llm.requests()) == 2
    # The label is stored while the answer still streams.
    eventually(lambda: clinic.calls()[-1].outcome == "ok", what="the call has ended")
    assert clinic.rows(ids)[0].attempts == 1


def test_a_server_that_is_down_leaves_the_message_to_the_sweeper_with_its_lease_free(
    clinic: Clinic, workers: Workers
) -> None:
    ids = _escalate(clinic, UNSURE)
    clinic.send(Lane.LLM, ids)

    workers.start("llm", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    eventually(
        lambda: clinic.rows(ids)[0].attempts == 1 and clinic.rows(ids)[0].lease_owner is None,
        what="the lease is free again",
    )
    assert clinic.statuses(ids) == ["escalated"]


def test_a_persons_label_is_never_overridden_by_an_answer_that_comes_later(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    from sqlalchemy import update

    from shared.database import transaction
    from shared.tables import messages

    standin_llm.knobs(latency_mean_s=2.0, latency_sigma=0.0)
    ids = _escalate(clinic, "Please refill my metformin")
    clinic.send(Lane.LLM, ids)
    workers.start("llm")
    eventually(lambda: standin_llm.requests(), what="the LLM is asked")

    with transaction(clinic.engine) as connection:
        connection.execute(update(messages).values(status="done", current_label_id=None))

    eventually(lambda: "chunk asked" in workers.logs(), what="the answer has come")
    row = clinic.rows(ids)[0]
    assert (row.status, row.current_label_id) == ("done", None)
    assert clinic.labels(ids[0]) == []
