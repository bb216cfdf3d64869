# kombu's stubs leave out most of its SQS transport and type the rest as Any.
# mypy: disable-error-code="misc,attr-defined,override,no-any-return,no-untyped-call"
"""kombu's SQS transport, guarded: a failed receive is an empty poll and a log line.

kombu 5.7.0 polls each queue by a chain of callbacks. Where one of them raises (refused
connection, 503, throttle, 403, a body that cannot be decoded), the worker exits or, worse, stays
alive and never polls again; a connection that swallows packets hangs a chain for ever, because
its curl requests carry no time-out. This subclass keeps the chain going, backs off while SQS
fails, and notes when SQS last answered, for `workers.liveness`.

It also serves queues in order: the first named in `queue_order` is polled even while the
prefetch is full of the others' work, and as long as it has something the others are held back, so
that a red-flagged chunk waits for at most the chunks that are in hand already.

Written against kombu 5.7.0; look at it again, and run its fault tests, on every upgrade.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from kombu.asynchronous.aws.connection import AsyncHTTPSConnection
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection
from kombu.transport import SQS
from kombu.utils.encoding import bytes_to_str
from vine import promise

from shared import metrics
from workers.polling_order import PollingOrder

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
_CONNECT_TIMEOUT_S = 2
#: Longer than any long poll that `wait_time_seconds` asks for.
_ANSWER_GRACE_S = 8


@dataclass
class Polls:
    """When the polling chains of this process last gave a sign of life."""

    #: Last time that SQS answered a receive, by time.time(); None before the first.
    answered_at: float | None = None
    #: Each queue's last time, by time.monotonic(), that its chain was answered or rightly waited
    #: for a free slot. Each has a chain of its own, and the one may stop while the other runs.
    alive_at_by_queue: dict[str, float] = field(default_factory=dict)
    started_at: float = field(default_factory=time.monotonic)
    #: Failed receives since the last good one.
    failures: int = 0
    #: Told to take nothing new.
    paused: bool = False

    @property
    def alive_at(self) -> float:
        """When the chain that is silent for longest gave its last sign of life."""
        return min(list(self.alive_at_by_queue.values()), default=self.started_at)

    def start(self) -> None:
        """Every chain's time to give a sign of life begins now."""
        self.started_at = time.monotonic()
        for queue in list(self.alive_at_by_queue):
            self.alive(queue)

    def alive(self, queue: str) -> None:
        """The chain of `queue` runs."""
        self.alive_at_by_queue[queue] = time.monotonic()

    def begin(self, queue: str) -> None:
        """The chain of `queue` asks; from the first time on it is expected to stay alive."""
        self.alive_at_by_queue.setdefault(queue, time.monotonic())

    def answered(self, queue: str) -> None:
        """SQS answered."""
        if self.failures:
            logger.info("SQS answers again", extra={"failed_polls": self.failures})
        self.answered_at = time.time()
        self.alive(queue)
        self.failures = 0

    def failed(self, why: str) -> None:
        """A receive failed; logged at the first and then ever more rarely."""
        self.failures += 1
        metrics.POLL_FAILURES.inc()
        if self.failures & (self.failures - 1) == 0:  # 1, 2, 4, 8, ...
            logger.warning("SQS poll failed", extra={"why": why, "failed_polls": self.failures})

    @property
    def pause_s(self) -> float:
        """How long to wait before the next poll; 0 while all is well."""
        if not self.failures:
            return 0.0
        return float(min(_FIRST_PAUSE_S * 2 ** min(self.failures - 1, 10), _LONGEST_PAUSE_S))


#: Of this process. The transport is made by kombu, so there is no way to hand one in.
POLLS = Polls()


class _HttpsConnection(AsyncHTTPSConnection):
    """A request with the time-outs that kombu leaves out."""

    answer_timeout_s = 10

    def getrequest(self) -> Any:
        request = super().getrequest()
        request.on_prepare = promise(self._set_timeouts)
        return request

    def _set_timeouts(self, curl: Any) -> None:
        curl.setopt(curl.CONNECTTIMEOUT, _CONNECT_TIMEOUT_S)
        curl.setopt(curl.TIMEOUT, self.answer_timeout_s)


class GuardedConnection(AsyncSQSConnection):
    """Receives that never raise."""

    answer_timeout_s = 10
    #: Whose chain it serves; all of them where queues are not told apart.
    queue = ""

    def get_http_connection(self) -> _HttpsConnection:
        connection = _HttpsConnection(http_client=self._httpclient)
        connection.answer_timeout_s = self.answer_timeout_s
        return connection

    def _on_list_ready(self, parent: Any, markers: Any, operation: str, response: Any) -> Any:
        if response.status != self.STATUS_CODE_OK:
            POLLS.failed(f"HTTP {response.status}")
            return {}
        try:
            parsed = super()._on_list_ready(parent, markers, operation, response)
        except Exception as error:  # noqa: BLE001  whatever it is, the next poll must come
            POLLS.failed(type(error).__name__)
            return {}
        POLLS.answered(self.queue)
        return parsed or {}


class Channel(SQS.Channel):
    """kombu's channel with a polling chain that does not break."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._order = PollingOrder()  # before kombu's own, which opens queues already
        super().__init__(*args, **kwargs)

    def asynsqs(self, queue: str | None = None) -> GuardedConnection:
        connection = super().asynsqs(queue)
        if isinstance(connection, GuardedConnection):
            return connection
        guarded = GuardedConnection(
            sqs_connection=connection.sqs_connection,
            message_system_attribute_names=connection.message_system_attribute_names,
            message_attribute_names=connection.message_attribute_names,
        )
        guarded.answer_timeout_s = int(self.wait_time_seconds) + _ANSWER_GRACE_S
        guarded.queue = queue or ""
        if queue is not None and self.predefined_queues:
            self._predefined_queue_async_clients[queue] = guarded
        else:
            self._asynsqs = guarded
        return guarded

    def _schedule_queue(self, queue: str) -> None:
        if queue not in self._active_queues:
            return
        POLLS.begin(queue)
        if POLLS.paused or not self._may_poll(queue):
            POLLS.alive(queue)  # nothing is asked for: every slot is taken, or it is paused
            self._loop1(queue)
            return
        if self._is_first(queue):
            self._order.asked(time.monotonic())
        try:
            self._get_bulk_async(queue, callback=promise(self._polled, (queue,)))
        except Exception as error:  # noqa: BLE001  e.g. no credentials just now: poll again later
            POLLS.failed(type(error).__name__)
            self._polled(queue, 0)

    def _may_poll(self, queue: str) -> bool:
        if self._is_first(queue):
            # Slots of its own, as many again, so that a backlog elsewhere never shuts it out.
            taken = len(self.qos._delivered or ())  # noqa: SLF001
            return bool(self.qos.can_consume()) or taken < 2 * self.qos.prefetch_count
        return bool(self.qos.can_consume()) and self._order.others_may_poll(time.monotonic())

    def _is_first(self, queue: str) -> bool:
        order = self.transport_options.get("queue_order") or ()
        return len(order) > 1 and queue == order[0]

    def _polled(self, queue: str, messages_fetched: int | None = None) -> None:
        if self._is_first(queue):
            self._order.answered(messages_fetched or 0)
        self._loop1(queue, messages_fetched)

    def _loop1(self, queue: str, messages_fetched: int | None = None) -> None:
        pause_s = POLLS.pause_s
        if pause_s:
            self.hub.call_later(pause_s, self._schedule_queue, queue)
            return
        super()._loop1(queue, messages_fetched)

    def _on_messages_ready(self, queue: str, qname: str, messages: Any) -> int:
        readable = [each for each in messages.get("Messages") or () if self._readable(qname, each)]
        if not readable:
            return 0
        return int(super()._on_messages_ready(queue, qname, {**messages, "Messages": readable}))

    def _readable(self, qname: str, message: Any) -> bool:
        """Whether kombu can decode it; if not, it stays in SQS and ends as a dead letter."""
        try:
            body = self._decode_python_message_body(message["Body"])
            payload = self._prepare_json_payload(bytes_to_str(body))
            readable = isinstance(payload.get("properties"), dict)
        except Exception:  # noqa: BLE001  its content is anybody's
            readable = False
        if not readable:
            logger.error(
                "SQS message cannot be decoded, left for the dead-letter queue",
                extra={"queue": qname, "sqs_message_id": message.get("MessageId")},
            )
        return readable

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        try:
            super().basic_ack(delivery_tag, multiple)
        except Exception as error:  # noqa: BLE001  the slot is free again; SQS will redeliver
            logger.warning("SQS delete failed, will be redelivered", extra={"why": repr(error)})

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().basic_reject(delivery_tag, requeue)
        except Exception as error:  # noqa: BLE001  SQS will redeliver by itself
            # kombu leaves the slot taken when it cannot put the message back.
            self.qos._quick_ack(delivery_tag)  # noqa: SLF001
            logger.warning("SQS reject failed, will be redelivered", extra={"why": repr(error)})


class Transport(SQS.Transport):
    """Named in `broker_transport` by `workers.celery_app`."""

    Channel = Channel
