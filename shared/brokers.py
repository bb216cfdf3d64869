"""Which broker carries the chunks, and how each is set so that a killed worker's work comes back.

Amazon SQS has the fast path (`shared.queues`, `producer.publisher`, `workers.sqs_guard`). RabbitMQ,
Redis and Azure Service Bus come by CARELANE_BROKER_URL over Celery and kombu. Everything that a
relay and a worker must say alike about one of them stands here; nothing here connects.
docs/brokers.md has the table of what was run on which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from kombu import Exchange, Queue

from shared.contracts import Lane, dead_letter_queue_name, queue_name
from shared.errors import SettingsError
from shared.settings import Settings


class Broker(StrEnum):
    """A kind of broker."""

    SQS = "Amazon SQS"
    RABBITMQ = "RabbitMQ"
    REDIS = "Redis"
    SERVICE_BUS = "Azure Service Bus"
    OTHER = "another broker"  # whatever else kombu knows: by Celery's defaults, and unchecked


_BY_SCHEME: Final = {
    "amqp": Broker.RABBITMQ,
    "amqps": Broker.RABBITMQ,
    "pyamqp": Broker.RABBITMQ,
    "redis": Broker.REDIS,
    "rediss": Broker.REDIS,
    "azureservicebus": Broker.SERVICE_BUS,
}
#: Deliveries before a message becomes a dead letter; as in deploy/queues.yaml.
MAX_DELIVERIES: Final = 20
#: How long a dead letter is kept for a person to look at, as in deploy/queues.yaml.
DEAD_LETTER_DAYS: Final = 14
#: A Service Bus queue holds a message back for no longer than five minutes.
LONGEST_LOCK_S: Final = 300
_DAY_MS: Final = 86_400_000


def broker_of(settings: Settings) -> Broker:
    """The broker that the settings name.

    Raises:
        SettingsError: CARELANE_BROKER_URL names SQS, which goes by other settings.
    """
    if settings.broker_url is None:
        return Broker.SQS
    scheme = urlsplit(settings.broker_url).scheme.lower()
    if scheme == "sqs":
        raise SettingsError(
            "CARELANE_BROKER_URL begins with sqs:, but SQS is what Carelane uses where that is "
            "unset. Unset it; CARELANE_AWS_REGION and CARELANE_SQS_ENDPOINT_URL say where SQS is."
        )
    return _BY_SCHEME.get(scheme, Broker.OTHER)


def held_back_s(settings: Settings, lane: Lane) -> int:
    """After so long a delivery that nobody acknowledged is delivered again: above the lease.

    RabbitMQ delivers again at once when a connection ends, and so late only what was put off.

    Raises:
        SettingsError: the lease is too long for the broker.
    """
    is_llm = lane is Lane.LLM
    lease_s = settings.llm_lease_s if is_llm else settings.fast_lease_s
    seconds = math.ceil(lease_s * 1.2)
    if broker_of(settings) is Broker.SERVICE_BUS and seconds > LONGEST_LOCK_S:
        variable = "CARELANE_LLM_LEASE_S" if is_llm else "CARELANE_FAST_LEASE_S"
        raise SettingsError(
            f"{variable} is {lease_s:g} s, but Azure Service Bus locks a message for "
            f"{LONGEST_LOCK_S} s at most: set it to {LONGEST_LOCK_S / 1.2:.0f} or less"
        )
    return seconds


def later_queue_name(prefix: str, lane: Lane) -> str:
    """RabbitMQ: where a chunk waits that is to be delivered again later."""
    return f"{queue_name(prefix, lane)}-later"


def lane_queue(settings: Settings, lane: Lane) -> Queue:
    """The lane's queue as every process must declare it; RabbitMQ refuses two opinions."""
    name = queue_name(settings.queue_prefix, lane)
    return _queue(settings, name, _lane_arguments(settings.queue_prefix, lane))


def side_queues(settings: Settings, lane: Lane) -> tuple[Queue, ...]:
    """RabbitMQ's queues beside the lane's: of dead letters, and of what is delivered later."""
    dead = dead_letter_queue_name(settings.queue_prefix, lane)
    later = later_queue_name(settings.queue_prefix, lane)
    return (
        _queue(settings, dead, {**_QUORUM, "x-message-ttl": DEAD_LETTER_DAYS * _DAY_MS}),
        # Each message in it brings its own time to live.
        _queue(
            settings,
            later,
            {**_QUORUM, **_dead_letters_to(queue_name(settings.queue_prefix, lane))},
        ),
    )


_QUORUM: Final = {"x-queue-type": "quorum"}


def _lane_arguments(prefix: str, lane: Lane) -> dict[str, Any]:
    return {
        **_QUORUM,
        **_dead_letters_to(dead_letter_queue_name(prefix, lane)),
        # In place of SQS' maxReceiveCount: counts deliveries whose worker died.
        "x-delivery-limit": MAX_DELIVERIES,
    }


def _dead_letters_to(queue: str) -> dict[str, Any]:
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        # Nothing leaves before the other queue has it; that asks for refusing when full.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _queue(settings: Settings, name: str, arguments: Mapping[str, Any]) -> Queue:
    is_rabbitmq = broker_of(settings) is Broker.RABBITMQ
    return Queue(
        name,
        # The nameless exchange leads to a queue by its name, on every transport.
        Exchange("", type="direct"),
        routing_key=name,
        durable=True,
        queue_arguments=dict(arguments) if is_rabbitmq else None,
        # Service Bus: made once by somebody who may (`carelane queues create`), never by a worker.
        no_declare=broker_of(settings) is Broker.SERVICE_BUS,
    )


def sending_options(settings: Settings) -> dict[str, Any]:
    """kombu's options for the relay."""
    if broker_of(settings) is Broker.RABBITMQ:
        # Confirmed by RabbitMQ before the outbox row goes, and no black hole holds the relay up.
        return {"confirm_publish": True, "read_timeout": 10, "write_timeout": 10}
    return serving_options(settings, (Lane.FAST,))


def serving_options(settings: Settings, lanes: Sequence[Lane]) -> dict[str, Any]:
    """kombu's options for a worker of `lanes`."""
    broker = broker_of(settings)
    if broker is Broker.RABBITMQ:
        return {"put_off_s": max(held_back_s(settings, lane) for lane in lanes)}
    if broker is Broker.REDIS:
        return _redis_options(settings, lanes)
    if broker is Broker.SERVICE_BUS:
        return {
            "peek_lock_seconds": max(held_back_s(settings, lane) for lane in lanes),
            "wait_time_seconds": 2,
            "polling_interval": 0.1,
            "retry_total": 2,
            # The LLM lane's heartbeat; the fast lanes are done long before.
            "use_lock_renewal": Lane.LLM in lanes,
            "max_lock_renewal_duration": settings.llm_timeout_s * 4 + settings.llm_lease_s,
        }
    return {}


def _redis_options(settings: Settings, lanes: Sequence[Lane]) -> dict[str, Any]:
    # What is in hand is kept apart by kind of worker: each looks for what is overdue by its own
    # time-out, and the fast lanes' would take calls from LLM workers that still wait for them.
    hold = unacked_keys(settings, lanes)
    return {
        **hold,
        "visibility_timeout": max(held_back_s(settings, lane) for lane in lanes),
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "queue_order_strategy": "priority",  # the lane named first is emptied first
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_deliveries": MAX_DELIVERIES,
        "dead_letter_suffix": "-dlq",
    }


def unacked_keys(settings: Settings, lanes: Sequence[Lane]) -> dict[str, str]:
    """Redis: where deliveries lie that are in some worker's hands, by kombu's option."""
    kind = "llm" if Lane.LLM in lanes else "fast"
    start = f"{settings.queue_prefix}-{kind}"
    return {
        "unacked_key": f"{start}-unacked",
        "unacked_index_key": f"{start}-unacked-index",
        "unacked_mutex_key": f"{start}-unacked-mutex",
    }
