"""How many workers each tier wants: from what waits, what comes in, and how fast one works.

Little's law with some room: enough workers for what comes in, and for what waits to be gone in
time. Pure but for `load`; the numbers come from the last minutes, so ask again after a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from shared.settings import Settings

#: Share of its time that a worker is meant to be busy: the rest is for bursts.
_BUSY: Final = 0.7
#: A message of the fast tier costs this beside the model: claim, settle and acknowledgement.
_FAST_OVERHEAD_S: Final = 0.0025
#: Until there are measurements.
_FAST_S: Final = 0.010
_LLM_CALL_S: Final = 2.5
#: Within which a backlog should be gone.
_DRAIN_S: Final = {"fast": 60.0, "llm": 300.0}
_SILENT_S: Final = 30.0

_LOAD: Final = text(
    """
    WITH came AS (
        SELECT count(*) AS fast, count(provisional_label_id) AS llm
        FROM messages WHERE received_at > now() - interval '5 minutes'
    ), waiting AS (
        SELECT CASE status WHEN 'escalated' THEN 'llm' ELSE 'fast' END AS tier,
               count(*) AS messages,
               count(*) FILTER (WHERE lease_until >= now()) AS in_hand,
               extract(epoch FROM now() - min(enqueued_at)) AS oldest_s
        FROM messages WHERE status IN ('queued', 'escalated') GROUP BY 1
    ), calls AS (
        SELECT avg(latency_ms) / 1000 AS call_s, sum(messages) / count(*)::float AS per_call
        FROM llm_calls WHERE created_at > now() - interval '1 hour' AND outcome = 'ok'
    ), model AS (
        SELECT avg(l.latency_ms) / 1000 AS model_s
        FROM (SELECT id FROM messages ORDER BY received_at DESC LIMIT 500) AS m
        JOIN labels l ON l.message_id = m.id AND l.tier = 'fast'
    )
    SELECT tier, CASE tier WHEN 'llm' THEN came.llm ELSE came.fast END / 300.0 AS arrival_per_s,
           coalesce(w.messages, 0) AS backlog, coalesce(w.in_hand, 0) AS in_hand,
           coalesce(w.oldest_s, 0) AS oldest_s, calls.call_s, calls.per_call, model.model_s,
           (SELECT count(*) FROM workers x WHERE x.lane = tier
              AND x.heartbeat_at > now() - make_interval(secs => :silent_s)) AS alive
    FROM came, calls, model, (VALUES ('fast'), ('llm')) AS t (tier)
    LEFT JOIN waiting w USING (tier) ORDER BY tier
    """
)


@dataclass(frozen=True, kw_only=True)
class Load:
    """One tier's work as it stands."""

    tier: str
    arrival_per_s: float
    backlog: int  # messages without a label, those in hand included
    in_hand: int
    oldest_s: float
    alive: int  # workers
    per_worker_per_s: float  # messages that one worker labels when it is busy
    most: int | None = None  # beyond so many, workers would wait for a rate limit


@dataclass(frozen=True, kw_only=True)
class Advice:
    """How many workers, and why."""

    load: Load
    wanted: int
    why: str


def advise(load: Load) -> Advice:
    """Workers for what comes in, and for what waits to be gone in time."""
    drain_s = _DRAIN_S[load.tier]
    late = load.oldest_s > drain_s
    if late:
        drain_s /= 2
    needed_per_s = load.arrival_per_s + load.backlog / drain_s
    wanted = max(1, math.ceil(needed_per_s / (load.per_worker_per_s * _BUSY)))
    why = (
        f"{load.arrival_per_s:.2f}/s come in, {load.backlog} wait and should be gone in "
        f"{drain_s:.0f} s, one worker does {load.per_worker_per_s:.1f}/s"
    )
    if late:
        why += f"; the oldest waits {load.oldest_s:.0f} s"
    if load.most is not None and wanted > load.most:
        return Advice(load=load, wanted=load.most, why=f"{why}; more would wait for the rate limit")
    return Advice(load=load, wanted=wanted, why=why)


def load(connection: Connection, settings: Settings) -> list[Load]:
    """What each tier has to do, and can."""
    rows = connection.execute(_LOAD, {"silent_s": _SILENT_S}).mappings().all()
    found = []
    for row in rows:
        call_s = float(row["call_s"] or _LLM_CALL_S)
        if row["tier"] == "llm":
            calls_per_s = settings.llm_concurrency / max(call_s, 0.001)
            per_worker = calls_per_s * float(row["per_call"] or 1.0)
            rate = settings.llm_requests_per_minute / 60
            most = max(1, math.ceil(rate / calls_per_s)) if rate else None
        else:
            model_s = float(row["model_s"] or _FAST_S)
            per_worker, most = 1 / (model_s + _FAST_OVERHEAD_S), None
        found.append(
            Load(
                tier=row["tier"],
                arrival_per_s=float(row["arrival_per_s"]),
                backlog=row["backlog"],
                in_hand=row["in_hand"],
                oldest_s=float(row["oldest_s"]),
                alive=row["alive"],
                per_worker_per_s=per_worker,
                most=most,
            )
        )
    return found


def advice(connection: Connection, settings: Settings) -> list[Advice]:
    """For each tier."""
    return [advise(each) for each in load(connection, settings)]
