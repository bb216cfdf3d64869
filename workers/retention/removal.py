"""Removes old rows in small transactions, each with its own row in the audit log.

A batch locks only what it takes and passes over what somebody else holds, so nobody waits for it;
whatever ends it half-way, what was committed is gone and noted, and the rest is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, insert, text

from shared.database import transaction
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened
from shared.settings import Settings
from shared.tables import audit_log

logger = logging.getLogger(__name__)

#: So short that a page that wants one of the rows does not notice.
BATCH: Final = 500
#: Masking takes longer than removing, and the rows are locked meanwhile.
EXPORTED_BATCH: Final = 50

ACTION: Final = "removed_by_age"

_OLDEST: Final[Mapping[str, Any]] = {"after": "-infinity", "after_id": UUID(int=0)}

#: Given the rows that are about to go, before they are; what it returns goes into the audit log.
Keep = Callable[[Sequence[RowMapping]], dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of row: its age limit, how many are due, and how a batch of them is removed."""

    name: str
    setting: str  # the field of Settings that holds the days
    count: str
    remove: str  # returns one row per row removed, or their number as `removed`
    take: str | None = None  # where rows are looked at before they go
    stays: str | None = None  # old ones that stay all the same, and why
    why_it_stays: str = ""


_OLD_CALL = """
    c.created_at < :before
    AND NOT EXISTS (SELECT FROM labels WHERE llm_call_id = c.id)
    AND NOT EXISTS (SELECT FROM label_checks WHERE llm_call_id = c.id)
    AND NOT EXISTS (SELECT FROM llm_exchanges WHERE llm_call_id = c.id)
"""
_OLD_LABEL = """
    l.created_at < :before
    AND NOT EXISTS (SELECT FROM messages WHERE current_label_id = l.id)
    AND NOT EXISTS (SELECT FROM messages WHERE provisional_label_id = l.id)
"""

#: In this order: a call can go once the labels that name it are gone.
KINDS: Final = (
    Kind(
        name="messages",
        setting="keep_messages_days",
        count="SELECT count(*) FROM messages WHERE received_at < :before AND status = 'done'",
        take="""
            SELECT m.id, m.text, m.sender, m.language, m.received_at, l.categories, l.urgency,
                   l.tier, l.model_version, l.prompt_version, l.taxonomy_version
            FROM messages m LEFT JOIN labels l ON l.id = m.current_label_id
            WHERE m.received_at < :before AND m.status = 'done'
              AND (m.received_at, m.id) > (CAST(:after AS timestamptz), CAST(:after_id AS uuid))
            ORDER BY m.received_at, m.id LIMIT :most
            FOR UPDATE OF m SKIP LOCKED
        """,
        remove="DELETE FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING id",
        stays="SELECT count(*) FROM messages WHERE received_at < :before AND status <> 'done'",
        why_it_stays="no person has marked them done",
    ),
    Kind(
        name="labels",
        setting="keep_labels_days",
        count=f"SELECT count(*) FROM labels l WHERE {_OLD_LABEL}",  # noqa: S608  ours
        remove=f"""
            DELETE FROM labels WHERE id IN (
                SELECT l.id FROM labels l WHERE {_OLD_LABEL} ORDER BY l.id LIMIT :most
                FOR UPDATE SKIP LOCKED
            ) RETURNING id
        """,  # noqa: S608  ours
    ),
    Kind(
        name="calls",
        setting="keep_calls_days",
        count=f"SELECT count(*) FROM llm_calls c WHERE {_OLD_CALL}",  # noqa: S608  ours
        remove=f"""
            DELETE FROM llm_calls WHERE id IN (
                SELECT c.id FROM llm_calls c WHERE {_OLD_CALL} ORDER BY c.created_at LIMIT :most
                FOR UPDATE SKIP LOCKED
            ) RETURNING id
        """,  # noqa: S608  ours
        stays="SELECT count(*) FROM llm_calls c WHERE c.created_at < :before",
        why_it_stays="a label or a text names them",
    ),
    Kind(
        name="audit",
        setting="keep_audit_days",
        count="SELECT count(*) FROM audit_log WHERE created_at < :before",
        remove="SELECT remove_old_audit(:before, :most) AS removed",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Due:
    """What is old enough of one kind."""

    kind: Kind
    before: datetime
    rows: int
    stay: int  # old, and kept all the same


@dataclass
class Done:
    """What was removed of one kind so far."""

    removed: int = 0
    noted: dict[str, int] = field(default_factory=dict)
    unopened: int = 0  # stay, for what cannot be read cannot be kept before it goes


@dataclass(frozen=True, kw_only=True)
class _Batch:
    removed: int
    noted: Mapping[str, int] = field(default_factory=dict)
    unopened: int = 0
    place: Mapping[str, Any] | None = None  # where the next one begins; None: at the oldest


def due(engine: Engine, settings: Settings, now: datetime | None = None) -> list[Due]:
    """What would go now, of the kinds that have an age limit."""
    now = now or datetime.now(UTC)
    found = []
    for kind in KINDS:
        days = getattr(settings, kind.setting)
        if not days:
            continue
        before = now - timedelta(days=days)
        with transaction(engine) as connection:
            rows = _count(connection, kind.count, before)
            stay = _count(connection, kind.stays, before) if kind.stays else 0
        if kind.name == "calls":
            stay -= rows
        found.append(Due(kind=kind, before=before, rows=rows, stay=stay))
    return found


def _count(connection: Connection, sql: str, before: datetime) -> int:
    return int(connection.execute(text(sql), {"before": before}).scalar_one())


def remove(
    engine: Engine, what: Due, actor: str, keep: Keep | None = None, batch: int = BATCH
) -> Iterator[Done]:
    """Remove it batch by batch; yields the sum after each.

    Raises:
        StoreError: a batch failed; those before it are done.
    """
    done = Done()
    place = _OLDEST
    while True:
        with transaction(engine) as connection:
            one = _batch(connection, what, keep, batch, place)
            if one.removed:
                detail = {"what": what.kind.name, "rows": one.removed, **one.noted}
                detail["before"] = what.before.isoformat(timespec="seconds")
                _note(connection, actor, detail)
        if not (one.removed or one.unopened):
            return
        place = one.place or place
        done.removed += one.removed
        done.unopened += one.unopened
        for name, count in one.noted.items():
            done.noted[name] = done.noted.get(name, 0) + count
        yield done


def _batch(
    connection: Connection, what: Due, keep: Keep | None, most: int, place: Mapping[str, Any]
) -> _Batch:
    parameters: dict[str, Any] = {"before": what.before, "most": most}
    if what.kind.take is not None:
        return _looked_at(connection, what.kind, {**parameters, **place}, keep)
    removed = connection.execute(text(what.kind.remove), parameters)
    if what.kind.name == "audit":
        return _Batch(removed=int(removed.scalar_one()))
    return _Batch(removed=len(removed.all()))


def _looked_at(
    connection: Connection, kind: Kind, parameters: Mapping[str, Any], keep: Keep | None
) -> _Batch:
    take = text(kind.take or "").columns(text=TriedText(MESSAGE_TEXT))
    rows = connection.execute(take, parameters).mappings().all()
    if not rows:
        return _Batch(removed=0)
    # Without a file to write to nobody needs the keys.
    closed = {row["id"] for row in rows if keep and isinstance(row["text"], Unopened)}
    for id_ in sorted(closed):
        logger.warning("not removed: its text cannot be opened", extra={"message_id": id_})
    go = [row for row in rows if row["id"] not in closed]
    noted = keep(go) if keep and go else {}
    removed = connection.execute(text(kind.remove), {"ids": [str(row["id"]) for row in go]})
    last = rows[-1]
    return _Batch(
        removed=len(removed.all()),
        noted=noted,
        unopened=len(closed),
        place={"after": last["received_at"], "after_id": last["id"]},
    )


def _note(connection: Connection, actor: str, detail: dict[str, Any]) -> None:
    connection.execute(insert(audit_log).values(actor=actor, action=ACTION, detail=detail))
