"""Celery's consumer on brokers other than SQS: what cannot be decoded is rejected, not deleted."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from celery.worker import consumer

logger = logging.getLogger(__name__)


class Consumer(consumer.Consumer):
    """Named in `worker_consumer` by `workers.celery_app`."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc, valid-type]
        """Without the 28 queues that Celery makes beside quorum queues, for delays never used."""

        default_steps: ClassVar[list[str]] = [
            step for step in consumer.Consumer.Blueprint.default_steps if "Delayed" not in str(step)
        ]

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Put it off, and in the end to the dead letters; its content is anybody's, so no log."""
        logger.error("message cannot be decoded", extra={"error": type(exc).__name__})
        message.reject()

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002
        """The same for what is no task."""
        logger.error("message is no task")
        message.reject()
