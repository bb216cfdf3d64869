"""The numbers above the worklist, counted once per process and shared by all viewers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping

from dashboard.words import span_words
from shared.contracts import PROCESSING, Status, Urgency
from shared.taxonomy import Taxonomy

#: "show:open" -> 42, "urgency:urgent" -> 6, "assignee:ada" -> 3 ...
Counts = Mapping[str, int]


def count(rows: Sequence[RowMapping], taxonomy: Taxonomy) -> Counts:
    """Add up the rows of queries.facets under the names that the page uses."""
    pool_of = {category.name: category.pool for category in taxonomy.categories}
    found: Counter[str] = Counter()
    for row in rows:
        for key in _keys(row, pool_of):
            found[key] += row["messages"]
    return found


def _keys(row: RowMapping, pool_of: Mapping[str, str]) -> list[str]:
    status = Status(row["status"])
    keys = ["show:open", f"urgency:{tuple(Urgency)[row['urgency_rank']]}"]
    keys.append(f"show:{'processing' if status in PROCESSING else status}")
    if row["unread"]:
        keys.append("unread")
    if row["assignee"]:
        keys.append(f"assignee:{row['assignee']}")
    categories = row["categories"] or []
    keys += [f"category:{name}" for name in categories]
    pool = row["pool"] or (pool_of.get(categories[0]) if categories else None)
    if pool:
        keys.append(f"pool:{pool}")
    return keys


def first_read(rows: Sequence[RowMapping], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Time to first read by urgency, in words, against the target."""
    by_rank = {row["urgency_rank"]: row for row in rows}
    found = []
    for level in taxonomy.urgencies:
        row = by_rank.get(level.name.rank)
        median = timedelta(seconds=row["median_s"]) if row and row["median_s"] is not None else None
        target = timedelta(minutes=level.target_minutes)
        found.append(
            {
                "urgency": level.name.value,
                "title": level.title,
                "median": span_words(median) if median is not None else None,
                "late": median is not None and median > target,
                "target": span_words(target),
                "read": row["read"] if row else 0,
                "messages": row["messages"] if row else 0,
            }
        )
    return found
