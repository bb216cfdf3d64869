# kombu's Redis transport is untyped.
# mypy: disable-error-code="attr-defined,misc"
"""kombu's Redis transport, with what SQS does by itself: later deliveries, and dead letters.

Redis has lists and no notion of a delivery; kombu keeps what is in hand in a hash and puts it back
after `visibility_timeout`. As it comes, a task that failed or was turned away is deleted. Here it
stays in hand until that time-out, as on SQS, and after `max_deliveries` it is moved to the list
called after its queue with `-dlq`, body intact, instead of being delivered for ever.

Written against kombu 5.7.0; run tests/integration/test_brokers.py on every upgrade.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import redis
from kombu.utils.json import dumps

logger = logging.getLogger(__name__)

#: The header in which deliveries are counted.
DELIVERIES = "carelane-deliveries"


class QoS(redis.QoS):
    """What is rejected without requeueing waits in hand for its time-out."""

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Free the slot; the delivery itself comes again, now or later."""
        if requeue:
            super().reject(delivery_tag, requeue=True)
        else:
            self._quick_ack(delivery_tag)


class Channel(redis.Channel):
    """kombu's channel, counting what it puts back."""

    QoS = QoS
    max_deliveries = 20
    dead_letter_suffix = "-dlq"
    from_transport_options = (
        *redis.Channel.from_transport_options,
        "max_deliveries",
        "dead_letter_suffix",
    )

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        headers = payload.setdefault("headers", {})
        headers[DELIVERIES] = int(headers.get(DELIVERIES) or 1) + 1
        if headers[DELIVERIES] > self.max_deliveries:
            logger.error("delivered too often, now a dead letter", extra={"queue": routing_key})
            pipe.lpush(f"{routing_key}{self.dead_letter_suffix}", dumps(payload))
            return
        super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)


class Transport(redis.Transport):
    """Named in `broker_transport` by `workers.celery_app`."""

    Channel = Channel
