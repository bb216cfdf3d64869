"""What a person decides about messages: accept, correct, take, mark done, and undo.

Every decision is one transaction: the rows are locked, a label is appended where there is a new
one, the message moves on, and the audit log keeps how it was before, which is what undo puts back.
A person's decision wins: workers write only while the status is still the one they work on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection, RowMapping, Text, func, insert, select, update
from sqlalchemy import cast as sql_cast

from dashboard import audit, counting
from dashboard.audit import Action
from shared.contracts import PROCESSING, Lane, Status, Tier, Urgency
from shared.errors import InvalidInput
from shared.notify import notify_messages, notify_outbox
from shared.tables import audit_log, labels, messages, outbox
from shared.taxonomy import Taxonomy

MAX_AT_ONCE: Final = 200
MAX_REASON_CHARS: Final = 500
MAX_CATEGORIES: Final = 3

#: What undo puts back.
_KEPT: Final = (
    "status",
    "status_reason",
    "current_label_id",
    "urgency_rank",
    "assignee",
    "reviewed_at",
    "settled_at",
)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do; None leaves a thing as it is."""

    action: Action
    categories: tuple[str, ...] | None = None
    urgency: Urgency | None = None
    pool: str | None = None  # "" for the category's own
    reason: str | None = None  # the person's, for the history
    assignee: str | None = None


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What became of a decision."""

    changed: tuple[UUID, ...]
    skipped: Mapping[UUID, str]  # why, in words
    undo: str | None  # hands all of it back


def apply(
    connection: Connection,
    actor: str,
    ids: Sequence[UUID],
    decision: Decision,
    taxonomy: Taxonomy,
) -> Applied:
    """Carry out `decision` for each of `ids` that it fits.

    Raises:
        InvalidInput: the decision itself cannot be: too many messages, an unknown category.
    """
    _check(ids, decision, taxonomy)
    batch = uuid4().hex
    changed: list[UUID] = []
    skipped: dict[UUID, str] = {}
    entries: list[int] = []
    for row in _lock(connection, ids):
        try:
            values = _values(connection, row, decision, actor, taxonomy)
        except InvalidInput as refusal:
            skipped[row["id"]] = str(refusal)
            continue
        before = _snapshot(row)
        written = _write(connection, row["id"], values)
        counting.decided(decision.action, row, written)
        after = _snapshot(written)
        detail = {"batch": batch, "before": before, "after": after}
        entries.append(audit.record(connection, actor, decision.action, row["id"], **detail))
        changed.append(row["id"])
    notify_messages(connection, changed)
    undo = f"{entries[0]}-{entries[-1]}-{batch}" if entries else None
    return Applied(changed=tuple(changed), skipped=skipped, undo=undo)


def undo(connection: Connection, actor: str, token: str) -> Applied:
    """Put back what one decision of the same person changed, where nobody changed it since.

    Raises:
        InvalidInput: the token is none, or belongs to somebody else's decision.
    """
    changed: list[UUID] = []
    skipped: dict[UUID, str] = {}
    for entry in _entries(connection, actor, token):
        rows = _lock(connection, [entry["message_id"]])
        before, after = entry["detail"]["before"], entry["detail"]["after"]
        # An entry from before a column was kept says nothing of it.
        if not rows or {name: _snapshot(rows[0])[name] for name in after} != after:
            skipped[entry["message_id"]] = "changed again meanwhile"
            continue
        _write(connection, entry["message_id"], before)
        _back_to_work(connection, rows[0], Status(before["status"]))
        audit.record(connection, actor, Action.UNDONE, entry["message_id"], of=entry["id"])
        changed.append(entry["message_id"])
    notify_messages(connection, changed)
    return Applied(changed=tuple(changed), skipped=skipped, undo=None)


def _check(ids: Sequence[UUID], decision: Decision, taxonomy: Taxonomy) -> None:
    if not 0 < len(ids) <= MAX_AT_ONCE:
        raise InvalidInput(f"Choose 1 to {MAX_AT_ONCE} messages at once; these are {len(ids)}.")
    if decision.categories is not None:
        known = set(taxonomy.category_names)
        fits = 0 < len(decision.categories) <= MAX_CATEGORIES
        if not fits or not set(decision.categories) <= known:
            raise InvalidInput(f"A label has 1 to {MAX_CATEGORIES} categories of this taxonomy.")
    if decision.pool and decision.pool not in {pool.name for pool in taxonomy.pools}:
        raise InvalidInput("There is no such pool.")


def _lock(connection: Connection, ids: Sequence[UUID]) -> Sequence[RowMapping]:
    shown = func.coalesce(messages.c.current_label_id, messages.c.provisional_label_id)
    statement = (
        select(messages, labels.c.categories, labels.c.urgency, labels.c.pool)
        .select_from(messages.outerjoin(labels, labels.c.id == shown))
        .where(messages.c.id.in_(ids))
        .order_by(messages.c.id)
        .with_for_update(of=messages)
    )
    return connection.execute(statement).mappings().all()


def _values(
    connection: Connection,
    row: RowMapping,
    decision: Decision,
    actor: str,
    taxonomy: Taxonomy,
) -> dict[str, Any]:
    """The columns that a decision sets; InvalidInput says why it does not fit this message."""
    if decision.action is Action.ASSIGNED:
        return {"assignee": decision.assignee}
    if decision.action is Action.REOPENED:
        if row["status"] != Status.DONE.value:
            raise InvalidInput("is not done")
        labelled = row["current_label_id"] is not None
        status = Status.LABELLED if labelled else Status.NEEDS_REVIEW
        return {"status": status.value, "reviewed_at": None}
    read = {"first_read_at": func.coalesce(messages.c.first_read_at, func.now())}
    if decision.action is Action.DONE:
        if row["status"] == Status.DONE.value:
            raise InvalidInput("is done already")
        return {**read, "status": Status.DONE.value, "reviewed_at": func.now()}
    label_id, urgency = _append_label(connection, row, decision, actor, taxonomy)
    done = row["status"] == Status.DONE.value
    return {
        **read,
        "status": Status.DONE.value if done else Status.LABELLED.value,
        "status_reason": None,
        "current_label_id": label_id,
        "urgency_rank": urgency.rank,
        "settled_at": func.coalesce(messages.c.settled_at, func.now()),
    }


def _append_label(
    connection: Connection,
    row: RowMapping,
    decision: Decision,
    actor: str,
    taxonomy: Taxonomy,
) -> tuple[int, Urgency]:
    categories = decision.categories or tuple(row["categories"] or ())
    if not categories:
        raise InvalidInput("has no category yet; choose one")
    urgency = decision.urgency or Urgency(row["urgency"] or _floor(row))
    new = {
        "message_id": row["id"],
        "categories": list(categories),
        "urgency": urgency.value,
        "tier": Tier.HUMAN.value,
        "taxonomy_version": taxonomy.version,
        "rationale": (decision.reason or "").strip()[:MAX_REASON_CHARS] or None,
        "reasons": [decision.action.value],
        "author": actor,
        "pool": _pool(row, decision),
    }
    added = connection.execute(insert(labels).values(new).returning(labels.c.id))
    return int(added.scalar_one()), urgency


def _pool(row: RowMapping, decision: Decision) -> str | None:
    if decision.pool is not None:
        return decision.pool or None
    # Another category brings its own pool along.
    kept: str | None = row["pool"] if decision.categories is None else None
    return kept


def _floor(row: RowMapping) -> str:
    ranks = [Urgency(flag["urgency"]).rank for flag in row["red_flags"]]
    return tuple(Urgency)[min(ranks, default=Urgency.ROUTINE.rank)].value


def _write(connection: Connection, message_id: UUID, values: Mapping[str, Any]) -> RowMapping:
    statement = update(messages).where(messages.c.id == message_id).values(values)
    return connection.execute(statement.returning(messages)).mappings().one()


def _snapshot(row: RowMapping) -> dict[str, Any]:
    return {name: _as_json(row[name]) for name in _KEPT}


def _as_json(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _entries(connection: Connection, actor: str, token: str) -> Sequence[RowMapping]:
    try:
        first, last, batch = token.split("-")
        bounds = (int(first), int(last))
    except ValueError:
        raise InvalidInput("There is nothing to undo.") from None
    statement = (
        select(audit_log)
        .where(audit_log.c.id.between(*bounds), audit_log.c.actor == actor)
        .where(sql_cast(audit_log.c.detail["batch"].astext, Text) == batch)
        .order_by(audit_log.c.id)
        .limit(MAX_AT_ONCE)
    )
    found = connection.execute(statement).mappings().all()
    if not found:
        raise InvalidInput("There is nothing to undo.")
    return found


def _back_to_work(connection: Connection, row: RowMapping, status: Status) -> None:
    """A message that the machine had not finished goes to its queue again."""
    if status in PROCESSING:
        first = Lane.PRIORITY if row["red_flags"] else Lane.FAST
        lane = Lane.LLM if status is Status.ESCALATED else first
        connection.execute(insert(outbox).values(message_id=row["id"], lane=lane.value))
        notify_outbox(connection)
