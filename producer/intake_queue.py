"""`carelane intake-queue`: takes messages in from SQS, for portals that speak nothing else.

A body is what `POST /v1/messages` takes. It leaves the queue only when its messages are committed,
or when it lies in the dead-letter queue with the reason. While Postgres is away nothing is
received, and what is in hand is held, so that an outage costs no deliveries. Anybody who may write
to the queue writes as its source: give each portal a queue of its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Engine, text

from producer.cli import stop_on_signals
from producer.intake import Intake
from producer.keys import check_source_name
from producer.validation import Draft, Limits, Refusal, check_rows, parse_body
from shared import logs, metrics, metrics_server, tracing
from shared.contracts import intake_queue_name
from shared.database import make_engine, transaction
from shared.errors import InvalidInput, QueueUnavailable, StoreError, StoreUnavailable
from shared.queues import sqs_client
from shared.red_flags import RedFlags
from shared.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

_BACKOFF_S: Final = 1.0
_HOLD_S: Final = 60
#: The message attribute of a dead letter that says why it is one.
REASON: Final = "reason"
_LONGEST_REASON: Final = 1_000


@dataclass(frozen=True)
class Letter:
    """One SQS message in hand, with what is in it."""

    id: str
    receipt: str
    body: str
    drafts: tuple[Draft, ...]
    reasons: tuple[str, ...]  # why some or all of it cannot be taken


class IntakeQueue:
    """Moves messages from one queue into Postgres."""

    def __init__(
        self,
        sqs: SQSClient,
        queue: str,
        source: str,
        intake: Intake,
        limits: Limits,
        *,
        wait_s: int = 2,
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._source = source
        self._intake = intake
        self._limits = limits
        self._wait_s = wait_s  # for a first letter; also how long a stop may take

    def step(self, stop: threading.Event) -> int:
        """Receive once and settle all of it; returns how many SQS messages that were.

        Raises:
            QueueUnavailable: SQS failed; what is not settled is delivered again.
        """
        with self._translated():
            received = self._sqs.receive_message(
                QueueUrl=self._url(self._queue),
                MaxNumberOfMessages=10,
                WaitTimeSeconds=self._wait_s,
                MessageSystemAttributeNames=["SentTimestamp"],
            ).get("Messages", [])
            for message in received:
                if sent_ms := message.get("Attributes", {}).get("SentTimestamp"):
                    metrics.INTAKE_QUEUE_SECONDS.observe(time.time() - int(sent_ms) / 1000)
            letters = [read(message, self._limits) for message in received]
            if letters:
                self._settle(letters, stop)
            return len(letters)

    def _settle(self, letters: Sequence[Letter], stop: threading.Event) -> None:
        taken = self._take_or_hold(letters, stop)
        if taken is None:  # told to stop while the database is away
            self._release(letters)
            return
        dead = [letter for letter in taken if letter.reasons]
        # One by one: ten bodies of the largest size do not fit into one call. Where it fails, the
        # letters stay in the queue; those buried already may be buried twice, never lost.
        for letter in dead:
            self._bury(letter)
        self._delete(taken)
        logger.info(
            "received",
            extra={
                "letters": len(letters),
                "messages": sum(len(letter.drafts) for letter in letters),
                "dead": len(dead),
            },
        )

    def _take_or_hold(
        self, letters: Sequence[Letter], stop: threading.Event
    ) -> Sequence[Letter] | None:
        """Wait for the database as long as it takes, holding on to the letters meanwhile."""
        while True:
            try:
                return self._take(letters)
            except StoreUnavailable as error:
                logger.warning("database away; holding", extra={"error_text": str(error)})
            if stop.wait(_BACKOFF_S):
                return None
            self._set_visibility(letters, _HOLD_S)

    def _take(self, letters: Sequence[Letter]) -> Sequence[Letter]:
        """The letters, with the reasons that the database adds.

        One transaction for all of them; singly where the database refuses, to find the culprit.
        """
        try:
            return self._take_together(letters)
        except StoreUnavailable:
            raise
        except StoreError as error:
            if len(letters) > 1:
                return [each for letter in letters for each in self._take([letter])]
            logger.error("the database refused a letter", extra={"error_text": str(error)})
            return [replace(letters[0], reasons=(*letters[0].reasons, "refused by the database"))]

    def _take_together(self, letters: Sequence[Letter]) -> Sequence[Letter]:
        owners: list[tuple[Letter, Draft]] = [
            (letter, draft) for letter in letters for draft in letter.drafts
        ]
        drafts = [replace(draft, index=place) for place, (_, draft) in enumerate(owners)]
        with tracing.root("intake queue"):
            result = self._intake.take(self._source, drafts)
        conflicts: dict[str, list[str]] = {}
        for refusal in result.conflicts:
            letter, draft = owners[refusal.index]
            conflicts.setdefault(letter.id, []).append(
                _in_words(replace(refusal, index=draft.index))
            )
        return [
            replace(letter, reasons=(*letter.reasons, *conflicts.get(letter.id, ())))
            for letter in letters
        ]

    def _bury(self, letter: Letter) -> None:
        """Put a letter into the dead-letter queue, its body intact."""
        reason = "; ".join(letter.reasons)[:_LONGEST_REASON]
        self._sqs.send_message(
            QueueUrl=self._url(f"{self._queue}-dlq"),
            MessageBody=letter.body,
            MessageAttributes={REASON: {"DataType": "String", "StringValue": reason}},
        )

    def _delete(self, letters: Sequence[Letter]) -> None:
        answer = self._sqs.delete_message_batch(
            QueueUrl=self._url(self._queue),
            Entries=[{"Id": str(n), "ReceiptHandle": x.receipt} for n, x in enumerate(letters)],
        )
        if answer.get("Failed"):
            # They come again, and are recognised as duplicates.
            logger.warning("not deleted", extra={"letters": len(answer["Failed"])})

    def _release(self, letters: Sequence[Letter]) -> None:
        self._set_visibility(letters, 0)

    def _set_visibility(self, letters: Sequence[Letter], seconds: int) -> None:
        self._sqs.change_message_visibility_batch(
            QueueUrl=self._url(self._queue),
            Entries=[
                {"Id": str(n), "ReceiptHandle": x.receipt, "VisibilityTimeout": seconds}
                for n, x in enumerate(letters)
            ],
        )

    def _url(self, name: str) -> str:
        return self._sqs.get_queue_url(QueueName=name)["QueueUrl"]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise QueueUnavailable(
                f"SQS queue {self._queue} cannot be used now: {error}. `carelane queues create` "
                "makes carelane-intake; a queue of another name needs one called <name>-dlq too"
            ) from error


def read(message: MessageTypeDef, limits: Limits) -> Letter:
    """A letter's good messages, and the reasons why others, or all, are not."""
    body = message["Body"]
    drafts: tuple[Draft, ...] = ()
    try:
        rows = parse_body(body.encode("utf-8", "surrogatepass"), limits)
    except InvalidInput as error:
        reasons: tuple[str, ...] = (str(error),)
    else:
        checked = check_rows(rows, limits)
        drafts = checked.drafts
        reasons = tuple(_in_words(each) for each in checked.refusals)
    return Letter(message["MessageId"], message["ReceiptHandle"], body, drafts, reasons)


def _in_words(refusal: Refusal) -> str:
    return f"message {refusal.index}: {refusal.detail} [{refusal.reason}]"


def database_answers(engine: Engine) -> bool:
    """Whether receiving makes sense now."""
    try:
        with transaction(engine) as connection:
            connection.execute(text("SELECT 1"))
    except StoreError:
        return False
    return True


def run(queue: IntakeQueue, stop: threading.Event, ready: Callable[[], bool]) -> None:
    """Take letters in until `stop`; the ones in hand are settled first."""
    logger.info("intake queue started")
    while not stop.is_set():
        if not ready():
            logger.warning("database away; not receiving")
            stop.wait(_BACKOFF_S)
            continue
        try:
            queue.step(stop)
        except QueueUnavailable as error:
            logger.warning("queue unavailable", extra={"error_text": str(error)})
            stop.wait(_BACKOFF_S)
    logger.info("intake queue stopped")


@click.command("intake-queue")
@click.option("--queue", help="The queue's name. Default: <CARELANE_QUEUE_PREFIX>-intake.")
@click.option(
    "--source", default="sqs", show_default=True, help="The source that its messages get."
)
def command(queue: str | None, source: str) -> None:
    """Take messages in from an SQS queue until stopped; several may run.

    A body is plain JSON, as POST /v1/messages takes it. What cannot be taken goes to the queue
    called <name>-dlq, as it came, with the message attribute `reason`.
    """
    settings = Settings.from_env(os.environ)
    logs.configure("intake-queue", settings.log_level)
    metrics_server.begin(settings)
    tracing.start(settings, "intake-queue")
    check_source_name(source)
    engine = make_engine(settings, "carelane intake-queue", pool_size=1)
    consumer = IntakeQueue(
        sqs_client(settings),
        queue or intake_queue_name(settings.queue_prefix),
        source,
        Intake(engine, RedFlags.load(settings.red_flags_path), speculate=settings.llm_speculate),
        Limits(text_chars=settings.max_text_chars, messages=settings.max_batch_messages),
    )
    run(consumer, stop_on_signals(), lambda: database_answers(engine))
