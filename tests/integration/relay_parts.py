"""What the tests of the relay share: messages in the outbox, a reader of queues, a deadly fault.

Run as a program it is a relay that is killed after it sent and before it commits:

    python -m tests.integration.relay_parts
"""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from producer.publisher import Chunk, QueuePublisher, make_publisher
from producer.relay import Relay
from shared.contracts import CHANNEL_OUTBOX, Lane, queue_name
from shared.database import make_engine
from shared.ids import new_message_id
from shared.notify import Listener
from shared.queues import sqs_client
from shared.settings import Settings
from tests.integration.intake_parts import change


def put_messages(engine: Engine, count: int, lane: Lane = Lane.FAST) -> list[UUID]:
    """Accepted messages with their outbox rows, and without a notification."""
    ids = [new_message_id() for _ in range(count)]
    change(
        engine,
        """
        WITH new AS (
            INSERT INTO messages (id, source, external_id, text)
            SELECT id, 's', id::text, 'text' FROM unnest(CAST(:ids AS uuid[])) AS row (id)
            RETURNING id
        )
        INSERT INTO outbox (message_id, lane) SELECT id, :lane FROM new ORDER BY id
        """,
        ids=[str(each) for each in ids],
        lane=lane.value,
    )
    return ids


class QueueReader:
    """Takes everything out of a lane's queue, as a worker would, and counts each id."""

    def __init__(self, settings: Settings, lane: Lane = Lane.FAST) -> None:
        self._sqs = sqs_client(settings)
        self._name = queue_name(settings.queue_prefix, lane)
        self.seen: Counter[UUID] = Counter()
        self.chunks: list[int] = []

    def read(self) -> set[UUID]:
        """Take what is there now; returns every id seen so far."""
        url = self._sqs.get_queue_url(QueueName=self._name)["QueueUrl"]
        while True:
            answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            found = answer.get("Messages", [])
            for message in found:
                ids = ids_of(message["Body"])
                self.seen.update(ids)
                self.chunks.append(len(ids))
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if not found:
                return set(self.seen)


def ids_of(body: str) -> list[UUID]:
    """The message ids in an SQS body."""
    envelope = json.loads(base64.b64decode(body))
    _, kwargs, _ = json.loads(base64.b64decode(envelope["body"]))
    return [UUID(each) for each in kwargs["ids"]]


@contextmanager
def running_relay(
    settings: Settings, publisher: QueuePublisher | None = None
) -> Iterator[threading.Thread]:
    """A relay in a thread of its own, stopped at the end of the block."""
    stop = threading.Event()
    engine = make_engine(settings, "test relay", pool_size=1)
    listener = Listener(settings, "test relay listener", CHANNEL_OUTBOX)
    relay = Relay(engine, publisher or make_publisher(settings), listener)
    thread = threading.Thread(target=relay.run, args=[stop])
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=30)
        engine.dispose()


class DiesAfterSending:
    """Sends for real, and takes the process with it before anything can be committed."""

    def __init__(self, publisher: QueuePublisher) -> None:
        self._publisher = publisher

    def publish(self, lane: Lane, chunks: Sequence[Chunk]) -> list[bool]:
        """See `QueuePublisher`."""
        self._publisher.publish(lane, chunks)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")


def main() -> None:
    """Be the relay that dies."""
    settings = Settings.from_env(os.environ)
    deadly: Any = DiesAfterSending(make_publisher(settings))
    listener = Listener(settings, "dying relay", CHANNEL_OUTBOX)
    Relay(make_engine(settings, "dying relay"), deadly, listener).run(threading.Event())


if __name__ == "__main__":
    main()
