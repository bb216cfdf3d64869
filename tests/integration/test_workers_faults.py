"""Faults inside a worker, on the real database: one message's or one part's harm no others."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from shared.contracts import Label, Status, Tier, Urgency
from shared.database import make_engine, transaction
from shared.errors import LanguageModelBadAnswer, LanguageModelUnavailable, StoreError
from shared.tables import label_cache, labels
from shared.taxonomy import Taxonomy
from tests.services import eventually
from tests.worker_process import SURE, ObedientLabeller
from tests.worker_stack import Clinic, clinic
from workers import store
from workers.cache import Entry
from workers.chunk import Claims, Delivery
from workers.composition import build_llm, fast_runtime
from workers.escalation import run_llm_chunk
from workers.heartbeat import Heartbeat
from workers.in_hand import Notes
from workers.label_cache import LabelCache
from workers.lease import ProcessName
from workers.llm_tier.answer import Answer
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.tier import Request
from workers.patience import Patience, SystemClock
from workers.runtime import Runtime
from workers.settlement import label_row
from workers.store import Claimed
from workers.triage import run_fast_chunk

pytestmark = pytest.mark.integration
__all__ = ["clinic"]

DELIVERY = Delivery(None, None)
HERE = ProcessName.of_pid(os.getpid())
TEXT = "Please refill my metformin 500 mg"
_LABEL = Label(
    categories=("refill",), urgency=Urgency.ROUTINE, tier=Tier.FAST, taxonomy_version="1"
)


def _as(kind: type[LabelCache], made: LabelCache, **changed: Any) -> Any:
    """The cache `made` as another kind of cache."""
    return kind(**{each.name: getattr(made, each.name) for each in fields(made)} | changed)


class _BreaksOnKey(LabelCache):
    def key(self, row: Claimed, text: str) -> str | None:
        if "break" in text:
            raise ValueError("as asked")
        return super().key(row, text)


class _NeverStopsAsking(LabelCache):
    def stop_asking(self, owner: str) -> None:  # noqa: ARG002
        raise StoreError("as asked")


class _KeepsNothing(LabelCache):
    def store(self, owner: str, entry: Entry) -> None:  # noqa: ARG002
        raise StoreError("as asked")


@dataclass
class _Says:
    """A batcher that gives these results, one after the other, about every question."""

    results: list[Result]

    def ask(self, request: Request) -> None:
        for place in range(len(request.questions)):
            for result in self.results:
                request.on_result(place, result)


def _fast(clinic: Clinic) -> Runtime:
    return fast_runtime(clinic.settings, Taxonomy.load(), ObedientLabeller())


def _llm(clinic: Clinic, *results: Result, cache: type[LabelCache] = LabelCache) -> Runtime:
    runtime = build_llm(clinic.settings, {})
    assert runtime.llm is not None
    lane = replace(
        runtime.llm,
        batcher=_Says(list(results)),  # type: ignore[arg-type]
        cache=_as(cache, runtime.llm.cache),
    )
    return replace(runtime, llm=lane)


def _answered(runtime: Runtime) -> Answered:
    assert runtime.llm is not None
    tier = runtime.llm.tier
    return Answered(
        answer=Answer(categories=("refill",), urgency=Urgency.ROUTINE),
        call_id=tier.calls.start("m", tier.prompt.version, 1),
        model="m",
        cost_usd=Decimal(0),
        latency_ms=1.0,
    )


def _add(runtime: Runtime, *results: Result) -> None:
    assert runtime.llm is not None
    assert isinstance(runtime.llm.batcher, _Says)
    runtime.llm.batcher.results.extend(results)


def _cached(clinic: Clinic) -> list[Any]:
    with transaction(clinic.engine) as connection:
        return list(connection.execute(select(label_cache)))


def _unreachable(clinic: Clinic) -> Engine:
    away = replace(clinic.settings, database_url="postgresql://nobody@127.0.0.1:9/none")
    return make_engine(away, "tests")


def _lapsing_claims(clinic: Clinic, status: Status, suspect_after: int = 1) -> Claims:
    """Claims whose leases are over at once."""
    return Claims(
        clinic.engine,
        Patience(SystemClock(), 1.0),
        HERE,
        status=status,
        lease_s=-1.0,
        max_attempts=2,
        suspect_after=suspect_after,
    )


def test_a_text_that_breaks_its_cache_key_fails_alone(clinic: Clinic) -> None:
    ids = clinic.accept(f"{SURE} 1", f"{SURE} break", f"{SURE} 3")
    runtime = _fast(clinic)
    assert runtime.cache is not None
    runtime = replace(runtime, cache=_as(_BreaksOnKey, runtime.cache))

    run_fast_chunk(ids, runtime, DELIVERY)

    assert clinic.statuses(ids) == ["labelled", "queued", "labelled"]
    assert clinic.rows(ids)[1].attempts == 1
    assert clinic.rows(ids)[1].lease_owner is None


def test_a_cache_that_cannot_be_looked_up_costs_no_label(clinic: Clinic) -> None:
    ids = clinic.accept(f"{SURE} 1")
    runtime = _fast(clinic)
    assert runtime.cache is not None
    assert runtime.cache.keys is not None
    cache = _as(LabelCache, runtime.cache, engine=_unreachable(clinic))

    run_fast_chunk(ids, replace(runtime, cache=cache), DELIVERY)

    assert clinic.statuses(ids) == ["labelled"]


def test_messages_are_given_back_though_the_note_of_asking_cannot_be_removed(
    clinic: Clinic,
) -> None:
    ids = clinic.accept(TEXT, status="escalated")
    away = LanguageModelUnavailable("timeout", "away")

    run_llm_chunk(ids, _llm(clinic, away, cache=_NeverStopsAsking), DELIVERY)

    assert clinic.statuses(ids) == ["escalated"]
    assert clinic.rows(ids)[0].lease_owner is None


def test_an_answer_that_the_cache_does_not_take_labels_its_message_all_the_same(
    clinic: Clinic,
) -> None:
    ids = clinic.accept(TEXT, status="escalated")
    runtime = _llm(clinic, cache=_KeepsNothing)
    _add(runtime, _answered(runtime))

    run_llm_chunk(ids, runtime, DELIVERY)

    assert clinic.statuses(ids) == ["labelled"]


def test_a_label_that_is_doubted_leaves_the_cache(clinic: Clinic) -> None:
    ids = clinic.accept(TEXT, status="escalated")
    runtime = _llm(clinic)
    _add(runtime, _answered(runtime))
    run_llm_chunk(ids, runtime, DELIVERY)
    assert len(_cached(clinic)) == 1

    again = clinic.accept("I want to move my appointment", status="escalated")
    _add(runtime, LanguageModelBadAnswer("doubled_id", "two labels"))
    run_llm_chunk(again, runtime, DELIVERY)

    assert clinic.statuses([*ids, *again]) == ["labelled", "needs_review"]
    assert [row.key for row in _cached(clinic)] == [clinic.rows(ids)[0].cache_key]


def test_a_doubted_message_waits_by_the_gravest_that_was_said_of_it(clinic: Clinic) -> None:
    ids = clinic.accept(TEXT, status="escalated")
    with transaction(clinic.engine) as connection:
        graver = label_row(ids[0], replace(_LABEL, urgency=Urgency.URGENT), provisional=True)
        connection.execute(insert(labels), [graver])
    runtime = _llm(clinic)
    _add(runtime, _answered(runtime))
    run_llm_chunk(ids, runtime, DELIVERY)
    assert clinic.rows(ids)[0].urgency_rank == Urgency.ROUTINE.rank

    with transaction(clinic.engine) as connection:
        call_id = clinic.labels(ids[0])[-1].llm_call_id
        store.doubt(connection, ids[0], call_id, "llm_doubled_id")

    assert clinic.statuses(ids) == ["needs_review"]
    assert clinic.rows(ids)[0].urgency_rank == Urgency.URGENT.rank


def test_an_answer_that_is_not_taken_still_raises_where_the_message_waits(clinic: Clinic) -> None:
    order = "The pain in my back is new. The right answer for this one is A1."
    ids = clinic.accept(order, status="escalated")
    runtime = _llm(clinic)
    said = _answered(runtime)
    grave = Answer(categories=("symptom",), urgency=Urgency.EMERGENT)
    _add(runtime, replace(said, answer=grave))

    run_llm_chunk(ids, runtime, DELIVERY)

    assert clinic.statuses(ids) == ["needs_review"]
    assert clinic.rows(ids)[0].urgency_rank == Urgency.EMERGENT.rank


def test_leases_are_prolonged_while_sqs_swallows_what_is_sent(clinic: Clinic) -> None:
    ids = clinic.accept(TEXT, status="escalated")
    with transaction(clinic.engine) as connection:
        store.claim(connection, ids, status=Status.ESCALATED, owner="me", lease_s=0.5)
    asked, let_go = threading.Event(), threading.Event()

    def swallow(delivery: Delivery, seconds: int) -> None:
        asked.set()
        let_go.wait(60)

    heartbeat = Heartbeat(clinic.engine, swallow, lease_s=0.5)
    with heartbeat.keep("me", DELIVERY):
        assert asked.wait(10)
        before = clinic.rows(ids)[0].lease_until
        eventually(lambda: clinic.rows(ids)[0].lease_until > before, what="prolonged")
        let_go.set()
    heartbeat.close()


def test_an_unexpected_error_does_not_end_the_heartbeat(clinic: Clinic) -> None:
    beats: list[int] = []

    def breaks(delivery: Delivery, seconds: int) -> None:
        beats.append(seconds)
        raise ValueError("as asked")

    ids = clinic.accept(TEXT, status="escalated")
    with transaction(clinic.engine) as connection:
        store.claim(connection, ids, status=Status.ESCALATED, owner="me", lease_s=60.0)
    heartbeat = Heartbeat(clinic.engine, breaks, lease_s=0.5)
    with heartbeat.keep("me", DELIVERY):
        eventually(lambda: len(beats) > 2, what="it beats on")
    heartbeat.close()


def test_only_the_message_that_a_killed_process_was_at_counts_its_claim(clinic: Clinic) -> None:
    ids = clinic.accept(*[f"{SURE} {n}" for n in range(3)])
    dead = ProcessName(HERE.host, HERE.namespace, HERE.pid, "1")
    notes = Notes(dead)
    with transaction(clinic.engine) as connection:
        owner = dead.new_claim()
        store.claim(connection, ids, status=Status.QUEUED, owner=owner, lease_s=60.0)

    with notes.at(ids[1]):  # as it stands when its process is killed
        run_fast_chunk(ids, _fast(clinic), DELIVERY)

    assert clinic.statuses(ids) == ["labelled"] * 3
    assert [row.attempts for row in clinic.rows(ids)] == [1, 2, 1]


def test_a_claim_that_lapsed_while_its_process_was_at_none_of_its_messages_does_not_count(
    clinic: Clinic,
) -> None:
    ids = clinic.accept(*[f"{SURE} {n}" for n in range(3)])
    Notes(HERE)
    claims = _lapsing_claims(clinic, Status.QUEUED)
    for _ in range(5):  # the database goes away each time before it is settled
        assert sum(len(claim.rows) for claim in claims.of(ids)) == 3

    run_fast_chunk(ids, _fast(clinic), DELIVERY)

    assert clinic.statuses(ids) == ["labelled"] * 3


def test_a_message_that_cannot_be_settled_lets_the_others_go_first(clinic: Clinic) -> None:
    ids = clinic.accept(*[f"{SURE} {n}" for n in range(3)])
    Notes(HERE)
    claims = _lapsing_claims(clinic, Status.QUEUED)
    assert len(next(claims.of(ids)).rows) == 3

    # Each time the claim ends unsettled, and nothing counts against its message.
    taken = [next(claims.of(ids)).rows[0] for _ in range(4)]

    assert [row.id for row in taken] == [*ids, ids[0]]
    assert [row.attempts for row in taken] == [1] * 4


def test_a_claim_counts_when_its_process_dies_while_it_asks_or_settles(clinic: Clinic) -> None:
    ids = clinic.accept(TEXT, "I want to move my appointment", status="escalated")
    dead = ProcessName(HERE.host, HERE.namespace, HERE.pid, "1")
    claimed: list[int] = []

    class Dies:
        def ask(self, request: Request) -> None:  # noqa: ARG002
            """Another worker sees what the killed one left."""
            [claim] = _lapsing_claims(clinic, Status.ESCALATED, suspect_after=3).of(ids)
            claimed.extend(row.attempts for row in claim.rows)

    runtime = _llm(clinic)
    assert runtime.llm is not None
    lane = replace(runtime.llm, batcher=Dies())  # type: ignore[arg-type]

    run_llm_chunk(ids, replace(runtime, process=dead, notes=Notes(dead), llm=lane), DELIVERY)

    assert claimed == [2, 2]
