"""Postgres and the queues: reached, as this version expects them, and losing nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, text

from shared import broker_queues
from shared.brokers import Broker, broker_of
from shared.contracts import (
    Lane,
    dead_letter_queue_name,
    intake_dead_letter_queue_name,
    intake_queue_name,
    queue_name,
)
from shared.database import transaction
from shared.errors import CarelaneError, QueueUnavailable
from shared.queues import Attributes, attributes_of, sqs_client, translated
from shared.schema import is_current
from shared.settings import Settings
from workers.celery_app import slowest_task_s
from workers.doctor.finding import Finding, ok, problem, warning

_DATABASE: Final = "database"
_QUEUES: Final = "queues"
_SLOW_MS: Final = 50.0
#: An outage so long must not turn messages into dead letters.
_OUTAGE_S: Final = 300
_DAY_S: Final = 86_400
_RUN_CREATE: Final = "`carelane queues create` brings the queues up to deploy/queues.yaml."

_STANDING: Final = text(
    """
    SELECT current_setting('server_version') AS version,
           current_setting('log_min_error_statement') AS log_statements,
           current_setting('max_connections')::int AS max_connections,
           (SELECT count(*) FROM pg_stat_activity) AS connections,
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
           inet_client_addr() IS NULL OR inet_client_addr() <<= '127.0.0.0/8'
             OR inet_client_addr() = '::1' AS local
    """
)
_WAITING: Final = text(
    """
    SELECT coalesce(extract(epoch FROM now() - (SELECT min(created_at) FROM outbox)), 0)
             AS outbox_s,
           coalesce(extract(epoch FROM now() - (SELECT min(enqueued_at) FROM messages
                     WHERE status IN ('queued', 'escalated'))), 0) AS waiting_s,
           (SELECT count(*) FROM workers WHERE lane = 'fast'
              AND heartbeat_at > now() - interval '30 s') AS fast_workers
    """
)


def check_database(engine: Engine) -> Iterator[Finding]:
    """Reached, migrated, fast enough, and discreet."""
    mend = "Look at CARELANE_DATABASE_URL, and whether Postgres runs and lets this machine in."
    try:
        with transaction(engine) as connection:
            yield from _standing(connection)
    except CarelaneError as error:
        yield problem(_DATABASE, str(error), mend)
        return
    try:
        if not is_current(engine):
            yield problem(
                _DATABASE,
                "the schema is not the one this version expects",
                "Run `carelane database upgrade`; where it is the newer one, upgrade the code.",
            )
            return
        with transaction(engine) as connection:
            yield from _waiting(connection)
    except CarelaneError as error:
        yield problem(_DATABASE, str(error), mend)


def database_time(engine: Engine) -> datetime:
    """What Postgres' clock shows; StoreError when it cannot be asked."""
    with transaction(engine) as connection:
        found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


def _standing(connection: Connection) -> Iterator[Finding]:
    connection.execute(text("SELECT 1"))  # connecting is no part of the time
    started_s = time.perf_counter()
    row = connection.execute(_STANDING).one()
    took_ms = (time.perf_counter() - started_s) * 1000
    yield ok(_DATABASE, f"Postgres {row.version} answers in {took_ms:.0f} ms")
    if took_ms > _SLOW_MS:
        yield warning(
            _DATABASE,
            f"an answer takes {took_ms:.0f} ms",
            "Every message takes several; put processes and Postgres into one network.",
        )
    if row.log_statements not in ("panic", "fatal"):
        yield warning(
            _DATABASE,
            f"log_min_error_statement is {row.log_statements}: Postgres writes failing statements, "
            "patients' words included, into its log",
            "ALTER SYSTEM SET log_min_error_statement = 'panic'; SELECT pg_reload_conf();",
        )
    if row.connections > 0.8 * row.max_connections:
        yield warning(
            _DATABASE,
            f"{row.connections} of {row.max_connections} connections are taken",
            "Raise max_connections, or put PgBouncer in front (session mode: LISTEN needs it).",
        )
    if not row.tls and not row.local:
        yield warning(
            _DATABASE,
            "the connection to Postgres is not encrypted",
            "Add ?sslmode=verify-full&sslrootcert=... to CARELANE_DATABASE_URL.",
        )


def _waiting(connection: Connection) -> Iterator[Finding]:
    row = connection.execute(_WAITING).one()
    yield ok(_DATABASE, "the schema is the one this version expects")
    if row.outbox_s > 60:
        yield problem(
            _DATABASE,
            f"a message has waited {row.outbox_s:.0f} s in the outbox",
            "Start `carelane relay`, or look at its log.",
        )
    if not row.fast_workers:
        yield warning(
            _DATABASE,
            "no fast worker has given a sign of life for 30 s",
            "Start `carelane worker fast`; its first lines say why if it ends.",
        )
    if row.waiting_s > 600:
        yield warning(
            _DATABASE,
            f"a message has waited {row.waiting_s:.0f} s since it was enqueued last",
            "Is `carelane sweeper` running? It sends such messages again.",
        )


def check_queues(settings: Settings) -> Iterator[Finding]:
    """Every queue: there, with a dead-letter queue, patient enough for the slowest task."""
    if broker_of(settings) is not Broker.SQS:
        yield from _other_broker(settings)
        return
    sqs = sqs_client(settings)
    prefix = settings.queue_prefix
    named: dict[str, tuple[str, float, str]] = {
        queue_name(prefix, lane): (
            dead_letter_queue_name(prefix, lane),
            *_slowest(settings, lane),
        )
        for lane in Lane
    }
    named[intake_queue_name(prefix)] = (intake_dead_letter_queue_name(prefix), 0.0, "")
    for name, (dead_name, slowest_s, why) in named.items():
        try:
            with translated(settings):
                found, dead = attributes_of(sqs, name), attributes_of(sqs, dead_name)
        except QueueUnavailable as error:  # as it will be of the others
            yield problem(
                _QUEUES,
                str(error),
                "Look at the AWS credentials, CARELANE_AWS_REGION and CARELANE_SQS_ENDPOINT_URL.",
            )
            return
        except CarelaneError as error:
            yield problem(_QUEUES, str(error), _RUN_CREATE)
            continue
        troubles = list(_troubles(name, found, dead, slowest_s, why))
        yield from troubles
        if not troubles:
            yield ok(
                _QUEUES,
                f"{name}: {found.waiting} waiting, {found.in_flight} in flight, visibility "
                f"{found.visibility_s} s, {found.max_receives} deliveries at most",
            )


def _other_broker(settings: Settings) -> Iterator[Finding]:
    """What `carelane queues check` says, and dead letters."""
    broker = broker_of(settings)
    try:
        found = broker_queues.check(settings)
    except CarelaneError as error:
        yield problem(
            _QUEUES, str(error), "Look at CARELANE_BROKER_URL; `carelane queues create` makes them."
        )
        return
    for line, each in zip(broker_queues.in_words(found), found, strict=True):
        yield ok(_QUEUES, f"{broker}: {line}")
        if each.dead:
            yield warning(
                _QUEUES,
                f"{each.dead} dead letter(s) behind {queue_name(settings.queue_prefix, each.lane)}",
                "Look at them with the broker's own tools; their messages are in Postgres.",
            )


def _slowest(settings: Settings, lane: Lane) -> tuple[float, str]:
    if lane is Lane.LLM:
        return settings.llm_lease_s, "a lease lasts (CARELANE_LLM_LEASE_S)"
    return slowest_task_s(settings), "the slowest chunk may take (CARELANE_FAST_LEASE_S)"


def _troubles(
    name: str, found: Attributes, dead: Attributes, slowest_s: float, why: str
) -> Iterator[Finding]:
    if found.max_receives is None:
        yield problem(
            _QUEUES, f"{name} has no RedrivePolicy: failed tasks would be deleted", _RUN_CREATE
        )
    elif (found.max_receives - 1) * found.visibility_s < _OUTAGE_S:
        yield warning(
            _QUEUES,
            f"{name}: after {found.max_receives} deliveries, {found.visibility_s} s apart, a "
            "message is a dead letter: an outage of five minutes is longer",
            "Raise its max receive count in deploy/queues.yaml. " + _RUN_CREATE,
        )
    if found.visibility_s < slowest_s:
        yield problem(
            _QUEUES,
            f"{name} shows a message again after {found.visibility_s} s, but so long {why}: "
            f"{slowest_s:g} s. Work would be done twice, and workers refuse to start",
            "Raise its visibility timeout in deploy/queues.yaml. " + _RUN_CREATE,
        )
    if found.retention_s < _DAY_S:
        yield warning(_QUEUES, f"{name} forgets messages after {found.retention_s} s", _RUN_CREATE)
    if not found.encrypted:
        yield warning(_QUEUES, f"{name} is not encrypted at rest", _RUN_CREATE)
    if dead.waiting:
        yield warning(
            _QUEUES,
            f"{dead.waiting} dead letter(s) behind {name}",
            "`carelane dead-letters` lists them with their reasons; the operations page too.",
        )
