"""What happens to chunks when workers die, SQS or Postgres go away, or queues are set up wrong."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from producer.publisher import Envelopes
from shared.contracts import Lane
from shared.database import transaction
from shared.queues import sqs_client
from shared.tables import workers as workers_table
from tests.services import PostgresForTests, eventually
from tests.tcp_proxy import proxy_to
from tests.worker_process import SLOW, SURE, UNSURE
from tests.worker_stack import Clinic, Workers, children, clinic, workers

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]


def _send_body(clinic: Clinic, lane: Lane, body: str) -> None:
    sqs_client(clinic.settings).send_message(QueueUrl=clinic.queue(lane).url, MessageBody=body)


def test_a_child_killed_in_the_middle_of_a_chunk_loses_nothing(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(*[f"{SURE} {SLOW} {n}" for n in range(20)])
    process = workers.start("fast")
    clinic.send(Lane.FAST, ids)
    eventually(lambda: clinic.rows(ids)[0].lease_owner is not None, what="the chunk is claimed")

    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)

    eventually(clinic.all_are(ids, "labelled"), what="all labelled")
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 20
    # Taken together again: for none but the one in hand was the first claim an attempt.
    assert sorted(row.attempts for row in clinic.rows(ids)) in ([1] * 20, [1] * 19 + [2])


def test_a_worker_killed_with_all_its_processes_loses_nothing(
    clinic: Clinic, workers: Workers
) -> None:
    clinic.set_visibility(Lane.FAST, 4)
    ids = clinic.accept(*[f"{SURE} {SLOW} {n}" for n in range(20)])
    process = workers.start("fast", CARELANE_FAST_LEASE_S="3")
    clinic.send(Lane.FAST, ids)
    eventually(lambda: clinic.rows(ids)[0].lease_owner is not None, what="the chunk is claimed")

    for pid in (*children(process.pid), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    workers.start("fast", CARELANE_FAST_LEASE_S="3")

    eventually(clinic.all_are(ids, "labelled"), what="all labelled")
    assert [len(clinic.labels(id_)) for id_ in ids] == [1] * 20


def test_a_worker_polls_again_after_sqs_refused_connections_for_20_seconds(
    clinic: Clinic, workers: Workers
) -> None:
    endpoint = clinic.settings.sqs_endpoint_url
    assert endpoint is not None
    # What a cut long poll swallows comes back after this time.
    clinic.set_visibility(Lane.FAST, 4)
    with proxy_to(urlsplit(endpoint).port or 0) as proxy:
        workers.settings = replace(workers.settings, sqs_endpoint_url=proxy.url)
        process = workers.start("fast", CARELANE_FAST_LEASE_S="3")
        before = clinic.accept(f"{SURE} before")
        clinic.send(Lane.FAST, before)
        eventually(clinic.all_are(before, "labelled"), what="labelled before")

        proxy.refuse()
        refused_at = time.monotonic()
        after = clinic.accept(f"{SURE} after")
        clinic.send(Lane.FAST, after)
        eventually(lambda: time.monotonic() > refused_at + 20, what="20 s have gone")
        assert process.poll() is None
        assert "SQS poll failed" in workers.logs()
        proxy.serve()

        eventually(clinic.all_are(after, "labelled"), what="labelled after", timeout_s=10)
    assert process.poll() is None


def test_a_worker_polls_again_after_sqs_swallowed_every_byte(
    clinic: Clinic, workers: Workers
) -> None:
    endpoint = clinic.settings.sqs_endpoint_url
    assert endpoint is not None
    with proxy_to(urlsplit(endpoint).port or 0) as proxy:
        workers.settings = replace(workers.settings, sqs_endpoint_url=proxy.url)
        workers.start("fast")

        proxy.stall()
        eventually(lambda: "SQS poll failed" in workers.logs(), what="a poll has timed out")
        proxy.refuse()
        proxy.serve()
        ids = clinic.accept(SURE)
        clinic.send(Lane.FAST, ids)

        eventually(clinic.all_are(ids, "labelled"), what="labelled after")


def test_a_chunk_waits_in_its_task_for_a_database_that_is_away(
    clinic: Clinic, workers: Workers, postgres: PostgresForTests
) -> None:
    ids = clinic.accept(SURE)
    workers.start("fast")

    postgres.server.stop()
    try:
        clinic.send(Lane.FAST, ids)
        eventually(lambda: "database away, waiting" in workers.logs(), what="the task waits")
    finally:
        postgres.server.start()

    eventually(clinic.all_are(ids, "labelled"), what="labelled", timeout_s=10)
    assert clinic.queue(Lane.FAST).dead == 0


def test_a_task_that_nobody_knows_ends_as_a_dead_letter_with_its_body(
    clinic: Clinic, workers: Workers
) -> None:
    queue = clinic.queue(Lane.FAST)
    client = sqs_client(clinic.settings)
    policy = json.loads(
        client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["RedrivePolicy"])[
            "Attributes"
        ]["RedrivePolicy"]
    )
    client.set_queue_attributes(
        QueueUrl=queue.url,
        Attributes={
            "VisibilityTimeout": "1",
            "RedrivePolicy": json.dumps({**policy, "maxReceiveCount": 2}),
        },
    )
    body = Envelopes(clinic.settings).build(Lane.FAST, clinic.accept(SURE))
    foreign = base64.b64encode(
        base64.b64decode(body).replace(b"triage.fast", b"triage.none")
    ).decode()
    _send_body(clinic, Lane.FAST, foreign)
    _send_body(clinic, Lane.FAST, "not a task at all")

    process = workers.start("fast", CARELANE_FAST_LEASE_S="1")

    eventually(lambda: clinic.queue(Lane.FAST).dead == 2, what="both are dead letters")
    assert process.poll() is None
    ids = clinic.accept(SURE)
    clinic.send(Lane.FAST, ids)
    eventually(clinic.all_are(ids, "labelled"), what="the others go on")


def test_a_worker_refuses_a_queue_without_a_redrive_policy(
    clinic: Clinic, workers: Workers
) -> None:
    queue = clinic.queue(Lane.PRIORITY)
    sqs_client(clinic.settings).set_queue_attributes(
        QueueUrl=queue.url, Attributes={"RedrivePolicy": ""}
    )

    process = workers.start("fast", wait=False)

    assert process.wait(timeout=30) == 2
    assert f"{clinic.settings.queue_prefix}-priority has no RedrivePolicy" in workers.logs()


def test_a_worker_refuses_a_queue_that_delivers_again_within_a_lease(
    clinic: Clinic, workers: Workers
) -> None:
    clinic.set_visibility(Lane.FAST, 10)

    process = workers.start("fast", wait=False)

    assert process.wait(timeout=30) == 2
    assert "Raise its visibility timeout" in workers.logs()


def test_the_priority_lane_is_served_before_a_backlog_of_the_fast_lane(
    clinic: Clinic, workers: Workers
) -> None:
    backlog = [clinic.accept(*[f"{SURE} {SLOW}"] * 4) for _ in range(40)]
    for ids in backlog:
        clinic.send(Lane.FAST, ids)
    workers.start("fast")
    eventually(clinic.all_are(backlog[0], "queued", "labelled"), what="the backlog is begun")
    eventually(
        lambda: sum(clinic.statuses(ids) == ["labelled"] * 4 for ids in backlog) >= 5,
        what="some of the backlog is done",
    )

    urgent = clinic.accept(SURE)
    clinic.send(Lane.PRIORITY, urgent)
    eventually(clinic.all_are(urgent, "labelled"), what="the urgent one is labelled")

    done = sum(clinic.statuses(ids) == ["labelled"] * 4 for ids in backlog)
    assert done <= 20


def test_a_backlog_of_the_priority_lane_is_not_served_in_turns_with_the_fast_lane(
    clinic: Clinic, workers: Workers
) -> None:
    ordinary = [clinic.accept(*[f"{SURE} {SLOW}"] * 4) for _ in range(40)]
    flagged = [clinic.accept(*[f"{SURE} {SLOW}"] * 4) for _ in range(20)]
    for lane, chunks in ((Lane.FAST, ordinary), (Lane.PRIORITY, flagged)):
        for ids in chunks:
            clinic.send(lane, ids)
    workers.start("fast")

    everyone = [each for ids in flagged for each in ids]
    eventually(clinic.all_are(everyone, "labelled"), what="the flagged ones", timeout_s=60)

    # In turns it is ten or more; a poll in five seconds is theirs.
    done = sum(clinic.statuses(ids) == ["labelled"] * 4 for ids in ordinary)
    assert done <= 6


def test_a_worker_shows_itself_in_the_table_and_takes_its_row_away(
    clinic: Clinic, workers: Workers
) -> None:
    process = workers.start("fast")

    def row() -> object:
        with transaction(clinic.engine) as connection:
            return connection.execute(
                select(workers_table).where(workers_table.c.polled_at.is_not(None))
            ).one_or_none()

    shown = eventually(row, what="a row with a poll")
    assert (shown.lane, shown.pid) == ("fast", process.pid)  # type: ignore[attr-defined]

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=30) == 0
    assert row() is None


def test_an_llm_failure_makes_the_message_need_review(
    clinic: Clinic, workers: Workers, standin_llm: object
) -> None:
    standin_llm.knobs(fault_rates={"server_error": 1.0})  # type: ignore[attr-defined]
    ids = clinic.accept(UNSURE, status="escalated")
    clinic.send(Lane.LLM, ids)

    workers.start("llm", CARELANE_MAX_ATTEMPTS="1")

    eventually(clinic.all_are(ids, "needs_review"), what="needs review", timeout_s=60)
    assert clinic.rows(ids)[0].status_reason == "llm_server_error"
    assert {call.outcome for call in clinic.calls()} == {"server_error"}
