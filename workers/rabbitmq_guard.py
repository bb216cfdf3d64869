# kombu's AMQP transport is untyped.
# mypy: disable-error-code="union-attr"
"""kombu's RabbitMQ transport, with what SQS does by itself: a failed delivery comes again later.

RabbitMQ knows two answers to a delivery that did not go well: again at once, which spins, or to
the dead letters at once. Here a rejected message goes to the queue called after its own with
`-later`, from which its time to live brings it back; after MAX_DELIVERIES of these it becomes a
dead letter. What a dead worker held RabbitMQ delivers again by itself, and counts.

Written against kombu 5.7.0; run tests/integration/test_brokers.py on every upgrade.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import pyamqp

from shared.brokers import MAX_DELIVERIES

logger = logging.getLogger(__name__)

#: The header in which put-offs are counted.
DELIVERIES = "carelane-deliveries"


class Message(pyamqp.Message):
    """A delivery that can be put off."""

    def reject(self, requeue: bool = False) -> None:
        """Requeue, or put off; a dead letter after too many of these."""
        if requeue or self.acknowledged:
            super().reject(requeue=requeue)
            return
        tried = int(self.headers.get(DELIVERIES) or 1)
        queue = self.delivery_info.get("routing_key") or ""
        end = "-later" if tried < MAX_DELIVERIES else "-dlq"
        if end == "-dlq":
            logger.error("delivered too often, now a dead letter", extra={"queue": queue})
        # On the acknowledgement's channel, and before it. Not confirmed: waiting would hold up the
        # worker's event loop, and what a broker loses there the sweeper sends again.
        self.channel.basic_publish(
            self._copy(tried + 1, put_off=end == "-later"),
            exchange="",
            routing_key=f"{queue}{end}",
        )
        self.ack()

    def _copy(self, tried: int, *, put_off: bool) -> Any:
        keep = ("correlation_id", "reply_to", "message_id")
        properties = {name: self.properties[name] for name in keep if name in self.properties}
        if put_off:
            options = self.channel.connection.client.transport_options
            properties["expiration"] = str(int(options.get("put_off_s", 30)) * 1000)
        return self.channel.prepare_message(
            self.body,
            priority=self.properties.get("priority") or 0,
            content_type=self.content_type,
            content_encoding=self.content_encoding,
            headers={**self.headers, DELIVERIES: tried},
            properties={**properties, "delivery_mode": 2},
        )


class Channel(pyamqp.Channel):
    """kombu's channel with such messages."""

    Message = Message


class Connection(pyamqp.Connection):
    """kombu's connection with such channels."""

    Channel = Channel


class Transport(pyamqp.Transport):
    """Named in `broker_transport` by `workers.celery_app`."""

    Connection = Connection
