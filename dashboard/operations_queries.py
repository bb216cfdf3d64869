"""What the operations page reads from Postgres: one function and one round trip each.

No patient's text is read here: the page is for people who run the system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

#: What nobody has opened yet, by urgency: the promise to the patient is about these.
_UNREAD: Final = text(
    """
    SELECT urgency_rank, count(*) AS messages,
           extract(epoch FROM now() - min(received_at)) AS oldest_s
    FROM messages WHERE status <> 'done' AND first_read_at IS NULL GROUP BY urgency_rank
    """
)

_OUTBOX: Final = text(
    """
    SELECT lane, count(*) AS messages, extract(epoch FROM now() - min(created_at)) AS oldest_s
    FROM outbox GROUP BY lane
    """
)

#: What lies in SQS or is in a worker's hands, by lane: sent, and not settled. SQS itself tells
#: only CloudWatch how old its oldest message is.
_SENT: Final = text(
    """
    SELECT CASE WHEN status = 'escalated' THEN 'llm'
                WHEN red_flags <> '[]' THEN 'priority' ELSE 'fast' END AS lane,
           count(*) AS messages,
           count(*) FILTER (WHERE lease_until >= now()) AS in_hand,
           extract(epoch FROM now() - min(enqueued_at)) AS oldest_s
    FROM messages m
    WHERE status IN ('queued', 'escalated')
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.message_id = m.id)
    GROUP BY 1
    """
)

#: Labels of the last day by hour and by who made them.
_TIER_HOURS: Final = text(
    """
    WITH made AS (
        SELECT date_trunc('hour', l.created_at) AS hour, l.tier, count(*) AS labels
        FROM messages m JOIN labels l ON l.message_id = m.id AND NOT l.provisional
        WHERE m.received_at > now() - interval '1 day' GROUP BY 1, 2
    )
    SELECT h.hour, made.tier, coalesce(made.labels, 0) AS labels
    FROM generate_series(date_trunc('hour', now()) - interval '23 hours',
                         date_trunc('hour', now()), interval '1 hour') AS h (hour)
    LEFT JOIN made ON made.hour = h.hour ORDER BY h.hour
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

#: Calls to portals: what is due, and what was given up in the last day.
_WEBHOOKS: Final = text(
    """
    SELECT w.id, w.source, w.disabled_reason,
           (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id
              AND d.delivered_at IS NULL AND d.failed_at IS NULL) AS due,
           (SELECT extract(epoch FROM now() - min(d.created_at)) FROM webhook_deliveries d
            WHERE d.webhook_id = w.id AND d.delivered_at IS NULL AND d.failed_at IS NULL)
              AS oldest_s,
           (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id
              AND d.failed_at > now() - interval '1 day') AS failed,
           (SELECT d.outcome FROM webhook_deliveries d WHERE d.webhook_id = w.id
              AND d.delivered_at IS NULL AND d.outcome IS NOT NULL
            ORDER BY d.id DESC LIMIT 1) AS last_failure
    FROM webhooks w ORDER BY w.source, w.id LIMIT 100
    """
)

_GATE: Final = text(
    """
    SELECT coalesce(bool_or(open_until > now()), false) AS open, max(reason) AS reason,
           (SELECT coalesce(sum(cost_usd), 0) FROM llm_calls
            WHERE created_at >= date_trunc('day', now())) AS spent_today_usd
    FROM llm_gate
    """
)

#: How often the LLM contradicts the small model's sure labels.
_CHECKS: Final = text(
    """
    SELECT model_version, count(*) AS checks,
           count(*) FILTER (WHERE category <> llm_category OR urgency <> llm_urgency) AS against
    FROM label_checks
    WHERE checked_at > now() - interval '28 days' AND model_version =
        (SELECT model_version FROM label_checks ORDER BY id DESC LIMIT 1)
    GROUP BY model_version
    """
)

_WORKERS: Final = text(
    """
    SELECT id, lane, host, pid, model_version, started_at, heartbeat_at, polled_at, state,
           in_hand,
           extract(epoch FROM now() - heartbeat_at) AS silent_s,
           extract(epoch FROM now() - polled_at) AS polled_s
    FROM workers WHERE heartbeat_at > now() - interval '1 hour'
    ORDER BY lane, started_at LIMIT 200
    """
)

#: What tiers and workers are told.
_ORDERS: Final = text("SELECT target, wanted, actor, created_at FROM worker_orders ORDER BY target")

_ALL: Final[Mapping[str, Any]] = {
    "minutes": _PER_MINUTE,
    "waiting": _WAITING,
    "unread": _UNREAD,
    "outbox": _OUTBOX,
    "sent": _SENT,
    "tiers": _TIERS,
    "tier_hours": _TIER_HOURS,
    "hours": _LLM_HOURS,
    "outcomes": _LLM_OUTCOMES,
    "failures": _FAILURES,
    "workers": _WORKERS,
    "orders": _ORDERS,
    "webhooks": _WEBHOOKS,
    "gate": _GATE,
    "checks": _CHECKS,
}

#: What tells how the system stands now: cheap enough to be read every few seconds.
STANDING: Final = (
    "waiting",
    "unread",
    "outbox",
    "sent",
    "failures",
    "workers",
    "webhooks",
    "gate",
)

Found = Mapping[str, Sequence[RowMapping]]


def read(connection: Connection, names: Iterable[str] = tuple(_ALL)) -> Found:
    """Tables of the page by name; all of them unless told which."""
    return {name: connection.execute(_ALL[name]).mappings().all() for name in names}
