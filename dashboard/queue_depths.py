"""How deep the SQS queues are, asked beside the request, so that a broker that is away costs none.

SQS tells approximate numbers; the age of the oldest message it tells only to CloudWatch, so the
page shows ages from Postgres instead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.contracts import Lane, dead_letter_queue_name, queue_name
from shared.settings import Settings

logger = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 2


@dataclass(frozen=True, kw_only=True)
class Depth:
    """One queue's numbers."""

    lane: Lane
    waiting: int
    in_flight: int  # received and not yet acknowledged
    dead: int  # in its dead-letter queue


class QueueDepths:
    """Asks SQS in the background, at most every few seconds and only while somebody looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self.asking = False
        self._asked_at_s = float("-inf")
        self._last: tuple[Depth, ...] | None = None

    def last(self) -> Sequence[Depth] | None:
        """The last answer; None while there is none, or when SQS cannot be reached."""
        with self._lock:
            due = not self.asking and time.monotonic() - self._asked_at_s > _EVERY_S
            if due:
                self.asking = True
                threading.Thread(target=self._ask, name="queue depths", daemon=True).start()
            return self._last

    def _ask(self) -> None:
        answer: tuple[Depth, ...] | None = None
        try:
            answer = ask(self._settings)
        except (BotoCoreError, ClientError) as error:
            logger.info("SQS did not tell its depths", extra={"kind": type(error).__name__})
        finally:
            with self._lock:
                self._last = answer
                self.asking = False
                self._asked_at_s = time.monotonic()


def ask(settings: Settings) -> tuple[Depth, ...]:
    """The depths of all lanes, from SQS; botocore's errors go through."""
    client = boto3.client(
        "sqs",
        region_name=settings.aws_region,
        endpoint_url=settings.sqs_endpoint_url,
        config=Config(
            connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1}
        ),
    )

    def numbers(name: str) -> tuple[int, int]:
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        found = client.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return (
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
        )

    depths = []
    for lane in Lane:
        waiting, in_flight = numbers(queue_name(settings.queue_prefix, lane))
        dead, _ = numbers(dead_letter_queue_name(settings.queue_prefix, lane))
        depths.append(Depth(lane=lane, waiting=waiting, in_flight=in_flight, dead=dead))
    return tuple(depths)
