"""The relay against the real Postgres and the real LocalStack: at least once, whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from kombu import Connection
from sqlalchemy import Engine

from producer.publisher import Chunk, QueuePublisher, make_publisher
from producer.relay import relay_lane
from producer.sweeper import sweep
from shared.contracts import Lane, queue_name
from shared.errors import QueueMisconfigured, QueueUnavailable
from shared.notify import notify_outbox
from shared.queues import create_queues, sqs_client
from shared.settings import Settings
from tests.integration.intake_parts import change, outbox, rows
from tests.integration.relay_parts import QueueReader, put_messages, running_relay
from tests.services import LocalStackForTests, environment, eventually

pytestmark = pytest.mark.integration

_CARELANE = Path(sys.executable).with_name("carelane")
_ROOT = Path(__file__).parents[2]


def _arrived(reader: QueueReader, ids: Sequence[UUID], timeout_s: float = 30) -> None:
    eventually(lambda: reader.read() >= set(ids), what="every id in the queue", timeout_s=timeout_s)


def _relay_process(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [_CARELANE, "relay"], env=environment(settings), stderr=subprocess.DEVNULL
    )


@pytest.mark.parametrize("lane", list(Lane))
def test_a_burst_goes_out_in_full_chunks_and_leaves_the_outbox(
    engine: Engine, queue_settings: Settings, lane: Lane
) -> None:
    ids = put_messages(engine, 5 * lane.chunk + 1, lane)
    reader = QueueReader(queue_settings, lane)

    step = relay_lane(engine, make_publisher(queue_settings), lane)

    assert (step.sent, step.left) == (len(ids), 0)
    assert reader.read() == set(ids)
    assert sorted(reader.chunks) == [1] + 5 * [lane.chunk]
    assert outbox(engine) == {}


def test_kombus_own_consumer_reads_what_the_relay_sent(
    engine: Engine, queue_settings: Settings, localstack: LocalStackForTests
) -> None:
    ids = put_messages(engine, 3)
    relay_lane(engine, make_publisher(queue_settings), Lane.FAST)
    name = queue_name(queue_settings.queue_prefix, Lane.FAST)
    url = sqs_client(queue_settings).get_queue_url(QueueName=name)["QueueUrl"]
    options = {"predefined_queues": {name: {"url": url}}, "region": queue_settings.aws_region}

    broker = f"sqs://test:test@127.0.0.1:{localstack.port}//"
    with Connection(broker, transport_options=options) as connection:
        queue = connection.SimpleQueue(name)
        message = queue.get(timeout=10)
        message.ack()
        queue.close()

    assert message.headers["task"] == "triage.fast"
    assert set(message.payload[1]["ids"]) == {str(each) for each in ids}


def test_one_message_goes_out_as_soon_as_it_is_committed(
    engine: Engine, queue_settings: Settings
) -> None:
    reader = QueueReader(queue_settings)
    with running_relay(queue_settings):
        first = put_messages(engine, 1)  # without a notification: found by looking
        _arrived(reader, first)
        second = put_messages(engine, 1)
        with engine.begin() as connection:
            notify_outbox(connection)
        _arrived(reader, second)


def test_a_relay_killed_between_send_and_commit_loses_nothing(
    engine: Engine, queue_settings: Settings
) -> None:
    ids = put_messages(engine, 40)
    reader = QueueReader(queue_settings)

    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.relay_parts"],
        env=environment(queue_settings),
        cwd=_ROOT,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )

    assert killed.returncode == -signal.SIGKILL
    eventually(lambda: len(outbox(engine)) == 40, what="the rows back in the outbox")
    with running_relay(queue_settings):
        eventually(lambda: outbox(engine) == {}, what="an empty outbox")
    assert reader.read() == set(ids)
    assert set(reader.seen.values()) == {2}, "sent by both: the workers settle it once"


def test_relays_killed_again_and_again_lose_nothing(
    engine: Engine, queue_settings: Settings
) -> None:
    reader = QueueReader(queue_settings)
    ids: list[UUID] = []
    processes = [_relay_process(queue_settings) for _ in range(2)]
    try:
        for turn in range(6):
            ids += put_messages(engine, 400)
            # Killed as soon as it is seen at work, each time at another point of it.
            eventually(lambda: len(outbox(engine)) < 400, what="a relay at work")
            victim = processes[turn % 2]
            victim.kill()
            victim.wait()
            processes[turn % 2] = _relay_process(queue_settings)
        eventually(lambda: outbox(engine) == {}, what="an empty outbox")
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert reader.read() == set(ids)


def test_two_relays_share_the_work_and_send_each_id_once(
    engine: Engine, queue_settings: Settings
) -> None:
    ids = put_messages(engine, 2_000)
    reader = QueueReader(queue_settings)

    with running_relay(queue_settings), running_relay(queue_settings):
        eventually(lambda: outbox(engine) == {}, what="an empty outbox")

    assert reader.read() == set(ids)
    assert set(reader.seen.values()) == {1}


class _TakesHalf:
    """A broker that refuses every second task of a batch, as SendMessageBatch may."""

    def __init__(self, publisher: QueuePublisher) -> None:
        self._publisher = publisher
        self.refusing = True

    def publish(self, lane: Lane, chunks: Sequence[Chunk]) -> list[bool]:
        if not self.refusing:
            return self._publisher.publish(lane, chunks)
        self._publisher.publish(lane, chunks[::2])
        return [place % 2 == 0 for place in range(len(chunks))]


def test_what_sqs_refuses_of_a_batch_stays_and_goes_later(
    engine: Engine, queue_settings: Settings
) -> None:
    ids = put_messages(engine, 10 * 32)
    reader = QueueReader(queue_settings)
    publisher = _TakesHalf(make_publisher(queue_settings))

    step = relay_lane(engine, publisher, Lane.FAST)
    kept = set(outbox(engine))
    arrived = reader.read()
    publisher.refusing = False
    relay_lane(engine, publisher, Lane.FAST)

    assert (step.sent, step.left) == (160, 160)
    assert kept == set(ids) - arrived
    assert reader.read() == set(ids)
    assert set(reader.seen.values()) == {1}


def test_sqs_that_refuses_connections_delays_and_loses_nothing(
    engine: Engine,
    queue_settings: Settings,
    localstack: LocalStackForTests,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_relay(queue_settings) as relay:
        localstack.stop()
        ids = put_messages(engine, 100)
        eventually(
            lambda: caplog.text.count("nothing sent; the outbox keeps it") >= 3, what="three tries"
        )
        assert relay.is_alive()
        assert set(outbox(engine)) == set(ids)
        localstack.start()
        create_queues(queue_settings)
        _arrived(QueueReader(queue_settings), ids, timeout_s=20)
        eventually(lambda: outbox(engine) == {}, what="an empty outbox")


def test_what_an_outage_held_back_is_not_taken_for_lost(
    engine: Engine, queue_settings: Settings
) -> None:
    (message_id,) = put_messages(engine, 1)
    change(engine, "UPDATE messages SET enqueued_at = now() - interval '10 minutes'")
    change(engine, "UPDATE outbox SET created_at = now() - interval '10 minutes'")

    relay_lane(engine, make_publisher(queue_settings), Lane.FAST)

    assert sweep(engine, sweep_after_s=120, give_up_after_s=3600).sent_again == ()
    (row,) = rows(engine, "SELECT enqueued_at > now() - interval '1 minute' AS fresh FROM messages")
    assert row.fresh, message_id


def test_after_a_restart_of_an_empty_broker_the_sweeper_brings_every_message_home(
    engine: Engine, queue_settings: Settings, localstack: LocalStackForTests
) -> None:
    with running_relay(queue_settings):
        ids = put_messages(engine, 300) + put_messages(engine, 5, Lane.LLM)
        change(engine, "UPDATE messages SET status = 'escalated' WHERE id = ANY(:i)", i=ids[300:])
        eventually(lambda: outbox(engine) == {}, what="everything sent")
        localstack.restart_empty(queue_settings)
        assert QueueReader(queue_settings).read() == set()
        change(engine, "UPDATE messages SET enqueued_at = now() - interval '3 minutes'")

        swept = sweep(engine, sweep_after_s=120, give_up_after_s=3600)

        assert set(swept.sent_again) == set(ids)
        _arrived(QueueReader(queue_settings), ids[:300])
        _arrived(QueueReader(queue_settings, Lane.LLM), ids[300:])


def test_a_relay_that_is_told_to_stop_ends_by_itself_and_well(queue_settings: Settings) -> None:
    process = subprocess.Popen(
        [_CARELANE, "relay"], env=environment(queue_settings), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b"relay started" in line:
            break

    process.send_signal(signal.SIGTERM)

    _, log = process.communicate(timeout=15)
    assert process.returncode == 0
    assert b"relay stopped" in log


def test_a_database_that_goes_away_is_waited_for(engine: Engine, queue_settings: Settings) -> None:
    reader = QueueReader(queue_settings)
    with running_relay(queue_settings) as relay:
        _arrived(reader, put_messages(engine, 1))
        # Every connection of the relay, the listening one too.
        change(
            engine,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'test relay%'",
        )
        _arrived(reader, put_messages(engine, 1))
        assert relay.is_alive()


def test_a_missing_queue_is_said_with_the_mend(engine: Engine, queue_settings: Settings) -> None:
    put_messages(engine, 1)
    nowhere = replace(queue_settings, queue_prefix="nowhere")

    with pytest.raises(QueueMisconfigured, match="carelane queues create"):
        relay_lane(engine, make_publisher(nowhere), Lane.FAST)

    assert len(outbox(engine)) == 1


def test_another_broker_that_is_away_is_said_without_its_password(engine: Engine) -> None:
    put_messages(engine, 1)
    settings = Settings(broker_url="amqp://me:hunter2@127.0.0.1:1//")

    with pytest.raises(QueueUnavailable) as caught:
        relay_lane(engine, make_publisher(settings), Lane.FAST)

    assert "hunter2" not in str(caught.value)
    assert len(outbox(engine)) == 1
