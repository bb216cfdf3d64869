"""The cascade's results: a row for each variant and load, and the table of all."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.fast_tier import SHIPPED
from workers.fast_tier.manifest import read_manifest


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    load: str  # steady or burst
    messages: int
    to_llm: int  # messages that an LLM call was made for
    calls: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost_usd: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    shown_ms: float  # mean until any label is shown, a provisional one in grey included
    shown_p95_ms: float
    first_label_ms: float  # of messages that the LLM labelled: call to label, median
    before_call_ms: float  # of the same: mean from accepted to the call
    right_category: float  # of those that a machine labelled
    right_urgency: float
    to_people: int
    took_s: float


def row_of(name: str, load: str, times_ms: Sequence[float], **values: Any) -> Row:
    ordered = sorted(times_ms)
    return Row(
        name=name,
        load=load,
        messages=values.pop("messages", len(ordered)),
        mean_ms=statistics.fmean(ordered),
        p50_ms=ordered[len(ordered) // 2],
        p95_ms=ordered[int(len(ordered) * 0.95)],
        **values,
    )


def heading(count: int, took_s: float) -> str:
    """What was run, and on what."""
    manifest = read_manifest(SHIPPED)
    return (
        f"{count} messages, bundle {manifest.name} {manifest.version}; load average at the end "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; the run took {took_s / 60:.0f} "
        "minutes. The LLM is simulated.\n\n"
    )


def table(rows: Sequence[Row], rate: float) -> str:
    """The results as Markdown."""
    head = (
        "variant",
        "load",
        "messages to the LLM",
        "calls",
        "tokens in / cached / out",
        "out per message",
        "cost, USD",
        "mean / p50 / p95, ms",
        "any label shown: mean / p95, ms",
        "accepted to call, mean / call to label, median, ms",
        "category right",
        "urgency right",
        "to people",
    )
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = (
            row.name,
            f"{row.load} {rate:g}/s" if row.load == "steady" else f"burst, {row.took_s:.0f} s",
            f"{row.to_llm} of {row.messages}",
            str(row.calls),
            f"{row.tokens_in:,} / {row.tokens_cached:,} / {row.tokens_out:,}",
            f"{row.tokens_out / max(row.to_llm, 1):.1f}",
            f"{row.cost_usd:.4f}",
            f"{row.mean_ms:.0f} / {row.p50_ms:.0f} / {row.p95_ms:.0f}",
            f"{row.shown_ms:.0f} / {row.shown_p95_ms:.0f}",
            f"{row.before_call_ms:.0f} / {row.first_label_ms:.0f}",
            f"{row.right_category:.1%}",
            f"{row.right_urgency:.1%}",
            str(row.to_people),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
