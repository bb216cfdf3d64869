"""The audit log: who read or changed what, and when. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, text

from shared.tables import audit_log


class Action(StrEnum):
    """What a row of the log says that somebody did."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a name, not a password
    USER_ADDED = "user_added"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    ROLE_CHANGED = "role_changed"
    MESSAGE_READ = "message_read"
    LISTED = "listed"  # a page of the worklist: the beginnings of these messages
    WATCHED = "watched"  # a stream of changed lines was opened, for ten minutes at most
    SEARCHED = "searched"
    WHY_ASKED = "why_asked"  # the LLM was asked for a rationale
    ACCEPTED = "accepted"  # the label that was there is right
    CORRECTED = "corrected"
    ASSIGNED = "assigned"
    DONE = "done"
    REOPENED = "reopened"
    UNDONE = "undone"
    WORKERS_PAUSED = "workers_paused"
    WORKERS_DRAINED = "workers_drained"
    WORKERS_RESUMED = "workers_resumed"
    RUN_AGAIN = "run_again"  # a message that had failed
    DEAD_LETTERS_RUN_AGAIN = "dead_letters_run_again"
    DEAD_LETTERS_DISCARDED = "dead_letters_discarded"


def soon(connection: Connection) -> None:
    """Let this transaction's rows reach the disk a moment after its commit.

    For reading, which must not wait for a disk: of the last half second before a crash of Postgres
    itself, what lists showed may be missing from the log.
    """
    connection.execute(text("SET LOCAL synchronous_commit = off"))


def record(
    connection: Connection,
    actor: str,
    action: Action,
    message_id: UUID | None = None,
    **detail: Any,
) -> int:
    """Add a row in the caller's transaction and return its id; `detail` holds no message text."""
    row: Mapping[str, Any] = {
        "actor": actor,
        "action": action.value,
        "message_id": message_id,
        "detail": detail,
    }
    statement = insert(audit_log).values(row).returning(audit_log.c.id)
    return int(connection.execute(statement).scalar_one())
