"""The Celery app: made by the composition root from settings, never at import.

Every setting here follows from a measured fault; docs/queueing.md tells them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu import Exchange, Queue

from shared.brokers import Broker, broker_of, lane_queue, serving_options
from shared.contracts import Lane, queue_name
from shared.settings import Settings
from workers import tasks

#: Lanes that a kind of worker serves, the most important first.
LANES: Final[Mapping[str, tuple[Lane, ...]]] = {
    "fast": (Lane.PRIORITY, Lane.FAST),
    "llm": (Lane.LLM,),
}
_PREFETCH: Final = {"fast": 2, "llm": 1}
#: A chunk of the fast lane takes no longer than this, below the queues' visibility of 30 s.
_LONGEST_CHUNK_S: Final = 25.0
_TRANSPORT: Final = "workers.sqs_guard:Transport"
#: Transports of ours, which deliver later what was turned away, and keep dead letters.
_GUARDS: Final = {
    Broker.RABBITMQ: "workers.rabbitmq_guard:Transport",
    Broker.REDIS: "workers.redis_guard:Transport",
}


def make_app(settings: Settings, kind: str, queue_urls: Mapping[Lane, str]) -> Celery:
    """The app of a worker of `kind` (fast or llm). `queue_urls` matter on SQS only."""
    app = Celery("carelane", set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        task_acks_late=True,
        # With the RedrivePolicy that every queue must have: a failed task is delivered again.
        task_acks_on_failure_or_timeout=False,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=False,
        task_queues=_queues(settings, LANES[kind]),
        task_default_queue=queue_name(settings.queue_prefix, LANES[kind][0]),
        worker_prefetch_multiplier=_PREFETCH[kind],
        **_time_limits(settings, kind),
        # A child loads its model before it reports that it is up.
        worker_proc_alive_timeout=60,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        **_broker(settings, kind, queue_urls),
    )
    tasks.register(app)
    return app


def slowest_task_s(settings: Settings) -> float:
    """How long a task of the fast lane may run before its child is killed."""
    # Never below the lease: a task waits for the database for most of that.
    return max(_LONGEST_CHUNK_S, settings.fast_lease_s)


def _time_limits(settings: Settings, kind: str) -> dict[str, float]:
    """The end of a child that hangs.

    The soft limit raises inside the message that hangs, which so fails alone. Where it hangs in
    native code, the hard limit kills the child; the chunk is then put back like any other whose
    child died, and its messages are taken one at a time. Threads of the LLM lane cannot be ended.
    """
    if kind != "fast":
        return {}
    longest_s = slowest_task_s(settings)
    return {"task_soft_time_limit": longest_s * 0.8, "task_time_limit": longest_s}


def _queues(settings: Settings, lanes: Sequence[Lane]) -> list[Queue]:
    if broker_of(settings) is not Broker.SQS:
        return [lane_queue(settings, lane) for lane in lanes]
    names = [queue_name(settings.queue_prefix, lane) for lane in lanes]
    # Exchange and routing key as the relay writes them: kombu needs both to find the queue again
    # when it puts back what a killed child had in hand.
    return [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in names]


def _broker(settings: Settings, kind: str, queue_urls: Mapping[Lane, str]) -> dict[str, Any]:
    broker = broker_of(settings)
    if broker is not Broker.SQS:
        return {
            "broker_url": settings.broker_url,
            "broker_transport": _GUARDS.get(broker),
            "broker_transport_options": serving_options(settings, LANES[kind]),
            "broker_connection_max_retries": None,  # a broker that is away is waited for
            "broker_heartbeat": 30,  # RabbitMQ only: a dead peer is seen after a minute
            "task_default_exchange": "",  # leads to a queue by its name
            "worker_consumer": "workers.consumer:Consumer",
        }
    options: dict[str, Any] = {
        "region": settings.aws_region,
        "predefined_queues": {
            queue_name(settings.queue_prefix, lane): {"url": url}
            for lane, url in queue_urls.items()
        },
        "queue_order": [queue_name(settings.queue_prefix, lane) for lane in queue_urls],
        "polling_interval": 0.05,
        "wait_time_seconds": 2,
        # Reading outlasts the long poll; a black hole holds nobody up for longer.
        "client-config": {
            "connect_timeout": 2,
            "read_timeout": 10,
            "retries": {"total_max_attempts": 2},
        },
    }
    url = "sqs://"
    if settings.sqs_endpoint_url is not None:
        endpoint = urlsplit(settings.sqs_endpoint_url)
        options["is_secure"] = endpoint.scheme == "https"
        url = f"sqs://{endpoint.netloc}"
    return {
        "broker_url": url,
        "broker_transport": _TRANSPORT,
        "broker_transport_options": options,
    }
