"""Running failed messages again: those that the machine gave up and no person has decided about.

A message goes back to the tier that gave it up, with its attempts at zero and its time anew. The
row counts how often that was asked for, and the audit log keeps why it had failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from dashboard import audit
from dashboard.audit import Action
from shared.notify import notify_messages, notify_outbox

#: Most messages of one transaction; ask again for the rest.
MOST_AT_ONCE: Final = 1000

#: What a person has decided, or sent back, is no failure.
_FAILED: Final = "status = 'needs_review' AND current_label_id IS NULL AND reviewed_at IS NULL"

_LIST: Final = text(
    f"""
    SELECT id, source, received_at, settled_at, status_reason, attempts, reruns, urgency_rank,
           red_flags <> '[]' AS flagged
    FROM messages
    WHERE {_FAILED} AND (CAST(:reason AS text) IS NULL OR status_reason = :reason)
    ORDER BY urgency_rank, received_at LIMIT :most
    """  # noqa: S608  a constant of this module
)

_REASONS: Final = text(
    f"""
    SELECT coalesce(status_reason, '') AS reason, count(*) AS messages,
           count(*) FILTER (WHERE reruns > 0) AS run_before
    FROM messages WHERE {_FAILED} GROUP BY 1 ORDER BY 2 DESC
    """  # noqa: S608
)

# The tier that gave it up: what has a provisional label was past the fast tier.
_RUN: Final = text(
    f"""
    WITH failed AS (
        SELECT id, status_reason FROM messages
        WHERE {_FAILED}
          AND (CAST(:reason AS text) IS NULL OR status_reason = :reason)
          AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(CAST(:ids AS uuid[])))
          AND (CAST(:begun AS timestamptz) IS NULL OR rerun_at IS NULL OR rerun_at < :begun)
        ORDER BY urgency_rank, received_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), again AS (
        UPDATE messages m
        SET status = CASE WHEN provisional_label_id IS NULL THEN 'queued' ELSE 'escalated' END,
            status_reason = NULL, attempts = 0, reruns = reruns + 1, rerun_at = now(),
            enqueued_at = now(), lease_owner = NULL, lease_until = NULL
        FROM failed WHERE m.id = failed.id
        RETURNING m.id, m.status, m.red_flags, m.reruns, failed.status_reason AS reason
    ), sent AS (
        INSERT INTO outbox (message_id, lane)
        SELECT id, CASE WHEN status = 'escalated' THEN 'llm'
                        WHEN red_flags = '[]' THEN 'fast' ELSE 'priority' END
        FROM again ORDER BY id
    )
    SELECT id, reason, reruns FROM again
    """  # noqa: S608
)

# What a dead letter named and is still under way: it waits for nothing but being sent.
_SEND: Final = text(
    """
    WITH again AS (
        UPDATE messages SET enqueued_at = now(), attempts = 0, reruns = reruns + 1, rerun_at = now()
        WHERE id = ANY(CAST(:ids AS uuid[])) AND status IN ('queued', 'escalated')
        RETURNING id, status, red_flags
    )
    INSERT INTO outbox (message_id, lane)
    SELECT id, CASE WHEN status = 'escalated' THEN 'llm'
                    WHEN red_flags = '[]' THEN 'fast' ELSE 'priority' END
    FROM again ORDER BY id RETURNING message_id
    """
)


def failed(
    connection: Connection, reason: str | None = None, most: int = 200
) -> Sequence[RowMapping]:
    """Failed messages, the most urgent and oldest first; no text among the columns."""
    return connection.execute(_LIST, {"reason": reason, "most": most}).mappings().all()


def reasons(connection: Connection) -> Sequence[RowMapping]:
    """How many failed, by reason, and how many of them were run again before."""
    return connection.execute(_REASONS).mappings().all()


def run_again(
    connection: Connection,
    actor: str,
    *,
    ids: Sequence[UUID] | None = None,
    reason: str | None = None,
    begun: datetime | None = None,
) -> list[UUID]:
    """Send failed messages through their tier again: those named, of a reason, or all.

    At most MOST_AT_ONCE; returns which. Those that have not failed are left alone, and those that
    were run again since `begun`, so that what fails again at once is not sent round and round.
    """
    rows = connection.execute(
        _RUN,
        {
            "ids": None if ids is None else [str(each) for each in ids],
            "reason": reason,
            "begun": begun,
            "most": MOST_AT_ONCE,
        },
    ).all()
    for row in rows:
        detail = {"reason": row.reason, "reruns": row.reruns}
        audit.record(connection, actor, Action.RUN_AGAIN, row.id, **detail)
    again = [row.id for row in rows]
    if again:
        notify_outbox(connection)
        notify_messages(connection, again)
    return again


def send_again(connection: Connection, actor: str, ids: Sequence[UUID]) -> list[UUID]:
    """What dead letters named: under way or failed, it is sent again; what is settled is not."""
    given = {"ids": [str(each) for each in ids]}
    sent = [row.message_id for row in connection.execute(_SEND, given)]
    if sent:
        notify_outbox(connection)
    return [*sent, *run_again(connection, actor, ids=ids)]
