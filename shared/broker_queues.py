# kombu is untyped, and so are its transports' clients.
# mypy: disable-error-code="attr-defined"
"""The queues on brokers other than SQS: made, looked at, and refused where they lose messages.

The errors of kombu, py-amqp, redis and azure are translated here, for the relay as well. Their
texts may hold the URL with its password, so only the class and the broker's own reason are told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from amqp.exceptions import AccessRefused, MessageNacked, NotFound, PreconditionFailed
from kombu import Connection, Queue
from kombu.exceptions import KombuError, OperationalError

from shared.brokers import (
    MAX_DELIVERIES,
    Broker,
    broker_of,
    held_back_s,
    lane_queue,
    sending_options,
    side_queues,
    unacked_keys,
)
from shared.contracts import Lane, dead_letter_queue_name, queue_name
from shared.errors import QueueError, QueueMisconfigured, QueueUnavailable, SettingsError
from shared.settings import Settings

logger = logging.getLogger(__name__)

_MAKE_THEM: Final = "`carelane queues create` makes the queues"
#: What the SDK of Azure calls a fault that only a person can mend.
_AZURE_REFUSALS: Final = {
    "ServiceBusAuthenticationError",
    "ServiceBusAuthorizationError",
    "ClientAuthenticationError",
}
_AZURE_MISSING: Final = {"MessagingEntityNotFoundError", "ResourceNotFoundError"}
_AZURE_LASTING: Final = {"MessageSizeExceededError", "MessagingEntityDisabledError"}


@dataclass(frozen=True, kw_only=True)
class BrokerQueue:
    """One lane's queue; None where this broker does not tell by this way."""

    lane: Lane
    waiting: int | None
    in_hand: int | None  # of all lanes that the same workers serve
    dead: int | None


def create(settings: Settings) -> None:
    """Make the queues of every lane where the broker wants them made; safe to run again.

    Raises:
        QueueMisconfigured: one is there with other settings.
        QueueUnavailable: the broker cannot be reached.
    """
    with _connected(settings) as connection:
        broker = broker_of(settings)
        if broker is Broker.RABBITMQ:
            for lane in Lane:
                for queue in (*side_queues(settings, lane), lane_queue(settings, lane)):
                    _declare(connection, queue)
        if broker is Broker.SERVICE_BUS:
            for lane in Lane:
                _create_on_service_bus(connection, settings, lane)


def check(settings: Settings, lanes: Iterable[Lane] = tuple(Lane)) -> tuple[BrokerQueue, ...]:
    """How the lanes' queues stand.

    Raises:
        QueueMisconfigured: one is missing, or set so that messages would be lost.
        QueueUnavailable: the broker cannot be reached.
    """
    look = _LOOKS.get(broker_of(settings))
    with _connected(settings) as connection:
        if look is not None:
            return tuple(look(connection, settings, lane) for lane in lanes)
        connection.ensure_connection(max_retries=1, timeout=2)
    return tuple(BrokerQueue(lane=each, waiting=None, in_hand=None, dead=None) for each in lanes)


def connect(settings: Settings) -> Connection:
    """A connection for sending and looking; it connects at its first use. Make it after any fork.

    Raises:
        SettingsError: kombu has no such transport, or lacks a package for it.
    """
    url = settings.require("broker_url")
    options = sending_options(settings)
    try:
        connection = Connection(url, transport_options=options, connect_timeout=2, heartbeat=0)
        connection.get_transport_cls()
    except (ImportError, AttributeError, KeyError) as error:
        # kombu says it in each of these ways.
        raise SettingsError(
            f"CARELANE_BROKER_URL begins with {url.partition(':')[0]}:, and kombu has no such "
            "transport here; install the Python package that it needs (see kombu's documentation)"
        ) from error
    else:
        return connection


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    connection = connect(settings)
    try:
        with translated(settings, connection):
            yield connection
    finally:
        connection.release()


@contextmanager
def translated(settings: Settings, connection: Connection) -> Iterator[None]:
    """Turn what kombu and the clients below it raise into our errors."""
    try:
        yield
    except QueueError:
        raise
    except Exception as error:
        found = _translation(error, broker_of(settings), connection)
        if found is None:
            raise
        raise found from error


def _translation(error: Exception, broker: Broker, connection: Connection) -> QueueError | None:
    cause = error.__cause__ if isinstance(error, OperationalError) else error
    name = type(cause or error).__name__
    where = f"{broker} of CARELANE_BROKER_URL"
    if isinstance(cause, AccessRefused) or name == "AuthenticationError" or name in _AZURE_REFUSALS:
        return QueueError(f"{where} refused us ({name}): look at its user, key and permissions")
    if isinstance(cause, NotFound) or name in _AZURE_MISSING:
        return QueueMisconfigured(f"{where} has not all queues; {_MAKE_THEM}")
    if isinstance(cause, PreconditionFailed):
        return QueueMisconfigured(
            f"{where} has a queue with other settings: {cause.reply_text}. Queues cannot be "
            "changed there: empty it, delete it, and run `carelane queues create`"
        )
    if isinstance(cause, MessageNacked):
        return QueueUnavailable(f"{where} is full and takes nothing now")
    if name in _AZURE_LASTING:
        return QueueError(f"{where} refused ({name})")
    if isinstance(error, (KombuError, OSError, *connection.connection_errors)) or _is_azure(error):
        return QueueUnavailable(f"{where} cannot be reached now ({name})")
    if isinstance(error, connection.channel_errors):
        return QueueError(f"{where} refused ({name}); its log says why")
    return None


def _is_azure(error: Exception) -> bool:
    return any(each.__module__.startswith("azure.") for each in type(error).__mro__)


# --- RabbitMQ -----------------------------------------------------------------------------------


def _declare(connection: Connection, queue: Queue) -> None:
    with connection.channel() as channel:  # an error closes it
        queue.bind(channel).declare()


def _on_rabbitmq(connection: Connection, settings: Settings, lane: Lane) -> BrokerQueue:
    counts = []
    for queue in (lane_queue(settings, lane), *side_queues(settings, lane)):
        with connection.channel() as channel:
            # Passively first, or the question would make the queue.
            counts.append(channel.queue_declare(queue.name, passive=True).message_count)
        _declare(connection, queue)  # RabbitMQ compares
    waiting, dead, later = counts
    return BrokerQueue(lane=lane, waiting=waiting + later, in_hand=None, dead=dead)


# --- Redis --------------------------------------------------------------------------------------


def _on_redis(connection: Connection, settings: Settings, lane: Lane) -> BrokerQueue:
    client = connection.default_channel.client
    policy = _eviction(client)
    if policy.startswith("allkeys"):
        raise QueueMisconfigured(
            f"Redis of CARELANE_BROKER_URL has maxmemory-policy {policy}: full, it throws queues "
            "away. Set it to noeviction."
        )
    name = queue_name(settings.queue_prefix, lane)
    serves = (Lane.LLM,) if lane is Lane.LLM else (Lane.PRIORITY, Lane.FAST)
    return BrokerQueue(
        lane=lane,
        waiting=client.llen(name),
        in_hand=client.hlen(unacked_keys(settings, serves)["unacked_key"]),
        dead=client.llen(dead_letter_queue_name(settings.queue_prefix, lane)),
    )


def _eviction(client: Any) -> str:
    from redis.exceptions import ResponseError

    try:
        found: Mapping[str, str] = client.config_get("maxmemory-policy")
    except ResponseError:
        logger.warning("Redis does not show its settings; maxmemory-policy must be noeviction")
        return "unknown"
    return found.get("maxmemory-policy", "unknown")


# --- Azure Service Bus --------------------------------------------------------------------------


def _create_on_service_bus(connection: Connection, settings: Settings, lane: Lane) -> None:
    from datetime import timedelta

    from azure.core.exceptions import ResourceExistsError

    channel = connection.default_channel
    try:
        channel.queue_mgmt_service.create_queue(
            queue_name=channel.entity_name(queue_name(settings.queue_prefix, lane)),
            lock_duration=timedelta(seconds=held_back_s(settings, lane)),
            max_delivery_count=MAX_DELIVERIES,
            dead_lettering_on_message_expiration=True,
        )
    except ResourceExistsError:
        _on_service_bus(connection, settings, lane)


def _on_service_bus(connection: Connection, settings: Settings, lane: Lane) -> BrokerQueue:
    channel = connection.default_channel
    name = channel.entity_name(queue_name(settings.queue_prefix, lane))
    try:
        found = channel.queue_mgmt_service.get_queue(name)
        counts = channel.queue_mgmt_service.get_queue_runtime_properties(name)
    except Exception as error:
        if type(error).__name__ != "ClientAuthenticationError":
            raise
        # A worker's key may listen and send, and need not be allowed to manage.
        logger.warning("the key may not look at queues; they are not checked")
        return BrokerQueue(lane=lane, waiting=None, in_hand=None, dead=None)
    lock_s = found.lock_duration.total_seconds()
    if lock_s < held_back_s(settings, lane):
        raise QueueMisconfigured(
            f"the queue {name} locks a message for {lock_s:.0f} s, shorter than the slowest work "
            f"on it: set its lock duration to {held_back_s(settings, lane)} s"
        )
    return BrokerQueue(
        lane=lane,
        waiting=counts.active_message_count,
        in_hand=None,
        dead=counts.dead_letter_message_count,
    )


_Look = Callable[[Connection, Settings, Lane], BrokerQueue]
_LOOKS: Final[Mapping[Broker, _Look]] = {
    Broker.RABBITMQ: _on_rabbitmq,
    Broker.REDIS: _on_redis,
    Broker.SERVICE_BUS: _on_service_bus,
}


def in_words(found: Sequence[BrokerQueue]) -> Iterator[str]:
    """A line for each queue, saying what this broker does not tell."""
    for each in found:
        told = {
            "waiting": each.waiting,
            "in hand": each.in_hand,
            "dead": each.dead,
        }
        known = ", ".join(f"{name} {n}" for name, n in told.items() if n is not None)
        silent = ", ".join(name for name, n in told.items() if n is None)
        not_told = f"; not told by this broker here: {silent}" if silent else ""
        yield f"{each.lane.value:9} {known or 'reachable'}{not_told}"
