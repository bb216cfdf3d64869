"""Deliveries while SQS refuses, workers are told to stop, clocks jump, and the intake is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, text

from producer.sweeper import sweep
from shared.contracts import Lane
from shared.database import transaction
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from tests.integration.intake_parts import Portal, new_key, open_app, rows
from tests.services import environment, eventually
from tests.tcp_proxy import SQS_ERRORS, TcpProxy, http_answer, proxy_to
from tests.worker_process import SLOW, SURE, ObedientLabeller
from tests.worker_stack import ROOT, Clinic, Workers, clinic, workers
from workers.chunk import Delivery
from workers.composition import fast_runtime
from workers.patience import SystemClock
from workers.triage import run_fast_chunk

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]

_DELIVERY = Delivery(None, None)


def test_a_worker_goes_on_after_errors_throttles_and_refusals_of_sqs_in_the_middle_of_a_chunk(
    clinic: Clinic, workers: Workers
) -> None:
    endpoint = clinic.settings.sqs_endpoint_url
    assert endpoint is not None
    clinic.set_visibility(Lane.FAST, 4)
    with proxy_to(urlsplit(endpoint).port or 0) as proxy:
        workers.settings = replace(workers.settings, sqs_endpoint_url=proxy.url)
        process = workers.start("fast", CARELANE_FAST_LEASE_S="3")
        for status, error in SQS_ERRORS.items():
            _refuse_a_chunk_in_hand(clinic, workers, proxy, status, error)
    assert process.poll() is None
    assert clinic.queue(Lane.FAST).dead == 0


def _refuse_a_chunk_in_hand(
    clinic: Clinic, workers: Workers, proxy: TcpProxy, status: str, error: str
) -> None:
    ids = clinic.accept(*[f"{SURE} {SLOW} {n}" for n in range(10)])
    clinic.send(Lane.FAST, ids)
    eventually(lambda: clinic.rows(ids)[0].lease_owner, what="the chunk is in hand")

    # The chunk's delete fails, and every poll.
    proxy.answer = http_answer(status, error)
    eventually(lambda: f"HTTP {status[:3]}" in workers.logs(), what=f"a poll met {status}")
    proxy.answer = None

    eventually(clinic.all_are(ids, "labelled"), what="the chunk is labelled")
    eventually(
        lambda: (queue := clinic.queue(Lane.FAST)).waiting + queue.in_flight == 0,
        what="the chunk is deleted, at its second delivery at the latest",
    )
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 10


def test_chunks_that_a_stopped_worker_had_not_begun_are_back_at_once(
    clinic: Clinic, workers: Workers
) -> None:
    clinic.set_visibility(Lane.FAST, 900)
    chunks = [clinic.accept(*[f"{SURE} {SLOW} {n}" for n in range(10)]) for _ in range(8)]
    for ids in chunks:
        clinic.send(Lane.FAST, ids)
    process = workers.start("fast")
    eventually(clinic.all_are(chunks[0], "labelled"), what="the first chunk is labelled")

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 0
    done = [ids for ids in chunks if set(clinic.statuses(ids)) == {"labelled"}]
    assert len(done) < len(chunks), "nothing was left; the test says nothing"
    assert all(row.lease_owner is None for ids in chunks for row in clinic.rows(ids))
    workers.start("fast")
    for ids in chunks:
        eventually(clinic.all_are(ids, "labelled"), what="labelled long before 900 s")


def test_a_message_whose_answer_the_intake_took_to_its_grave_is_kept_once(
    settings: Settings, engine: Engine
) -> None:
    key = new_key(engine, settings)
    message = {"external_id": "1", "text": "Please refill my metformin"}

    killed = subprocess.run(
        [sys.executable, "-c", _DIES_AFTER_COMMIT, key, json.dumps(message)],
        env=environment(settings),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    with open_app(settings) as app:
        again = Portal(app, key).post(message)

    assert killed.returncode == -signal.SIGKILL, killed.stderr[-500:]
    assert (again.status_code, again.json["duplicates"]) == (200, 1)
    assert len(rows(engine, "SELECT 1 FROM messages")) == 1
    assert len(rows(engine, "SELECT 1 FROM outbox")) == 1


_DIES_AFTER_COMMIT = """
import json, os, signal, sys
from producer.app import create_app
from producer.intake import Intake

take = Intake.take

def take_and_die(*args):
    take(*args)
    os.kill(os.getpid(), signal.SIGKILL)

Intake.take = take_and_die
create_app().test_client().post(
    "/v1/messages",
    json=json.loads(sys.argv[2]),
    headers={"Authorization": f"Bearer {sys.argv[1]}"},
)
"""


def test_a_delivery_that_comes_hours_late_changes_nothing(clinic: Clinic) -> None:
    runtime = fast_runtime(clinic.settings, Taxonomy.load(), ObedientLabeller())
    labelled, given_up = clinic.accept(f"{SURE} 1", f"{SURE} 2")
    run_fast_chunk([labelled], runtime, _DELIVERY)
    with transaction(clinic.engine) as connection:
        connection.execute(text("UPDATE messages SET received_at = now() - interval '5 hours'"))
    sweep(clinic.engine, sweep_after_s=60, give_up_after_s=3600)

    run_fast_chunk([labelled, given_up], runtime, _DELIVERY)

    assert clinic.statuses([labelled, given_up]) == ["labelled", "needs_review"]
    assert [len(clinic.labels(id_)) for id_ in (labelled, given_up)] == [1, 0]
    assert clinic.rows([given_up])[0].status_reason == "waited_too_long"


class _JumpingClock(SystemClock):
    """A machine whose time of day is set back and forth by hours; monotonic time runs on."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        self._looks += 1
        return datetime.now(UTC) + timedelta(hours=30 if self._looks % 2 else -30)


def test_a_clock_that_jumps_by_hours_harms_no_lease_and_no_label(clinic: Clinic) -> None:
    made = fast_runtime(clinic.settings, Taxonomy.load(), ObedientLabeller())
    runtime = replace(made, clock=_JumpingClock())
    ids = clinic.accept(*[f"{SURE} {n}" for n in range(5)])

    for _ in range(3):
        run_fast_chunk(ids, runtime, _DELIVERY)

    assert clinic.statuses(ids) == ["labelled"] * 5
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 5
    assert all(clinic.labels(id_)[0].latency_ms >= 0 for id_ in ids)
    assert all(row.settled_at >= row.received_at for row in clinic.rows(ids))


def test_a_sweeper_killed_in_the_middle_of_its_round_leaves_nothing_half_done(
    clinic: Clinic,
) -> None:
    ids = clinic.accept(f"{SURE} 1", f"{SURE} 2")
    with transaction(clinic.engine) as connection:
        connection.execute(text("UPDATE messages SET enqueued_at = now() - interval '1 hour'"))

    killed = subprocess.run(
        [sys.executable, "-c", _DIES_BEFORE_COMMIT],
        env=environment(clinic.settings),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    left = rows(clinic.engine, "SELECT 1 FROM outbox")
    swept = eventually(
        lambda: sweep(clinic.engine, sweep_after_s=60, give_up_after_s=36_000).sent_again,
        what="the rows are free again",
    )

    assert killed.returncode == -signal.SIGKILL, killed.stderr[-500:]
    assert left == []
    assert set(swept) == set(ids)


_DIES_BEFORE_COMMIT = """
import os, signal
from producer import sweeper
from shared.database import make_engine
from shared.settings import Settings

sweeper.notify_outbox = lambda _: os.kill(os.getpid(), signal.SIGKILL)
engine = make_engine(Settings.from_env(os.environ), "carelane-sweeper", pool_size=1)
sweeper.sweep(engine, sweep_after_s=60, give_up_after_s=36_000)
"""
