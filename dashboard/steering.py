"""Pausing, draining and resuming workers: an order in a table, read with their next heartbeat.

Celery has no remote control on SQS. An order for a tier (fast, llm) holds for every worker of it,
also for those that start later, until it is taken back; one for a worker goes with the worker.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from dashboard import audit
from dashboard.audit import Action
from shared.contracts import Order
from shared.errors import InvalidInput
from shared.settings import Settings
from shared.tables import worker_orders, workers

TIERS: Final = ("fast", "llm")


def pause(connection: Connection, target: str, actor: str) -> None:
    """Have a tier or a worker take nothing new.

    Raises:
        InvalidInput: there is no such tier or worker.
    """
    _check(connection, target)
    _order(connection, target, Order.PAUSED, actor)
    audit.record(connection, actor, Action.WORKERS_PAUSED, target=target)


def drain(connection: Connection, target: str, actor: str) -> int:
    """Have a worker, or those that a tier has now, finish what they hold and end.

    Returns how many were told. Raises:
        InvalidInput: there is no such tier or worker.
    """
    _check(connection, target)
    ids = [target]
    if target in TIERS:
        ids = list(
            connection.execute(select(workers.c.id).where(workers.c.lane == target)).scalars()
        )
    for each in ids:
        _order(connection, each, Order.DRAINED, actor)
    audit.record(connection, actor, Action.WORKERS_DRAINED, target=target, workers=len(ids))
    return len(ids)


def resume(connection: Connection, target: str, actor: str) -> bool:
    """Take an order back; for a tier also those of its workers. False where there was none."""
    gone = delete(worker_orders).where(worker_orders.c.target == target)
    if target in TIERS:
        mine = select(workers.c.id).where(workers.c.lane == target)
        gone = delete(worker_orders).where(
            (worker_orders.c.target == target) | worker_orders.c.target.in_(mine)
        )
    changed = connection.execute(gone).rowcount > 0
    if changed:
        audit.record(connection, actor, Action.WORKERS_RESUMED, target=target)
    return changed


def check_broker(settings: Settings) -> None:
    """Raises InvalidInput where workers do not read an order to pause."""
    if settings.broker_url is not None:
        raise InvalidInput(
            "pausing works on SQS only; with this broker, scale the workers down instead"
        )


def _check(connection: Connection, target: str) -> None:
    if target in TIERS:
        return
    known = select(workers.c.id).where(workers.c.id == target)
    if connection.execute(known).first() is None:
        raise InvalidInput(
            f"there is no tier or worker {target!r}; `carelane workers list` shows them"
        )


def _order(connection: Connection, target: str, wanted: Order, actor: str) -> None:
    statement = insert(worker_orders).values(target=target, wanted=wanted.value, actor=actor)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[worker_orders.c.target],
            set_={
                "wanted": statement.excluded.wanted,
                "actor": statement.excluded.actor,
                "created_at": func.now(),
            },
        )
    )
