"""Dead letters: why they are there, and sending again what they were about.

A lane's letter holds ids; its messages are in Postgres, so it is they that are sent again, not the
letter. A letter of the intake queue is a portal's message that could not be taken: it may hold
patients' words, so its body is shown nowhere, and goes back to the intake queue as it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Engine

from dashboard import audit, rerun
from dashboard.audit import Action
from dashboard.queue_depths import INTAKE
from shared.contracts import (
    TASK_FAST,
    TASK_LLM,
    Lane,
    dead_letter_queue_name,
    intake_dead_letter_queue_name,
    intake_queue_name,
)
from shared.database import transaction
from shared.errors import InvalidInput
from shared.queues import quick_client, translated
from shared.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

QUEUES: Final = (*(lane.value for lane in Lane), INTAKE)
#: A letter in hand is hidden from others for so long.
_HELD_S: Final = 30
#: So many receives at most, of ten letters each, for one page or one command's round.
_ROUNDS: Final = 20


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One of them, without what portals wrote."""

    id: str  # SQS's
    queue: str
    sent_at: datetime
    deliveries: int
    why: str
    ids: tuple[UUID, ...] = ()  # of a lane's letter that can be read


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a queue's dead letters."""

    letters: int = 0
    messages: int = 0  # sent again
    left: int = 0  # that cannot be read, and so not be sent again


def read(settings: Settings, queue: str, most: int = 50) -> Sequence[DeadLetter]:
    """Some of a queue's dead letters; they stay where they are.

    Raises:
        InvalidInput: there is no such queue.
        QueueError: SQS cannot be asked.
    """
    found: dict[str, DeadLetter] = {}
    sqs = quick_client(settings)
    with translated(settings):
        url = _url(sqs, settings, queue)
        for _ in range(_ROUNDS):
            # Not hidden: looking must not hold up whoever sends them again.
            letters = {
                letter.id: letter
                for letter in (_letter(queue, each) for each in _receive(sqs, url, hidden_s=0))
            }
            if not letters.keys() - found.keys() or len(found) >= most:
                break
            found |= letters
    return sorted(found.values(), key=lambda each: each.sent_at)[:most]


def run_again(engine: Engine, settings: Settings, queue: str, actor: str) -> Done:
    """Send again what a queue's dead letters were about, and remove these letters.

    Raises:
        InvalidInput: there is no such queue.
        QueueError, StoreError: it ended half-way; what is done stays done.
    """
    sqs = quick_client(settings)

    def settle(each: MessageTypeDef) -> int | None:
        if queue == INTAKE:
            with translated(settings):
                to = sqs.get_queue_url(QueueName=intake_queue_name(settings.queue_prefix))
                sqs.send_message(QueueUrl=to["QueueUrl"], MessageBody=each["Body"])
            return 1
        letter = _letter(queue, each)
        if not letter.ids:
            return None
        with transaction(engine) as connection:
            return len(rerun.send_again(connection, actor, letter.ids))

    with _audited(engine, actor, Action.DEAD_LETTERS_RUN_AGAIN, queue) as tally:
        _for_each(sqs, settings, queue, settle, tally)
    return tally.done()


def discard(engine: Engine, settings: Settings, queue: str, actor: str) -> Done:
    """Remove a queue's dead letters for good. A lane's messages are untouched by that."""
    sqs = quick_client(settings)
    with _audited(engine, actor, Action.DEAD_LETTERS_DISCARDED, queue) as tally:
        _for_each(sqs, settings, queue, lambda _: 0, tally)
    return tally.done()


@dataclass
class _Tally:
    letters: int = 0
    messages: int = 0
    left: set[str] = field(default_factory=set)

    def done(self) -> Done:
        return Done(letters=self.letters, messages=self.messages, left=len(self.left))


@contextmanager
def _audited(engine: Engine, actor: str, action: Action, queue: str) -> Iterator[_Tally]:
    """Whatever was done is in the audit log, also where SQS went away half-way."""
    tally = _Tally()
    try:
        yield tally
    finally:
        with transaction(engine) as connection:
            audit.record(
                connection,
                actor,
                action,
                queue=queue,
                letters=tally.letters,
                messages=tally.messages,
            )


def _for_each(
    sqs: SQSClient,
    settings: Settings,
    queue: str,
    settle: Callable[[MessageTypeDef], int | None],
    tally: _Tally,
) -> None:
    """Settle letters one by one; each is removed once it is settled, None leaves it."""
    for _ in range(_ROUNDS):
        with translated(settings):
            url = _url(sqs, settings, queue)
            received = _receive(sqs, url, hidden_s=_HELD_S)
        if not received:
            break
        for each in received:
            sent = settle(each)
            if sent is None:
                tally.left.add(each["MessageId"])
                continue
            with translated(settings):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            tally.letters += 1
            tally.messages += sent


def _url(sqs: SQSClient, settings: Settings, queue: str) -> str:
    if queue not in QUEUES:
        raise InvalidInput(f"there is no queue {queue!r}; there are {', '.join(QUEUES)}")
    prefix = settings.queue_prefix
    name = (
        intake_dead_letter_queue_name(prefix)
        if queue == INTAKE
        else dead_letter_queue_name(prefix, Lane(queue))
    )
    return sqs.get_queue_url(QueueName=name)["QueueUrl"]


def _receive(sqs: SQSClient, url: str, *, hidden_s: int) -> Sequence[MessageTypeDef]:
    return sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=hidden_s,
        MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
        MessageAttributeNames=["reason"],
    ).get("Messages", [])


def _letter(queue: str, message: MessageTypeDef) -> DeadLetter:
    attributes = message.get("Attributes", {})
    deliveries = int(attributes.get("ApproximateReceiveCount", 0))
    ids: tuple[UUID, ...] = ()
    if queue == INTAKE:
        why = _intake_reason(message)
    else:
        ids, why = open_envelope(message["Body"])
    return DeadLetter(
        id=message["MessageId"],
        queue=queue,
        sent_at=datetime.fromtimestamp(int(attributes.get("SentTimestamp", 0)) / 1000, UTC),
        deliveries=deliveries,
        why=why,
        ids=ids,
    )


def open_envelope(body: str) -> tuple[tuple[UUID, ...], str]:
    """The ids of a Celery task message, and why it is a dead letter. Pure."""
    try:
        envelope = json.loads(base64.b64decode(body, validate=True))
        task = envelope["headers"]["task"]
        _, arguments, _ = json.loads(base64.b64decode(envelope["body"]))
        ids = tuple(UUID(each) for each in arguments["ids"])
    # The attribute: of an id that is a list. Recursion: of thousands of brackets.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return (), "cannot be read: not a task of Carelane's"
    if task not in (TASK_FAST, TASK_LLM):
        return ids, f"unknown task {str(task)[:60]}"
    return ids, "its task failed, or its worker died, at every delivery"


def _intake_reason(message: MessageTypeDef) -> str:
    """The codes of the reason; its words may quote what a portal wrote."""
    attribute = message.get("MessageAttributes", {}).get("reason")
    given = attribute.get("StringValue", "") if attribute else ""
    codes = sorted(set(re.findall(r"\[([a-z_]+)\](?:;|$)", given)))
    if codes:
        return ", ".join(code.replace("_", " ") for code in codes)
    return "could not be taken as it is" if given else "its consumer died at every delivery"
