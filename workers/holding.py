"""Holds a delivery back from others while the work on it lasts, each broker in its own way."""

from __future__ import annotations

import time
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from shared.brokers import Broker, broker_of, serving_options
from shared.contracts import Lane, queue_name
from shared.errors import QueueUnavailable
from shared.queues import sqs_client
from shared.settings import Settings
from workers.chunk import Delivery
from workers.heartbeat import ExtendDelivery


def extender(settings: Settings, queue_urls: Mapping[Lane, str]) -> ExtendDelivery:
    """ChangeMessageVisibility on SQS, a later time-out on Redis.

    Elsewhere nothing: RabbitMQ takes nothing from a living connection for half an hour, and kombu
    renews the locks of Azure Service Bus by itself.
    """
    broker = broker_of(settings)
    if broker is Broker.SQS:
        return _on_sqs(settings, queue_urls)
    if broker is Broker.REDIS:
        return _on_redis(settings)
    return lambda delivery, seconds: None  # noqa: ARG005


def _on_sqs(settings: Settings, queue_urls: Mapping[Lane, str]) -> ExtendDelivery:
    client = sqs_client(settings)
    urls = {queue_name(settings.queue_prefix, lane): url for lane, url in queue_urls.items()}

    def extend(delivery: Delivery, seconds: int) -> None:
        url = urls.get(delivery.queue or "")
        if url is None or delivery.receipt is None:
            return
        try:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
            )
        except (BotoCoreError, ClientError) as error:
            raise QueueUnavailable(f"SQS: visibility not prolonged: {error}") from error

    return extend


def _on_redis(settings: Settings) -> ExtendDelivery:
    from redis import Redis
    from redis.exceptions import RedisError

    options = serving_options(settings, (Lane.LLM,))
    client = Redis.from_url(
        settings.require("broker_url"), socket_connect_timeout=2, socket_timeout=5
    )

    def extend(delivery: Delivery, seconds: int) -> None:
        if delivery.receipt is None:
            return
        # kombu notes when a delivery came, and puts back what came `visibility_timeout` ago.
        came_at = time.time() + seconds - options["visibility_timeout"]
        try:
            client.zadd(options["unacked_index_key"], {delivery.receipt: came_at}, xx=True)
        except RedisError as error:
            raise QueueUnavailable(
                f"Redis: delivery not held back ({type(error).__name__})"
            ) from error

    return extend
