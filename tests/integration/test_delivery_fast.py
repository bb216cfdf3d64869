"""Chunks through real SQS and Postgres: delivered many times, applied once, whatever dies."""

from __future__ import annotations

import pytest

from shared.contracts import Lane
from tests.services import eventually
from tests.worker_process import HANGS, KILLS, RAISES, STUCK, SURE, UNSURE
from tests.worker_stack import Clinic, Workers, clinic, workers

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]


def test_a_chunk_is_labelled(clinic: Clinic, workers: Workers) -> None:
    ids = clinic.accept(*[f"{SURE} {n}" for n in range(5)])
    clinic.send(Lane.FAST, ids)

    workers.start("fast")

    eventually(clinic.all_are(ids, "labelled"), what="all labelled")
    rows = clinic.rows(ids)
    assert all(row.current_label_id is not None and row.settled_at is not None for row in rows)
    assert all(row.lease_owner is None for row in rows)
    assert [label.categories for label in clinic.labels(ids[0])] == [["refill"]]
    eventually(lambda: clinic.queue(Lane.FAST).in_flight == 0, what="the chunk is deleted")


def test_a_chunk_delivered_three_times_gives_each_message_one_label(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(*[f"{SURE} {n}" for n in range(10)])
    clinic.send(Lane.FAST, ids, times=3)

    workers.start("fast", 2)

    eventually(clinic.all_are(ids, "labelled"), what="all labelled")
    eventually(lambda: clinic.queue(Lane.FAST).waiting == 0, what="all deliveries looked at")
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 10


def test_a_message_that_kills_its_process_goes_to_a_person_and_its_neighbours_get_labels(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(f"{SURE} 1", f"{SURE} 2 {KILLS}", f"{SURE} 3")
    clinic.send(Lane.FAST, ids)

    workers.start("fast", CARELANE_MAX_ATTEMPTS="2")

    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="all settled", timeout_s=60)
    assert clinic.statuses(ids) == ["labelled", "needs_review", "labelled"]
    assert clinic.rows(ids)[1].status_reason == "crashed_worker"
    assert clinic.queue(Lane.FAST).dead == 0


@pytest.mark.parametrize(
    ("hangs", "attempts", "reason"), [(HANGS, "1", "fast_failed"), (STUCK, "2", "crashed_worker")]
)
def test_a_message_that_hangs_goes_to_a_person_and_its_neighbours_get_labels(
    clinic: Clinic, workers: Workers, hangs: str, attempts: str, reason: str
) -> None:
    ids = clinic.accept(f"{SURE} 1", f"{SURE} 2 {hangs}", f"{SURE} 3")
    clinic.send(Lane.FAST, ids)

    workers.start("fast", CARELANE_MAX_ATTEMPTS=attempts)

    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="all settled", timeout_s=120)
    assert clinic.statuses(ids) == ["labelled", "needs_review", "labelled"]
    assert clinic.rows(ids)[1].status_reason == reason
    assert clinic.queue(Lane.FAST).dead == 0


def test_a_message_that_the_model_fails_on_goes_to_a_person_after_its_attempts(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(f"{SURE} 1", RAISES, f"{SURE} 3")
    clinic.send(Lane.FAST, ids)

    workers.start("fast", CARELANE_MAX_ATTEMPTS="2")

    eventually(clinic.all_are([ids[0], ids[2]], "labelled"), what="the neighbours are labelled")
    eventually(clinic.relay, what="the failed one is in the outbox again")
    eventually(clinic.all_are([ids[1]], "needs_review"), what="the failed one needs review")
    assert clinic.rows(ids)[1].status_reason == "fast_failed"


def test_a_chunk_with_ids_that_are_none_or_unknown_is_labelled_all_the_same(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(f"{SURE} 1", f"{SURE} 2")
    clinic.send(Lane.FAST, [ids[0], "no id", "0190a000-0000-7000-8000-000000000000", ids[1]])

    workers.start("fast")

    eventually(clinic.all_are(ids, "labelled"), what="the good ones are labelled")


def test_an_ambiguous_message_is_escalated_with_its_label_as_provisional(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(UNSURE)
    clinic.send(Lane.FAST, ids)

    workers.start("fast")

    eventually(clinic.all_are(ids, "escalated"), what="escalated")
    row = clinic.rows(ids)[0]
    assert row.provisional_label_id is not None
    assert row.current_label_id is None
    assert row.attempts == 0
    assert clinic.relay() == 1


def test_without_a_key_an_ambiguous_message_goes_to_a_person_with_its_provisional_label(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(UNSURE)
    clinic.send(Lane.FAST, ids)

    workers.start("fast", OPENAI_API_KEY="")

    eventually(clinic.all_are(ids, "needs_review"), what="needs review")
    row = clinic.rows(ids)[0]
    assert row.status_reason == "llm_off"
    assert row.provisional_label_id is not None
    assert clinic.relay() == 0


def test_a_red_flagged_message_never_becomes_routine(clinic: Clinic, workers: Workers) -> None:
    flag = {
        "rule": "chest_pain",
        "title": "Chest pain",
        "urgency": "emergent",
        "start": 0,
        "end": 4,
    }
    ids = clinic.accept(SURE, red_flags=[flag])
    clinic.send(Lane.PRIORITY, ids)

    workers.start("fast")
    workers.start("llm")

    eventually(clinic.all_are(ids, "escalated"), what="escalated")
    assert clinic.labels(ids[0])[0].urgency == "emergent"
    clinic.relay()
    eventually(clinic.all_are(ids, "labelled"), what="labelled by the LLM")
    assert clinic.labels(ids[0])[-1].urgency == "emergent"
    assert clinic.rows(ids)[0].urgency_rank == 0
