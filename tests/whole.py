"""The whole of Carelane as real processes over the services of tests/services.py."""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from bench.stack import Stack
from shared.contracts import Lane, dead_letter_queue_name, queue_name
from shared.database import transaction
from shared.queues import sqs_client
from shared.settings import Settings
from tests.services import eventually

_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


@dataclass
class Whole:
    """The processes, the table, and the door for messages."""

    stack: Stack
    engine: Engine

    @property
    def settings(self) -> Settings:
        return self.stack.settings

    def portal(self) -> httpx.Client:
        """A portal's connection to the intake."""
        return httpx.Client(
            base_url=self.settings.intake_url, headers=self.stack.headers(), timeout=60
        )

    def submit(self, texts: Sequence[str], prefix: str = "") -> list[str]:
        """Hand messages in by one call; returns their ids, all accepted."""
        rows = [
            {"external_id": f"{prefix}{number}-{uuid.uuid4()}", "text": each}
            for number, each in enumerate(texts)
        ]
        with self.portal() as portal:
            answer = portal.post("/v1/messages", json={"messages": rows})
        assert answer.status_code == 202, answer.text[:500]
        assert answer.json()["accepted"] == len(texts)
        return [each["id"] for each in answer.json()["messages"]]

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        """What the database answers."""
        with transaction(self.engine) as connection:
            return list(connection.execute(text(query), parameters))

    def change(self, statement: str, **parameters: Any) -> None:
        """Change the database behind everybody's back."""
        with transaction(self.engine) as connection:
            connection.execute(text(statement), parameters)

    def statuses(self) -> Counter[str]:
        """How many messages stand where."""
        rows = self.rows("SELECT status, count(*) AS n FROM messages GROUP BY status")
        return Counter({row.status: row.n for row in rows})

    def no_more(self, *statuses: str) -> Callable[[], bool]:
        """A look whether there are messages and none of them in these statuses."""

        def look() -> bool:
            found = self.statuses()
            return bool(found) and not any(found[status] for status in statuses)

        return look

    def settle(self, timeout_s: float = 60) -> None:
        """Wait until nothing is processing."""
        eventually(
            self.no_more("queued", "escalated"),
            what="every message settled",
            timeout_s=timeout_s,
            every_s=0.2,
        )

    def queue_url(self, lane: Lane, *, dead: bool = False) -> str:
        """Address of a lane's queue or of its dead-letter queue."""
        name = (dead_letter_queue_name if dead else queue_name)(self.settings.queue_prefix, lane)
        return sqs_client(self.settings).get_queue_url(QueueName=name)["QueueUrl"]

    def set_queue(self, lane: Lane, *, visibility_s: int, max_receives: int) -> None:
        """Make a queue quicker with repeats and dead letters."""
        client, url = sqs_client(self.settings), self.queue_url(lane)
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = json.loads(attributes["Attributes"]["RedrivePolicy"])
        client.set_queue_attributes(
            QueueUrl=url,
            Attributes={
                "VisibilityTimeout": str(visibility_s),
                "RedrivePolicy": json.dumps({**policy, "maxReceiveCount": max_receives}),
            },
        )

    def send_body(self, lane: Lane, body: str) -> None:
        """Put anything into a lane's queue."""
        sqs_client(self.settings).send_message(QueueUrl=self.queue_url(lane), MessageBody=body)

    def peek(self, lane: Lane, *, dead: bool = False) -> list[str]:
        """The bodies that wait in a queue, left where they are."""
        client, url = sqs_client(self.settings), self.queue_url(lane, dead=dead)
        found: dict[str, dict[str, str]] = {}
        while True:
            answer = client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5
            )
            messages = answer.get("Messages", [])
            for each in messages:
                found[each["MessageId"]] = {"body": each["Body"], "receipt": each["ReceiptHandle"]}
            if not messages:
                break
        for each in found.values():
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=each["receipt"], VisibilityTimeout=0
            )
        return [each["body"] for each in found.values()]


def unwrapped(body: str) -> str:
    """A text with everything in base64 inside it written out too, however deep."""
    parts = [body]
    for match in _BASE64.finditer(body):
        try:
            inner = base64.b64decode(match[0], validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue
        parts.append(unwrapped(inner))
    return "\n".join(parts)


@pytest.fixture
def whole(engine: Engine, stack_settings: Settings, tmp_path: Path) -> Iterator[Whole]:
    """Nothing started yet; schema, queues and key are there. Leases are short, for faults."""
    settings = replace(
        stack_settings,
        fast_lease_s=3.0,
        llm_lease_s=5.0,
        sweep_every_s=0.5,
        sweep_after_s=8.0,
        deid_budget_ms=500.0,
    )
    stack = Stack(settings, tmp_path / "logs")
    stack.prepare()
    made = Whole(stack, engine)
    for lane in Lane:
        made.set_queue(lane, visibility_s=6, max_receives=50)
    yield made
    made.stack.stop()
