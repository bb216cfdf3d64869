"""Which broker an address means, how each is set, and how its faults are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from amqp.exceptions import AccessRefused, MessageNacked, NotFound, PreconditionFailed
from azure.core.exceptions import ClientAuthenticationError, ResourceExistsError
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusServerBusyError,
)
from kombu.exceptions import OperationalError
from kombu.transport import azureservicebus
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisAway

from producer.publisher import make_publisher
from shared import broker_queues
from shared.brokers import (
    Broker,
    broker_of,
    held_back_s,
    lane_queue,
    serving_options,
    side_queues,
)
from shared.contracts import Lane
from shared.errors import QueueError, QueueMisconfigured, QueueUnavailable, SettingsError
from shared.settings import Settings
from workers.celery_app import make_app
from workers.consumer import Consumer

RABBITMQ = Settings(broker_url="amqp://me:hunter2@127.0.0.1:1//")
REDIS = Settings(broker_url="rediss://:hunter2@127.0.0.1:1/0")
AZURE = Settings(broker_url="azureservicebus://carelane:hunter2@clinic")


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        (None, Broker.SQS),
        ("amqps://host", Broker.RABBITMQ),
        ("rediss://host", Broker.REDIS),
        ("azureservicebus://policy:a/b+c=@clinic", Broker.SERVICE_BUS),
        ("memory://", Broker.OTHER),
    ],
)
def test_the_address_says_which_broker_it_is(url: str | None, broker: Broker) -> None:
    assert broker_of(Settings(broker_url=url)) is broker


def test_sqs_by_the_brokers_address_is_refused_with_the_settings_that_it_goes_by() -> None:
    with pytest.raises(SettingsError, match="CARELANE_AWS_REGION"):
        broker_of(Settings(broker_url="sqs://key:secret@"))


def test_a_delivery_is_held_back_for_longer_than_the_lease_on_every_broker() -> None:
    for settings in (RABBITMQ, REDIS, AZURE):
        assert held_back_s(settings, Lane.FAST) > settings.fast_lease_s
        assert held_back_s(settings, Lane.LLM) > settings.llm_lease_s


def test_a_lease_longer_than_service_bus_can_lock_is_refused() -> None:
    with pytest.raises(SettingsError, match="CARELANE_LLM_LEASE_S is 290 s"):
        serving_options(replace(AZURE, llm_lease_s=290.0), (Lane.LLM,))


def test_rabbitmqs_queues_are_copied_limited_and_have_dead_letters() -> None:
    queue = lane_queue(RABBITMQ, Lane.FAST)
    dead, later = side_queues(RABBITMQ, Lane.FAST)

    assert queue.queue_arguments["x-queue-type"] == "quorum"
    assert queue.queue_arguments["x-delivery-limit"] == 20
    assert queue.queue_arguments["x-dead-letter-routing-key"] == dead.name == "carelane-fast-dlq"
    assert later.queue_arguments["x-dead-letter-routing-key"] == queue.name


def test_no_queues_for_delays_are_made_on_rabbitmq() -> None:
    assert not [step for step in Consumer.Blueprint.default_steps if "elay" in step]
    assert make_app(RABBITMQ, "fast", {}).conf.worker_consumer == "workers.consumer:Consumer"


def test_what_redis_workers_hold_is_kept_apart_by_kind() -> None:
    fast = make_app(REDIS, "fast", {}).conf.broker_transport_options
    llm = make_app(REDIS, "llm", {}).conf.broker_transport_options

    assert fast["unacked_index_key"] != llm["unacked_index_key"]
    assert fast["visibility_timeout"] == held_back_s(REDIS, Lane.FAST)
    assert llm["visibility_timeout"] == held_back_s(REDIS, Lane.LLM)


@pytest.mark.parametrize(
    ("settings", "raised", "error", "words"),
    [
        (RABBITMQ, ConnectionRefusedError("no"), QueueUnavailable, "cannot be reached"),
        (RABBITMQ, AccessRefused("hunter2"), QueueError, "user, key and permissions"),
        (RABBITMQ, NotFound("no queue"), QueueMisconfigured, "queues create"),
        (RABBITMQ, PreconditionFailed("inequivalent arg"), QueueMisconfigured, "inequivalent arg"),
        (RABBITMQ, MessageNacked(), QueueUnavailable, "full"),
        (REDIS, RedisAway("hunter2"), QueueUnavailable, "cannot be reached"),
        (REDIS, AuthenticationError("hunter2"), QueueError, "user, key and permissions"),
        (REDIS, ResponseError("OOM"), QueueError, "refused"),
        (AZURE, ServiceBusServerBusyError(), QueueUnavailable, "cannot be reached"),
        (AZURE, ServiceBusAuthenticationError(), QueueError, "user, key and permissions"),
        (AZURE, MessagingEntityNotFoundError(), QueueMisconfigured, "queues create"),
        (AZURE, MessageSizeExceededError(), QueueError, "MessageSizeExceededError"),
    ],
)
def test_each_fault_of_a_broker_is_told_in_our_words_and_without_its_password(
    settings: Settings, raised: Exception, error: type[QueueError], words: str
) -> None:
    connection = broker_queues.connect(settings)

    with pytest.raises(QueueError) as caught, broker_queues.translated(settings, connection):
        raise raised

    assert type(caught.value) is error
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_fault_that_kombu_wrapped_is_told_by_its_cause() -> None:
    connection = broker_queues.connect(RABBITMQ)

    with (
        pytest.raises(QueueError, match="user, key and permissions"),
        broker_queues.translated(RABBITMQ, connection),
    ):
        raise OperationalError("wrapped") from AccessRefused("no")


def test_a_fault_of_ours_is_not_called_the_brokers() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        broker_queues.translated(REDIS, broker_queues.connect(REDIS)),
    ):
        raise ZeroDivisionError


# --- Azure Service Bus: its SDK's two clients are doubled, its message is the real one ----------


class Namespace:
    """Queues in memory, with the calls that kombu and we make of the SDK."""

    def __init__(self) -> None:
        # An address of its own: Celery keeps open connections by address.
        self.ours = Settings(broker_url=f"azureservicebus://carelane:hunter2@{uuid4().hex}")
        self.settings: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, list[ServiceBusMessage]] = {}
        self.locked: list[ServiceBusMessage] = []
        self.busy = False
        self.may_manage = True

    # ServiceBusClient
    def get_queue_sender(self, queue: str, **_: Any) -> Any:
        def send(message: ServiceBusMessage) -> None:
            if self.busy:
                raise ServiceBusServerBusyError
            if queue not in self.waiting:
                raise MessagingEntityNotFoundError
            self.waiting[queue].append(message)

        return SimpleNamespace(send_messages=send, close=lambda: None)

    def get_queue_receiver(self, queue_name: str, **_: Any) -> Any:
        def receive(**_: Any) -> list[ServiceBusMessage]:
            found = self.waiting[queue_name][:1]
            del self.waiting[queue_name][:1]
            self.locked += found
            return found

        return SimpleNamespace(
            receive_messages=receive, complete_message=self.locked.remove, close=lambda: None
        )

    # ServiceBusAdministrationClient
    def create_queue(self, queue_name: str, **settings: Any) -> None:
        self._manage()
        if queue_name in self.waiting:
            raise ResourceExistsError
        self.waiting[queue_name] = []
        self.settings[queue_name] = settings

    def get_queue(self, name: str) -> Any:
        self._manage()
        if name not in self.settings:
            raise MessagingEntityNotFoundError
        return SimpleNamespace(**self.settings[name])

    def get_queue_runtime_properties(self, name: str) -> Any:
        return SimpleNamespace(
            active_message_count=len(self.waiting[name]), dead_letter_message_count=0
        )

    def _manage(self) -> None:
        if not self.may_manage:
            raise ClientAuthenticationError


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    made = Namespace()

    def given(*_: Any, **__: Any) -> Namespace:
        return made

    for name in ("ServiceBusClient", "ServiceBusAdministrationClient"):
        monkeypatch.setattr(azureservicebus, name, SimpleNamespace(from_connection_string=given))
    return made


def test_service_bus_queues_are_made_with_lock_and_delivery_count(namespace: Namespace) -> None:
    broker_queues.create(namespace.ours)
    broker_queues.create(namespace.ours)  # again: nothing changes

    assert sorted(namespace.settings) == ["carelane-fast", "carelane-llm", "carelane-priority"]
    assert namespace.settings["carelane-llm"]["lock_duration"] == timedelta(seconds=60)
    assert namespace.settings["carelane-llm"]["max_delivery_count"] == 20


def test_a_chunk_goes_over_service_bus_as_a_task_that_carries_ids_only(
    namespace: Namespace,
) -> None:
    broker_queues.create(namespace.ours)
    ids = [uuid4(), uuid4()]

    assert make_publisher(namespace.ours).publish(Lane.FAST, [ids]) == [True]

    (sent,) = namespace.waiting["carelane-fast"]
    envelope = json.loads(b"".join(sent.body))
    assert envelope["headers"]["task"] == "triage.fast"
    with make_app(namespace.ours, "fast", {}).connection_for_read() as connection:
        got: list[Any] = []
        consumer = connection.Consumer(
            [lane_queue(namespace.ours, Lane.FAST)],
            callbacks=[lambda body, m: got.append((body, m))],
        )
        with consumer:
            connection.drain_events(timeout=2)
        body, message = got[0]
        assert [UUID(each) for each in body[1]["ids"]] == ids
        assert len(namespace.locked) == 1, "locked until it is acknowledged"
        message.ack()
    assert not namespace.locked


def test_a_busy_or_unmade_service_bus_leaves_chunks_in_the_outbox(namespace: Namespace) -> None:
    publisher = make_publisher(namespace.ours)
    with pytest.raises(QueueMisconfigured, match="queues create"):
        publisher.publish(Lane.FAST, [[uuid4()]])
    broker_queues.create(namespace.ours)
    namespace.busy = True

    with pytest.raises(QueueUnavailable):
        publisher.publish(Lane.FAST, [[uuid4()]])


def test_a_service_bus_queue_that_locks_too_briefly_is_refused(namespace: Namespace) -> None:
    broker_queues.create(namespace.ours)
    namespace.settings["carelane-llm"]["lock_duration"] = timedelta(seconds=30)

    with pytest.raises(QueueMisconfigured, match="carelane-llm locks a message for 30 s"):
        broker_queues.check(namespace.ours)


def test_a_key_that_may_not_manage_is_enough_to_work(namespace: Namespace) -> None:
    broker_queues.create(namespace.ours)
    namespace.may_manage = False

    found = broker_queues.check(namespace.ours, [Lane.FAST])

    assert list(broker_queues.in_words(found)) == [
        "fast      reachable; not told by this broker here: waiting, in hand, dead"
    ]
