"""`carelane trace`: all that is known about the way of one message, in the order of time.

From Postgres (when it came in, its labels, calls to the LLM and to portals, who read and decided)
and, where log files are given, every line of any process that names the message. No text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click
from sqlalchemy import Connection, text

from shared.database import make_engine, transaction
from shared.errors import InvalidInput
from shared.settings import Settings

_STANDING: Final = text(
    """
    SELECT status, status_reason, source, received_at, enqueued_at, settled_at, first_read_at,
           reviewed_at, rerun_at, reruns, attempts, lease_owner, lease_until, trace_parent,
           red_flags <> '[]' AS flagged,
           EXISTS (SELECT FROM outbox o WHERE o.message_id = messages.id) AS in_outbox
    FROM messages WHERE id = :id
    """
)
_STEPS: Final = text(
    """
    SELECT l.created_at AS at,
           CASE l.tier WHEN 'human' THEN 'dashboard' ELSE 'worker' END AS process,
           CASE WHEN l.provisional THEN 'provisional label' ELSE 'label' END AS event,
           jsonb_build_object('by', coalesce(l.author, l.tier), 'urgency', l.urgency,
               'categories', l.categories, 'latency_ms', round(l.latency_ms::numeric, 1),
               'reasons', l.reasons, 'model', l.model_version, 'llm_call', l.llm_call_id) AS detail
    FROM labels l WHERE l.message_id = :id
    UNION ALL
    SELECT a.created_at, 'dashboard', a.action, jsonb_build_object('by', a.actor)
    FROM audit_log a WHERE a.message_id = :id
    UNION ALL
    SELECT coalesce(d.delivered_at, d.failed_at, d.created_at), 'webhooks',
           CASE WHEN d.delivered_at IS NOT NULL THEN 'portal called'
                WHEN d.failed_at IS NOT NULL THEN 'call to portal given up'
                ELSE 'call to portal due' END,
           jsonb_build_object('webhook', d.webhook_id, 'attempts', d.attempts, 'outcome', d.outcome)
    FROM webhook_deliveries d WHERE d.message_id = :id
    ORDER BY 1
    """
)
#: A line of a log longer than this is none of ours.
_LONGEST_LINE: Final = 100_000
_QUIET_KEYS: Final = frozenset({"time", "process", "event", "logger", "message_ids", "message_id"})


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that happened to the message."""

    at: datetime
    process: str
    event: str
    detail: str


def steps(connection: Connection, message_id: UUID) -> list[Step]:
    """What Postgres knows.

    Raises:
        InvalidInput: there is no such message.
    """
    row = connection.execute(_STANDING, {"id": message_id}).mappings().one_or_none()
    if row is None:
        raise InvalidInput(f"there is no message {message_id}")
    found = [
        Step(
            at=row["received_at"],
            process="intake",
            event="accepted",
            detail=_said({"source": row["source"], "flagged": row["flagged"]}),
        )
    ]
    for name, event in (("first_read_at", "first read"), ("rerun_at", "run again")):
        if row[name] is not None:
            detail = _said({"times": row["reruns"]}) if name == "rerun_at" else ""
            found.append(Step(at=row[name], process="dashboard", event=event, detail=detail))
    found.extend(
        Step(
            at=row["at"],
            process=row["process"],
            event=row["event"],
            detail=_said(row["detail"]),
        )
        for row in connection.execute(_STEPS, {"id": message_id}).mappings()
    )
    return found


def standing(connection: Connection, message_id: UUID) -> str:
    """How the message stands now, in one line."""
    row = connection.execute(_STANDING, {"id": message_id}).mappings().one()
    said: dict[str, Any] = {
        "status": row["status"],
        "reason": row["status_reason"],
        "attempts": row["attempts"],
        "in_outbox": row["in_outbox"] or None,
        "enqueued_at": row["enqueued_at"].isoformat(timespec="milliseconds"),
        "held_by": row["lease_owner"],
        "trace": (row["trace_parent"] or "").split("-")[1:2],
    }
    return _said(said)


def logged(message_id: UUID, paths: Iterable[Path]) -> Iterator[Step]:
    """Lines of log files, or of all `*.log*` in folders, that name the message."""
    needle = str(message_id)
    for path in paths:
        files = sorted(path.glob("*.log*")) if path.is_dir() else [path]
        for file in files:
            with file.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if needle in line and (step := _step(line)) is not None:
                        yield step


def _step(line: str) -> Step | None:
    try:
        found = json.loads(line[:_LONGEST_LINE])
        at = datetime.fromisoformat(found["time"])
    except (ValueError, KeyError, TypeError):
        return None
    extras = {key: value for key, value in found.items() if key not in _QUIET_KEYS}
    return Step(
        at=at,
        process=str(found.get("process", "?")),
        event=f"log: {found.get('event', '')}",
        detail=_said(extras),
    )


def _said(detail: Any) -> str:
    def word(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    return " ".join(f"{k}={word(v)}" for k, v in detail.items() if v not in (None, "", []))


@click.command("trace")
@click.argument("message_id", type=click.UUID)
@click.option(
    "--logs",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A log file or a folder of them; may be given several times. `make run`: .carelane/logs.",
)
def command(message_id: UUID, paths: tuple[Path, ...]) -> None:
    """Tell the way of one message through all processes; none of its text."""
    engine = make_engine(Settings.from_env(os.environ), "carelane trace", pool_size=1)
    with transaction(engine) as connection:
        found = steps(connection, message_id)
        now = standing(connection, message_id)
    found += logged(message_id, paths)
    found.sort(key=lambda each: each.at)
    began = found[0].at
    for each in found:
        after_s = (each.at - began).total_seconds()
        click.echo(
            f"{each.at:%Y-%m-%d %H:%M:%S}.{each.at.microsecond // 1000:03d}  "
            f"{after_s:+10.3f} s  {each.process:13} {each.event}  {each.detail}".rstrip()
        )
    click.echo(f"now: {now}")
