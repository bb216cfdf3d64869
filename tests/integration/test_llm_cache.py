"""Equal messages: asked once, across workers; corrected by people; never when red-flagged."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from shared.contracts import Lane
from shared.database import transaction
from shared.tables import label_cache, labels, messages
from tests.services import StandinForTests, eventually
from tests.worker_process import SURE
from tests.worker_stack import Clinic, Workers, clinic, workers
from workers import cache

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]

TEXT = "Please refill my metformin 500 mg"
FLAG = {"rule": "r", "title": "t", "urgency": "urgent", "start": 0, "end": 1}


def _correct(clinic: Clinic, id_: UUID, category: str) -> None:
    """What the dashboard writes when a clinician corrects a label."""
    with transaction(clinic.engine) as connection:
        label_id = connection.execute(
            insert(labels)
            .values(
                message_id=id_,
                categories=[category],
                urgency="routine",
                tier="human",
                taxonomy_version="1",
                author="ann",
            )
            .returning(labels.c.id)
        ).scalar_one()
        connection.execute(
            update(messages).where(messages.c.id == id_).values(current_label_id=label_id)
        )


def test_equal_messages_in_flight_in_several_chunks_are_asked_once(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(latency_mean_s=1.0, latency_sigma=0.0)
    texts = [TEXT, f"Hello Dr. Osei,\n{TEXT.upper()}\nThank you!", f"Hi! {TEXT}."[:-1]]
    ids = clinic.accept(*texts, TEXT, status="escalated")
    workers.start("llm", 4)
    workers.start("llm", 4)

    for id_ in ids[:3]:
        clinic.send(Lane.LLM, [id_])
    clinic.send(Lane.LLM, [ids[3]])

    eventually(clinic.all_are(ids, "labelled"), what="all labelled")
    assert len(standin_llm.requests()) == 1
    tiers = sorted(clinic.labels(id_)[-1].tier for id_ in ids)
    assert tiers == ["cache", "cache", "cache", "llm"]
    with transaction(clinic.engine) as connection:
        entry = connection.execute(select(label_cache)).one()
    assert entry.hits == 3
    assert "metformin" not in str(entry)


def test_equal_messages_of_one_chunk_are_asked_once(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    ids = clinic.accept(TEXT, TEXT.lower(), "I want to pay my bill", status="escalated")
    clinic.send(Lane.LLM, ids)

    workers.start("llm")

    eventually(clinic.all_are(ids, "labelled"), what="all labelled")
    assert [call.messages for call in clinic.calls()] == [2]


def test_a_correction_replaces_what_the_cache_says_and_taking_it_back_takes_it_out(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    first = clinic.accept(TEXT, status="escalated")
    clinic.send(Lane.LLM, first)
    workers.start("llm")
    eventually(clinic.all_are(first, "labelled"), what="labelled by the LLM")
    before = clinic.rows(first)[0].current_label_id

    _correct(clinic, first[0], "billing")
    second = clinic.accept(TEXT, status="escalated")
    clinic.send(Lane.LLM, second)
    eventually(clinic.all_are(second, "labelled"), what="labelled from the cache")

    label = clinic.labels(second[0])[-1]
    assert (label.tier, label.categories) == ("cache", ["billing"])
    assert "corrected_by_person" in label.reasons

    with transaction(clinic.engine) as connection:
        connection.execute(
            update(messages).where(messages.c.id == first[0]).values(current_label_id=before)
        )
        assert connection.execute(select(label_cache)).all() == []


def test_a_correction_holds_for_equal_messages_that_the_small_model_is_sure_of(
    clinic: Clinic, workers: Workers
) -> None:
    first = clinic.accept(SURE)
    clinic.send(Lane.FAST, first)
    workers.start("fast")
    eventually(clinic.all_are(first, "labelled"), what="labelled by the small model")
    _correct(clinic, first[0], "billing")

    second = clinic.accept(SURE)
    clinic.send(Lane.FAST, second)
    eventually(clinic.all_are(second, "labelled"), what="labelled")

    assert clinic.labels(second[0])[-1].categories == ["billing"]


def test_a_red_flagged_message_is_never_answered_from_the_cache(
    clinic: Clinic, workers: Workers, standin_llm: StandinForTests
) -> None:
    first = clinic.accept(TEXT, status="escalated")
    clinic.send(Lane.LLM, first)
    workers.start("llm")
    eventually(clinic.all_are(first, "labelled"), what="labelled")

    flagged = clinic.accept(TEXT, status="escalated", red_flags=[FLAG])
    clinic.send(Lane.LLM, flagged)
    eventually(clinic.all_are(flagged, "labelled"), what="labelled")

    assert clinic.labels(flagged[0])[-1].tier == "llm"
    assert clinic.rows(flagged)[0].cache_key is None
    assert len(standin_llm.requests()) == 2


def test_a_worker_that_dies_while_asking_does_not_keep_the_others_waiting_for_ever(
    clinic: Clinic, workers: Workers
) -> None:
    with transaction(clinic.engine) as connection:
        cache.start_asking(connection, ["k"], "dead", for_s=0.0)

    with transaction(clinic.engine) as connection:
        mine = cache.start_asking(connection, ["k"], "alive", for_s=60.0)
        theirs = cache.start_asking(connection, ["k"], "other", for_s=60.0)

    assert (mine, theirs) == ({"k"}, set())


def test_the_cache_forgets_what_expired_and_what_was_longest_unused_beyond_its_bound(
    clinic: Clinic,
) -> None:
    from shared.contracts import Urgency

    def entry(key: str) -> cache.Entry:
        return cache.Entry(
            key=key,
            categories=("refill",),
            urgency=Urgency.ROUTINE,
            model_version="m",
            prompt_version="p",
            taxonomy_version="1",
        )

    with transaction(clinic.engine) as connection:
        for key in ("a", "b", "c", "old"):
            cache.start_asking(connection, [key], "me", for_s=60)
            cache.store(connection, "me", [entry(key)], 0.0 if key == "old" else 60.0)
    with transaction(clinic.engine) as connection:
        cache.find(connection, {"a": 1, "c": 1})
    with transaction(clinic.engine) as connection:
        gone = cache.prune(connection, most_entries=2)

        left = set(connection.execute(select(label_cache.c.key)).scalars())
    assert (gone, left) == (2, {"a", "c"})
