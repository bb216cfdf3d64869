"""The page for those who run Carelane: queues, rates, latency, tiers, spend, workers, failures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from flask import Blueprint, render_template
from sqlalchemy import RowMapping

from dashboard import operations_queries, scale
from dashboard.charts import Chart, chart
from dashboard.context import context
from dashboard.operations_queries import Found
from dashboard.permissions import Access, asks
from dashboard.rows import utc_now
from shared.contracts import Lane, Tier
from shared.database import transaction

blueprint = Blueprint("operations", __name__)


@blueprint.get("/operations")
@asks(Access.OPERATIONS)
def index() -> str:
    """Everything on one page; htmx reads it again every ten seconds."""
    shared = context()
    depths = shared.depths.last()
    with transaction(shared.engine) as connection:
        found = operations_queries.read(connection)
        wanted = scale.advice(connection, shared.settings)
    return render_template(
        "operations.html",
        found=found,
        charts=_charts(found),
        totals=_totals(found),
        waiting={row["status"]: row for row in found["waiting"]},
        outbox={row["lane"]: row for row in found["outbox"]},
        sent={row["lane"]: row for row in found["sent"]},
        check=found["checks"][0] if found["checks"] else None,
        gate=found["gate"][0],
        wanted={each.load.tier: each for each in wanted},
        told={row["target"]: row for row in found["orders"]},
        budget_usd=shared.settings.llm_daily_budget_usd,
        depths=depths,
        lanes=list(Lane),
        broker_is_sqs=shared.settings.broker_url is None,
        now=utc_now(),
        viewers=shared.hub.viewers,
    )


def _charts(found: Found) -> list[Chart]:
    minutes, hours = found["minutes"], found["hours"]
    hour = {"start": "60 min ago", "end": "now"}
    day = {"start": "24 h ago", "end": "now"}

    def column(rows: Sequence[RowMapping], name: str) -> list[float | None]:
        return [None if row[name] is None else float(row[name]) for row in rows]

    return [
        chart(
            "Messages a minute",
            {
                "came in": ("bars", "c-quiet", column(minutes, "came")),
                "settled": ("line", "c-main", column(minutes, "settled")),
            },
            unit="",
            **hour,
        ),
        chart(
            "From accepted to settled",
            {
                "median": ("line", "c-main", column(minutes, "p50_s")),
                "95th percentile": ("line", "c-warn", column(minutes, "p95_s")),
            },
            unit="s",
            **hour,
        ),
        chart(
            "Messages under way",
            {"queued or escalated": ("line", "c-main", _under_way(found))},
            unit="",
            **hour,
        ),
        chart(
            "Labels an hour, by tier",
            {
                name: ("line", style, _labels_by_hour(found, tier))
                for tier, (name, style) in _TIER_LINES.items()
            },
            unit="",
            **day,
        ),
        chart(
            "From the cache",
            {"share of labels": ("bars", "c-main", _cache_share(found))},
            unit="%",
            **day,
        ),
        chart(
            "LLM calls an hour",
            {"calls": ("bars", "c-main", column(hours, "calls"))},
            unit="",
            **day,
        ),
        chart(
            "LLM spend an hour",
            {"spend": ("bars", "c-main", column(hours, "cost_usd"))},
            unit="USD",
            **day,
        ),
    ]


#: Name and style of a tier's line.
_TIER_LINES: Final = {
    Tier.FAST: ("fast model", "c-main"),
    Tier.LLM: ("LLM", "c-warn"),
    Tier.CACHE: ("cache", "c-quiet"),
    Tier.HUMAN: ("a person", "c-ink"),
}


def _under_way(found: Found) -> list[float | None]:
    """How many waited for a label at each minute: counted back from how many do now."""
    now = sum(row["messages"] for row in found["waiting"] if row["status"] != "needs_review")
    counts: list[float | None] = []
    for row in reversed(found["minutes"]):
        counts.append(max(0.0, float(now)))
        now += row["settled"] - row["came"]
    return counts[::-1]


def _labels_by_hour(found: Found, tier: str | None = None) -> list[float | None]:
    """Labels of each hour; of the machine's tiers together without `tier`."""
    hours: dict[datetime, float | None] = {}
    for row in found["tier_hours"]:
        wanted = row["tier"] == tier if tier else row["tier"] != Tier.HUMAN.value
        hours[row["hour"]] = (hours.get(row["hour"]) or 0) + (row["labels"] if wanted else 0)
    return list(hours.values())


def _cache_share(found: Found) -> list[float | None]:
    cached = _labels_by_hour(found, Tier.CACHE.value)
    return [_share(c or 0, a or 0) for c, a in zip(cached, _labels_by_hour(found), strict=True)]


def _totals(found: Found) -> dict[str, Any]:
    tiers = {row["tier"]: row for row in found["tiers"]}
    machine = [row["labels"] for tier, row in tiers.items() if tier != "human"]
    hours = found["hours"]
    calls = sum(row["calls"] for row in hours)
    prompt_tokens = sum(row["prompt_tokens"] for row in hours)
    return {
        "labels": sum(machine),
        "cache_share": _share(tiers["cache"]["labels"] if "cache" in tiers else 0, sum(machine)),
        "spend_usd": float(sum(row["cost_usd"] for row in hours)),
        "calls": calls,
        "per_call": _ratio(sum(row["messages"] for row in hours), calls),
        "cached_tokens": _share(sum(row["cached_tokens"] for row in hours), prompt_tokens),
        "failed_calls": sum(row["calls"] for row in found["outcomes"] if row["outcome"] != "ok"),
        "came": sum(row["came"] for row in found["minutes"]),
    }


def _share(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
