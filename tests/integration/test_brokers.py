"""RabbitMQ and Redis in place of SQS: what holds there holds here."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from kombu import Connection, Queue
from sqlalchemy import Engine

from producer.publisher import make_publisher
from producer.relay import relay_lane
from shared import broker_queues
from shared.brokers import MAX_DELIVERIES, Broker, broker_of, lane_queue
from shared.contracts import Lane, queue_name
from shared.errors import QueueMisconfigured, QueueUnavailable
from shared.queues import queues
from shared.settings import Settings
from tests.brokers import (
    BrokerForTests,
    _brokers,
    broker,
    broker_settings,
    wait_until_it_answers,
)
from tests.services import environment, eventually
from tests.worker_process import KILLS, SLOW, SURE, UNSURE
from tests.worker_stack import Clinic, Workers, children

pytestmark = pytest.mark.integration
__all__ = ["_brokers", "broker", "broker_settings"]


@pytest.fixture
def clinic(engine: Engine, broker_settings: Settings) -> Clinic:
    return Clinic(engine, broker_settings)


@pytest.fixture
def workers(broker_settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(broker_settings, tmp_path)
    yield made
    made.stop()


def dead(settings: Settings, lane: Lane = Lane.FAST) -> int | None:
    return broker_queues.check(settings, [lane])[0].dead


def put(settings: Settings, task: str, **headers: object) -> None:
    """A task message of anybody's making in the fast lane."""
    queue = lane_queue(settings, Lane.FAST)
    with broker_queues.connect(settings) as connection:
        connection.Producer().publish(
            [[], {"ids": []}, {}],
            exchange="",
            routing_key=queue.name,
            serializer="json",
            headers={"task": task, "id": "1", **headers},
        )


def test_messages_go_in_by_the_relay_and_come_out_labelled_by_both_tiers(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(f"refill {SURE}", f"my knee {UNSURE}")
    clinic.send(Lane.FAST, ids)

    workers.start("fast")
    eventually(clinic.all_are(ids, "labelled", "escalated"), what="the fast tier has seen them")
    workers.start("llm")
    # The escalated one lies in the outbox; the real relay's step takes it over.
    eventually(
        lambda: relay_lane(clinic.engine, make_publisher(clinic.settings), Lane.LLM).sent,
        what="the relay sent it",
    )
    eventually(clinic.all_are(ids, "labelled"), what="the LLM tier answered")
    assert [clinic.labels(id_)[-1].tier for id_ in ids] == ["fast", "llm"]


def test_the_chunk_of_a_killed_worker_is_delivered_to_another(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(*[f"{SLOW} {SURE}"] * 30)
    first = workers.start("fast")
    clinic.send(Lane.FAST, ids)
    eventually(lambda: clinic.rows(ids)[0].attempts, what="it has claimed them")
    # The machine is gone: the parent first, so that it puts nothing back.
    family = [first.pid, *children(first.pid)]
    for pid in family:
        os.kill(pid, signal.SIGKILL)

    workers.start("fast")

    eventually(clinic.all_are(ids, "labelled"), what="another worker labelled them")
    assert {len(clinic.labels(id_)) for id_ in ids} == {1}
    assert dead(clinic.settings) == 0


def test_a_message_that_kills_its_process_ends_with_a_person_and_its_neighbours_go_on(
    clinic: Clinic, workers: Workers
) -> None:
    settings = replace(clinic.settings, max_attempts=2)
    workers.settings = settings
    ids = clinic.accept(f"one {SURE}", f"{KILLS}", f"three {SURE}")
    clinic.send(Lane.FAST, ids)

    workers.start("fast", wait=False)

    settled = clinic.all_are(ids, "labelled", "needs_review")
    eventually(settled, what="all are settled", timeout_s=60)  # three children start meanwhile
    assert clinic.statuses(ids) == ["labelled", "needs_review", "labelled"]
    assert clinic.rows(ids)[1].status_reason == "crashed_worker"


def test_a_task_that_nobody_knows_comes_again_later_and_ends_as_a_dead_letter(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(f"refill {SURE}")
    put(clinic.settings, "nobody.knows.this")
    workers.start("fast")
    clinic.send(Lane.FAST, ids)
    eventually(clinic.all_are(ids, "labelled"), what="the one behind it is labelled")
    assert dead(clinic.settings) == 0, "one failure is no reason to give it up"

    put(clinic.settings, "nor.this", **{"carelane-deliveries": MAX_DELIVERIES})

    eventually(lambda: dead(clinic.settings) == 1, what="the second is a dead letter")
    log = workers.log(0)
    eventually(lambda: log.read_text().count("nobody.knows.this") > 1, what="the first came again")


def test_a_broker_that_is_away_keeps_messages_in_the_outbox_and_workers_waiting(
    clinic: Clinic, workers: Workers, broker: BrokerForTests
) -> None:
    if broker_of(clinic.settings) is Broker.RABBITMQ:
        pytest.skip("RabbitMQ takes ten seconds to start; its errors are told apart in unit tests")
    publisher = make_publisher(clinic.settings)
    workers.start("fast")
    first, second = clinic.accept(f"one {SURE}"), clinic.accept(f"two {SURE}")
    assert publisher.publish(Lane.FAST, [first]) == [True]
    eventually(clinic.all_are(first, "labelled"), what="the way is open")
    broker.stop()

    with pytest.raises(QueueUnavailable, match="Redis of CARELANE_BROKER_URL"):
        publisher.publish(Lane.FAST, [second])
    broker.start()
    wait_until_it_answers(broker)

    assert publisher.publish(Lane.FAST, [second]) == [True]
    eventually(clinic.all_are(second, "labelled"), what="the worker is back")


def test_queues_that_would_lose_messages_are_refused(
    clinic: Clinic, workers: Workers, broker: BrokerForTests
) -> None:
    if broker_of(clinic.settings) is Broker.REDIS:
        settings = clinic.settings
        with Connection(broker.url) as connection:
            client = connection.default_channel.client
            client.config_set("maxmemory-policy", "allkeys-lru")
        why = "maxmemory-policy allkeys-lru"
    else:
        settings = replace(clinic.settings, queue_prefix=f"{clinic.settings.queue_prefix}-other")
        with pytest.raises(QueueMisconfigured, match="carelane queues create"):
            broker_queues.check(settings)
        with Connection(broker.url) as connection:
            # As Celery makes it where nobody says otherwise: no dead letters, no copies.
            name = queue_name(settings.queue_prefix, Lane.PRIORITY)
            Queue(name, routing_key=name, channel=connection).declare()
        why = "other settings"
    workers.settings = settings
    try:
        process = workers.start("fast", wait=False)

        assert process.wait(timeout=30) == 2
        assert why in workers.logs()
    finally:
        if broker_of(settings) is Broker.REDIS:
            with Connection(broker.url) as connection:
                connection.default_channel.client.config_set("maxmemory-policy", "noeviction")


def test_the_command_says_how_the_queues_stand(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(clinic.settings).items():
        monkeypatch.setenv(name, value)
    clinic.send(Lane.FAST, clinic.accept("one"))

    made = CliRunner().invoke(queues, ["create"])
    eventually(
        lambda: "fast      waiting 1" in CliRunner().invoke(queues, ["check"]).output,
        what="the waiting chunk is counted",
    )

    assert "as they should be" in made.output
    output = CliRunner().invoke(queues, ["check"]).output
    if broker_of(clinic.settings) is Broker.RABBITMQ:
        assert "not told by this broker here: in hand" in output
