"""What the operations page reads from Postgres: one function and one round trip each.

No patient's text is read here: the page is for people who run the system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

#: The last hour in minutes, with a row for every minute whether something happened or not.
_PER_MINUTE: Final = text(
    """
    WITH minutes AS (
        SELECT generate_series(date_trunc('minute', now()) - interval '59 minutes',
                               date_trunc('minute', now()), interval '1 minute') AS minute
    ), came AS (
        SELECT date_trunc('minute', received_at) AS minute, count(*) AS messages
        FROM messages WHERE received_at > now() - interval '61 minutes' GROUP BY 1
    ), settled AS (
        SELECT date_trunc('minute', settled_at) AS minute, count(*) AS messages,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS p50_s,
               percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95_s
        FROM (
            SELECT settled_at, extract(epoch FROM settled_at - received_at) AS seconds
            FROM messages
            -- What is settled in the last hour and came a day before is not a question of speed.
            WHERE received_at > now() - interval '1 day'
              AND settled_at > now() - interval '61 minutes'
        ) AS recent GROUP BY 1
    )
    SELECT minutes.minute, coalesce(came.messages, 0) AS came,
           coalesce(settled.messages, 0) AS settled, settled.p50_s, settled.p95_s
    FROM minutes LEFT JOIN came USING (minute) LEFT JOIN settled USING (minute)
    ORDER BY minutes.minute
    """
)

_WAITING: Final = text(
    """
    SELECT status, count(*) AS messages,
           extract(epoch FROM now() - min(received_at)) AS oldest_s
    FROM messages WHERE status IN ('queued', 'escalated', 'needs_review') GROUP BY status
    """
)

_OUTBOX: Final = text(
    """
    SELECT lane, count(*) AS messages, extract(epoch FROM now() - min(created_at)) AS oldest_s
    FROM outbox GROUP BY lane
    """
)

#: Labels of the last day by who made them: how many, and how long the tier itself took.
_TIERS: Final = text(
    """
    SELECT tier, count(*) AS labels,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_ms,
           sum(cost_usd) AS cost_usd
    FROM labels
    WHERE NOT provisional
      AND message_id IN (SELECT id FROM messages WHERE received_at > now() - interval '1 day')
    GROUP BY tier
    """
)

_LLM_HOURS: Final = text(
    """
    WITH hours AS (
        SELECT generate_series(date_trunc('hour', now()) - interval '23 hours',
                               date_trunc('hour', now()), interval '1 hour') AS hour
    )
    SELECT hours.hour, count(c.id) AS calls, coalesce(sum(c.cost_usd), 0) AS cost_usd,
           coalesce(sum(c.messages), 0) AS messages,
           coalesce(sum(c.prompt_tokens), 0) AS prompt_tokens,
           coalesce(sum(c.cached_tokens), 0) AS cached_tokens,
           coalesce(sum(c.completion_tokens), 0) AS completion_tokens
    FROM hours LEFT JOIN llm_calls c ON date_trunc('hour', c.created_at) = hours.hour
         AND c.created_at > now() - interval '24 hours'
    GROUP BY hours.hour ORDER BY hours.hour
    """
)

_LLM_OUTCOMES: Final = text(
    """
    SELECT outcome, count(*) AS calls,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_ms
    FROM llm_calls WHERE created_at > now() - interval '1 day'
    GROUP BY outcome ORDER BY calls DESC
    """
)

_FAILURES: Final = text(
    """
    SELECT status_reason AS reason, count(*) AS messages
    FROM messages WHERE status = 'needs_review' GROUP BY 1 ORDER BY 2 DESC LIMIT 12
    """
)

_WORKERS: Final = text(
    """
    SELECT id, lane, host, pid, model_version, started_at, heartbeat_at, polled_at,
           extract(epoch FROM now() - heartbeat_at) AS silent_s,
           extract(epoch FROM now() - polled_at) AS polled_s
    FROM workers WHERE heartbeat_at > now() - interval '1 hour'
    ORDER BY lane, started_at LIMIT 200
    """
)

_ALL: Final[Mapping[str, Any]] = {
    "minutes": _PER_MINUTE,
    "waiting": _WAITING,
    "outbox": _OUTBOX,
    "tiers": _TIERS,
    "hours": _LLM_HOURS,
    "outcomes": _LLM_OUTCOMES,
    "failures": _FAILURES,
    "workers": _WORKERS,
}


def read_all(connection: Connection) -> dict[str, Sequence[RowMapping]]:
    """Every table of the page, by name."""
    return {name: connection.execute(query).mappings().all() for name, query in _ALL.items()}
