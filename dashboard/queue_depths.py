"""How deep the SQS queues are, asked beside the request, so that a broker that is away costs none.

SQS tells approximate numbers. The age of the oldest message it tells only to CloudWatch, so ages
come from Postgres, which knows since when each message is under way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from shared.contracts import (
    Lane,
    dead_letter_queue_name,
    intake_dead_letter_queue_name,
    intake_queue_name,
    queue_name,
)
from shared.queues import quick_client
from shared.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
#: The queue that is no lane.
INTAKE: Final = "intake"


@dataclass(frozen=True, kw_only=True)
class Depth:
    """One queue's numbers."""

    queue: str  # a lane, or intake
    waiting: int
    in_flight: int  # received and not yet acknowledged
    dead: int  # in its dead-letter queue


class QueueDepths:
    """Asks SQS in the background, at most every few seconds and only while somebody looks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self.asking = False
        self._asked_at_s = float("-inf")
        self._last: tuple[Depth, ...] | None = None

    def last(self) -> Sequence[Depth] | None:
        """The last answer; None while there is none, or when SQS cannot be reached."""
        with self._changed:
            due = not self.asking and time.monotonic() - self._asked_at_s > _EVERY_S
            # Another broker's depths are told by its own tools.
            if due and self._settings.broker_url is None:
                self.asking = True
                threading.Thread(target=self._ask, name="queue depths", daemon=True).start()
            return self._last

    def fresh(self, longest_s: float) -> Sequence[Depth] | None:
        """The same, after waiting so long for an answer that is no older than a few seconds."""
        self.last()
        with self._changed:
            self._changed.wait_for(lambda: not self.asking, longest_s)
            return self._last

    def _ask(self) -> None:
        answer: tuple[Depth, ...] | None = None
        try:
            answer = ask(self._settings)
        except (BotoCoreError, ClientError) as error:
            logger.info("SQS did not tell its depths", extra={"kind": type(error).__name__})
        finally:
            with self._changed:
                self._last = answer
                self.asking = False
                self._asked_at_s = time.monotonic()
                self._changed.notify_all()


def ask(settings: Settings) -> tuple[Depth, ...]:
    """The depths of all lanes and of the intake queue, from SQS; botocore's errors go through."""
    client = quick_client(settings)
    prefix = settings.queue_prefix
    named = {
        lane.value: (queue_name(prefix, lane), dead_letter_queue_name(prefix, lane))
        for lane in Lane
    }
    named[INTAKE] = (intake_queue_name(prefix), intake_dead_letter_queue_name(prefix))
    depths = []
    for queue, (name, dead_name) in named.items():
        waiting, in_flight = _numbers(client, name)
        dead, _ = _numbers(client, dead_name)
        depths.append(Depth(queue=queue, waiting=waiting, in_flight=in_flight, dead=dead))
    return tuple(depths)


def _numbers(client: SQSClient, name: str) -> tuple[int, int]:
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    found = client.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return (
        int(found["ApproximateNumberOfMessages"]),
        int(found["ApproximateNumberOfMessagesNotVisible"]),
    )
