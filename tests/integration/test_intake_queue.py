"""Messages from the queue of portals that speak only SQS: real LocalStack, real Postgres."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from producer.intake import Intake
from producer.intake_queue import IntakeQueue, database_answers, run
from producer.validation import Limits
from shared.contracts import intake_dead_letter_queue_name, intake_queue_name
from shared.database import make_engine
from shared.errors import QueueUnavailable
from shared.queues import sqs_client
from shared.settings import Settings
from tests.integration.intake_parts import ChestPain, change, outbox, rows
from tests.services import LocalStackForTests, environment, eventually

pytestmark = pytest.mark.integration


class _Queues:
    """The portal's end of the queue, and the operator's of the dead letters."""

    def __init__(self, settings: Settings) -> None:
        self._sqs = sqs_client(settings)
        prefix = settings.queue_prefix
        self.name = intake_queue_name(prefix)
        self._url = self._sqs.get_queue_url(QueueName=self.name)["QueueUrl"]
        dead = intake_dead_letter_queue_name(prefix)
        self._dead_url = self._sqs.get_queue_url(QueueName=dead)["QueueUrl"]

    def put(self, *bodies: object) -> None:
        for body in bodies:
            self._sqs.send_message(
                QueueUrl=self._url, MessageBody=body if isinstance(body, str) else json.dumps(body)
            )

    def left(self) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return sum(int(count) for count in answer["Attributes"].values())

    def dead(self) -> list[tuple[str, str]]:
        """Body and reason of each dead letter."""
        found = self._sqs.receive_message(
            QueueUrl=self._dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        return [
            (each["Body"], each["MessageAttributes"]["reason"]["StringValue"]) for each in found
        ]


@pytest.fixture
def queues(queue_settings: Settings) -> _Queues:
    return _Queues(queue_settings)


def _consumer(settings: Settings, engine: Engine) -> IntakeQueue:
    return IntakeQueue(
        sqs_client(settings),
        intake_queue_name(settings.queue_prefix),
        "city-clinic",
        Intake(engine, ChestPain()),
        Limits(text_chars=1_000, messages=100),
        wait_s=0,
    )


def _step(settings: Settings, engine: Engine) -> int:
    return _consumer(settings, engine).step(threading.Event())


def _message(name: str, text: str = "Please refill") -> dict[str, str]:
    return {"external_id": name, "text": text}


def test_letters_are_committed_flagged_and_gone(
    queues: _Queues, queue_settings: Settings, engine: Engine
) -> None:
    queues.put(_message("a"), {"messages": [_message("b"), _message("c", "chest pain")]})

    eventually(lambda: _step(queue_settings, engine) == 0, what="an empty queue")

    found = rows(engine, "SELECT external_id, source, urgency_rank FROM messages ORDER BY 1")
    assert [tuple(row) for row in found] == [
        ("a", "city-clinic", 2), ("b", "city-clinic", 2), ("c", "city-clinic", 0),
    ]  # fmt: skip
    assert sorted(outbox(engine).values()) == ["fast", "fast", "priority"]
    assert (queues.left(), queues.dead()) == (0, [])


def test_the_same_letter_again_changes_nothing(
    queues: _Queues, queue_settings: Settings, engine: Engine
) -> None:
    for _ in range(3):
        queues.put(_message("a"))

    eventually(lambda: _step(queue_settings, engine) == 0, what="an empty queue")

    assert len(rows(engine, "SELECT 1 FROM messages")) == 1
    assert queues.dead() == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"external_id": "a", "text": " "}', "[empty]"),
        ('{"external_id": "a", "text": "x", "urgency": "high"}', "[unknown_field]"),
        ('{"external_id": "a", "text": "\\ud83d"}', "[not_utf8]"),
        (json.dumps({"messages": [_message("a")] * 101}), "at most 100"),
    ],
)
def test_what_cannot_be_taken_is_a_dead_letter_with_its_reason_and_body(
    queues: _Queues, queue_settings: Settings, engine: Engine, body: str, reason: str
) -> None:
    queues.put(body, _message("good"))

    eventually(lambda: _step(queue_settings, engine) == 0, what="an empty queue")

    ((dead, why),) = queues.dead()
    assert dead == body
    assert reason in why
    assert [row.external_id for row in rows(engine, "SELECT external_id FROM messages")] == ["good"]


def test_the_good_messages_of_a_partly_bad_letter_are_kept(
    queues: _Queues, queue_settings: Settings, engine: Engine
) -> None:
    queues.put(_message("old"))
    eventually(lambda: _step(queue_settings, engine) == 0, what="an empty queue")
    queues.put({"messages": [_message("a"), _message("b", ""), _message("old", "other words")]})

    eventually(lambda: _step(queue_settings, engine) == 0, what="an empty queue")

    ((_, why),) = queues.dead()
    assert "message 1: `text`" in why
    assert "message 2: `external_id`" in why
    assert {row.external_id for row in rows(engine, "SELECT external_id FROM messages")} == {
        "old", "a",
    }  # fmt: skip


def test_a_letter_that_the_database_refuses_does_not_stop_the_others(
    queues: _Queues, queue_settings: Settings, engine: Engine
) -> None:
    change(engine, "ALTER TABLE messages ADD CHECK (text <> 'poison')")
    queues.put(_message("a"), _message("p", "poison"), _message("b"))

    eventually(lambda: _step(queue_settings, engine) == 0, what="an empty queue")

    assert {row.external_id for row in rows(engine, "SELECT external_id FROM messages")} == {
        "a", "b",
    }  # fmt: skip
    ((_, why),) = queues.dead()
    assert why == "refused by the database"


@contextmanager
def _running(settings: Settings) -> Iterator[threading.Thread]:
    stop = threading.Event()
    engine = make_engine(settings, "test intake queue", pool_size=1)
    arguments = (_consumer(settings, engine), stop, lambda: database_answers(engine))
    thread = threading.Thread(target=run, args=arguments)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=30)
        engine.dispose()


def test_while_postgres_is_away_nothing_is_received_and_nothing_lost(
    queues: _Queues, queue_settings: Settings, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    away = replace(queue_settings, database_url="postgresql://nobody@127.0.0.1:1/none")
    queues.put(*(_message(str(n)) for n in range(12)))

    with _running(away):
        eventually(lambda: "not receiving" in caplog.text, what="a word in the log")
    assert queues.left() == 12
    with _running(queue_settings):
        eventually(lambda: queues.left() == 0, what="an empty queue")

    assert len(rows(engine, "SELECT 1 FROM messages")) == 12
    assert queues.dead() == []


def test_letters_in_hand_are_held_while_postgres_is_away_and_released_on_stop(
    queues: _Queues, queue_settings: Settings, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    away = make_engine(
        replace(queue_settings, database_url="postgresql://nobody@127.0.0.1:1/none"), "test"
    )
    stop = threading.Event()
    consumer = _consumer(queue_settings, away)
    queues.put(_message("a"))

    thread = threading.Thread(target=consumer.step, args=[stop])
    thread.start()
    eventually(lambda: "holding" in caplog.text, what="a word in the log")
    stop.set()
    thread.join(timeout=30)

    # At once, not after the visibility timeout.
    eventually(lambda: _step(queue_settings, engine) == 1, what="the letter again", timeout_s=10)
    assert len(rows(engine, "SELECT 1 FROM messages")) == 1


def test_sqs_that_is_away_is_waited_for(
    queues: _Queues,
    queue_settings: Settings,
    engine: Engine,
    localstack: LocalStackForTests,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nowhere = replace(queue_settings, sqs_endpoint_url="http://127.0.0.1:1")
    with pytest.raises(QueueUnavailable, match="carelane queues create"):
        _step(nowhere, engine)

    with _running(nowhere) as thread:
        eventually(lambda: "queue unavailable" in caplog.text, what="a word in the log")
        assert thread.is_alive()


def test_the_command_takes_letters_in_and_stops_when_told(
    queues: _Queues, queue_settings: Settings, engine: Engine
) -> None:
    carelane = Path(sys.executable).with_name("carelane")
    process = subprocess.Popen(
        [carelane, "intake-queue", "--source", "north-clinic"],
        env=environment(queue_settings),
        stderr=subprocess.DEVNULL,
    )
    try:
        queues.put(_message("a"))
        eventually(lambda: rows(engine, "SELECT 1 FROM messages"), what="the message")
    finally:
        process.send_signal(signal.SIGTERM)
        returncode = process.wait(timeout=20)

    assert returncode == 0
    assert rows(engine, "SELECT source FROM messages")[0].source == "north-clinic"
