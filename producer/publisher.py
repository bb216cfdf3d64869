"""The seam to the queues: chunks of ids become Celery task messages and are sent.

On SQS the envelopes are built without a broker connection and go out ten in one
SendMessageBatch, ten times faster than Celery's own sending. Every other broker
(CARELANE_BROKER_URL) gets Celery's own sending. The relay cannot import the workers, so the
Celery app here knows no tasks: only how to write a message that theirs can read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID, uuid4

from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery
from kombu.serialization import dumps

from shared.broker_queues import connect, translated
from shared.brokers import Broker, broker_of, lane_queue, sending_options
from shared.contracts import Lane, queue_name
from shared.errors import QueueError, QueueMisconfigured, QueueUnavailable
from shared.queues import sqs_client
from shared.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

#: SQS takes at most ten messages in one call. Ten full chunks are some 50 kB, far below its
#: limit of 256 KiB (1 MiB since 2025); a test holds them to it.
TASKS_PER_CALL: Final = 10

Chunk = Sequence[UUID]


class QueuePublisher(Protocol):
    """Sends chunks of message ids to a lane's queue."""

    def publish(self, lane: Lane, chunks: Sequence[Chunk]) -> list[bool]:
        """Send at most `TASKS_PER_CALL` chunks; says of each whether the broker took it.

        Raises:
            QueueUnavailable: none was surely taken; the same call may go through later.
            QueueMisconfigured: the queue is missing.
            QueueError: the broker refused for another reason.
        """
        ...


def make_publisher(settings: Settings) -> QueuePublisher:
    """The publisher for the broker that the settings name. Make it after any fork."""
    if broker_of(settings) is Broker.SQS:
        return SqsPublisher(sqs_client(settings), settings)
    return CeleryPublisher(settings)


class Envelopes:
    """Writes Celery's message protocol (version 2) as kombu's SQS transport does."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.queue_prefix
        self._app = _bare_app("memory://")

    def build(self, lane: Lane, ids: Chunk) -> str:
        """The SQS message body of one task: a base64 text."""
        task = self._app.amqp.as_task_v2(
            str(uuid4()),
            lane.task,
            kwargs=_arguments(ids),
            # Only for logs and monitors, which need no ids a second time.
            argsrepr="()",
            kwargsrepr=f"{{'ids': {len(ids)}}}",
            ignore_result=True,
        )
        content_type, content_encoding, body = dumps(task.body, serializer="json")
        queue = queue_name(self._prefix, lane)
        message = {
            "body": _base64(body),
            "content-encoding": content_encoding,
            "content-type": content_type,
            "headers": task.headers,
            "properties": {
                **task.properties,
                "delivery_mode": 2,
                "delivery_info": {"exchange": queue, "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
        return _base64(json.dumps(message))


class SqsPublisher:
    """Ten tasks in one SendMessageBatch."""

    def __init__(self, client: SQSClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._envelopes = Envelopes(settings)
        self._urls: dict[Lane, str] = {}

    def publish(self, lane: Lane, chunks: Sequence[Chunk]) -> list[bool]:
        """See `QueuePublisher`."""
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(place), "MessageBody": self._envelopes.build(lane, chunk)}
            for place, chunk in enumerate(chunks)
        ]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url(lane), Entries=entries)
        except (BotoCoreError, ClientError) as error:
            self._urls.pop(lane, None)  # the queue may come back under another address
            raise self._translated(error, lane) from error
        # Only what SQS names as taken counts: an entry in neither list is unsent.
        taken = {entry["Id"] for entry in answer.get("Successful", ())}
        return [str(place) in taken for place in range(len(chunks))]

    def _url(self, lane: Lane) -> str:
        if lane not in self._urls:
            name = queue_name(self._settings.queue_prefix, lane)
            self._urls[lane] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[lane]

    def _translated(self, error: BotoCoreError | ClientError, lane: Lane) -> QueueError:
        where = self._settings.sqs_endpoint_url or f"AWS {self._settings.aws_region}"
        if isinstance(error, BotoCoreError):
            return QueueUnavailable(f"SQS at {where} cannot be reached now: {error}")
        code = str(error.response.get("Error", {}).get("Code", "no code"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code.endswith(("NonExistentQueue", "QueueDoesNotExist")):
            name = queue_name(self._settings.queue_prefix, lane)
            return QueueMisconfigured(
                f"SQS at {where} has no queue {name}; `carelane queues create` makes it"
            )
        if status >= 500 or status == 429 or "Throttl" in code:
            return QueueUnavailable(f"SQS at {where} cannot take messages now: {code}")
        return QueueError(
            f"SQS at {where} refused ({code}); look at the AWS credentials and the queue's policy"
        )


class CeleryPublisher:
    """Celery's own sending, one task a message, for brokers other than SQS."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = connect(settings)
        self._app = _bare_app(settings.require("broker_url"))
        self._app.conf.update(
            broker_transport_options=sending_options(settings),
            task_queues=[lane_queue(settings, lane) for lane in Lane],
            task_default_queue=queue_name(settings.queue_prefix, Lane.FAST),
            task_default_exchange="",
            task_create_missing_queues=False,
        )

    def publish(self, lane: Lane, chunks: Sequence[Chunk]) -> list[bool]:
        """See `QueuePublisher`."""
        taken: list[bool] = []
        for chunk in chunks:
            try:
                with translated(self._settings, self._connection):
                    self._send(lane, chunk)
            except QueueError:
                if not taken:
                    raise
                break
            taken.append(True)
        return taken + [False] * (len(chunks) - len(taken))

    def _send(self, lane: Lane, chunk: Chunk) -> None:
        self._app.send_task(
            lane.task,
            kwargs=_arguments(chunk),
            queue=queue_name(self._settings.queue_prefix, lane),
            # Only for logs and monitors, which need no ids a second time.
            argsrepr="()",
            kwargsrepr=f"{{'ids': {len(chunk)}}}",
            retry=False,
            ignore_result=True,
        )


def _bare_app(broker: str) -> Celery:
    app = Celery("carelane.relay", broker=broker, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        broker_connection_timeout=2,
    )
    return app


def _arguments(ids: Chunk) -> dict[str, Any]:
    return {"ids": [str(each) for each in ids]}


def _base64(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.b64encode(raw).decode()
