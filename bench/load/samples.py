"""What is looked at while the load runs: memory, connections, queues; and the times afterwards."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, text

from bench.load.portal import DANGER
from shared.database import transaction
from shared.errors import StoreError

_STANDING: Final = text(
    """
    SELECT (SELECT count(*) FROM outbox) AS outbox,
           count(*) FILTER (WHERE status = 'queued') AS queued,
           count(*) FILTER (WHERE status = 'escalated') AS escalated,
           count(*) FILTER (WHERE status NOT IN ('queued', 'escalated')) AS settled,
           coalesce(extract(epoch FROM now() - min(enqueued_at)
               FILTER (WHERE status = 'queued' AND red_flags = '[]')), 0) AS fast_age_s,
           coalesce(extract(epoch FROM now() - min(enqueued_at)
               FILTER (WHERE status = 'queued' AND red_flags <> '[]')), 0) AS priority_age_s,
           coalesce(extract(epoch FROM now() - min(enqueued_at)
               FILTER (WHERE status = 'escalated')), 0) AS llm_age_s
    FROM messages
    """
)
_CONNECTIONS: Final = text(
    "SELECT application_name AS name, count(*) AS n FROM pg_stat_activity "
    "WHERE application_name LIKE 'carelane%' GROUP BY 1"
)
_TIMES: Final = text(
    """
    WITH these AS (
        SELECT m.id, m.received_at, m.settled_at, m.red_flags <> '[]' AS flagged,
               CASE WHEN m.status = 'needs_review' THEN 'person' ELSE l.tier END AS tier,
               m.text = :danger AS danger,
               (SELECT min(created_at) FROM labels f WHERE f.message_id = m.id) AS first_label
        FROM messages m LEFT JOIN labels l ON l.id = m.current_label_id
        WHERE m.received_at >= CAST(:since AS timestamptz)
    ), waits AS (
        SELECT tier AS what, extract(epoch FROM settled_at - received_at) AS s FROM these
        UNION ALL SELECT 'first label, red-flagged', extract(epoch FROM first_label - received_at)
        FROM these WHERE flagged
        UNION ALL SELECT 'first label, emergent and sent alone',
            extract(epoch FROM first_label - received_at)
        FROM these WHERE danger
        UNION ALL SELECT 'first label, others', extract(epoch FROM first_label - received_at)
        FROM these WHERE NOT flagged
    )
    SELECT what, count(s) AS messages, percentile_cont(ARRAY[0.5, 0.95, 0.99])
           WITHIN GROUP (ORDER BY s) AS s
    FROM waits WHERE s IS NOT NULL GROUP BY what ORDER BY what
    """
)


@dataclass
class Sampler:
    """Looks every so often, in a thread, until it is stopped."""

    engine: Engine
    pids: Callable[[], Mapping[str, int]]
    every_s: float
    rows: list[dict[str, Any]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin."""
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; `rows` is complete."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with suppress(StoreError):
                self.rows.append(self._look())
            if self._stop.wait(self.every_s):
                return

    def _look(self) -> dict[str, Any]:
        with transaction(self.engine) as connection:
            standing = connection.execute(_STANDING).mappings().one()
            connections = {row.name: row.n for row in connection.execute(_CONNECTIONS)}
        return {
            "at_s": round(time.monotonic() - self._started, 1),
            **{name: float(value) for name, value in standing.items()},
            "connections": connections,
            "memory_mb": {name: round(memory_mb(pid), 1) for name, pid in self.pids().items()},
        }


def memory_mb(pid: int) -> float:
    """Proportional memory of a process and all its children, so that shared pages count once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        own_kb = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(child) for each in threads for child in each.read_text().split()]
    except (OSError, StopIteration):
        return 0.0
    return own_kb / 1024 + sum(map(memory_mb, children))


def times(engine: Engine, since: str) -> list[dict[str, Any]]:
    """Seconds from accepted to label for what came since then, per tier and for the flagged."""
    with transaction(engine) as connection:
        found = connection.execute(_TIMES, {"since": since, "danger": DANGER}).all()
    return [
        {
            "what": row.what,
            "messages": row.messages,
            **dict(zip(("p50_s", "p95_s", "p99_s"), map(float, row.s), strict=True)),
        }
        for row in found
    ]


def growth(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, float]:
    """How much more there is in the last fifth of the run than in its second fifth, in medians.

    The first fifth is left out: processes warm up.
    """
    fifth = max(1, len(rows) // 5)
    early: dict[str, list[float]] = defaultdict(list)
    late: dict[str, list[float]] = defaultdict(list)
    for into, part in ((early, rows[fifth : 2 * fifth] or rows), (late, rows[-fifth:])):
        for row in part:
            for name, value in row[column].items():
                into[name].append(value)
    return {name: _middle(late[name]) - _middle(early[name]) for name in sorted(late)}


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
