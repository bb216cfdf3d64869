"""Predicted against measured: the model is given the same arrivals and the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.capacity.fit import ServiceTimes
from bench.capacity.model import Deployment, Model, Passage
from bench.capacity.reality import Recorded
from bench.measure import median, quantile

_RUNS = 5
#: A loop that takes no longer than this over its CPU time had a core to itself.
_QUIET = 1.05


def measured(recorded: Recorded) -> dict[str, float]:
    """What a load came to in reality."""
    return _numbers(
        [
            Passage(
                came_ms=m.received_s * 1000,
                flagged=m.flagged,
                escalated=m.escalated,
                labelled_ms=m.labelled_s * 1000,
                settled_ms=m.settled_s * 1000,
            )
            for m in recorded.messages
        ]
    )


def predicted(recorded: Recorded, times: ServiceTimes, deployment: Deployment) -> dict[str, float]:
    """What the model says of the same load; medians over runs with other seeds."""
    first_s = recorded.messages[0].received_s
    arrivals = [(m.received_s - first_s) * 1000 for m in recorded.messages]
    share = sum(m.escalated for m in recorded.messages) / len(recorded.messages)
    # The loop itself wanted a core too.
    others = max(0.0, (deployment.cores or 1) * recorded.slowness - 1)
    here = replace(deployment, others=others if recorded.slowness > _QUIET else 0.0)
    runs = [
        _numbers(
            Model(
                replace(times, escalated=share),
                here,
                arrivals,
                seed=seed,
                in_burst=recorded.load.rate_per_s is None,
            )
            .run()
            .messages
        )
        for seed in range(_RUNS)
    ]
    return {name: median([run[name] for run in runs]) for name in runs[0]}


def _numbers(messages: Sequence[Passage]) -> dict[str, float]:
    labels = [m.labelled_ms - m.came_ms for m in messages]
    by_llm = [m.settled_ms - m.came_ms for m in messages if m.escalated]
    took_ms = max(m.labelled_ms for m in messages) - min(m.came_ms for m in messages)
    return {
        "label_p50_ms": quantile(labels, 0.5),
        "label_p95_ms": quantile(labels, 0.95),
        "labelled_per_s": len(messages) * 1000 / took_ms,
        "settled_by_llm_p50_ms": quantile(by_llm, 0.5),
        "settled_by_llm_p95_ms": quantile(by_llm, 0.95),
    }


def compare(
    loads: Sequence[Recorded], times: ServiceTimes, deployment: Deployment
) -> list[dict[str, Any]]:
    """A row per load and number, with the prediction's error."""
    rows = []
    for recorded in loads:
        real = measured(recorded)
        said = predicted(recorded, times, deployment)
        rows += [
            {
                "load": recorded.load.name,
                "number": name,
                "measured": real[name],
                "predicted": said[name],
                "error": said[name] / real[name] - 1,
                "slowness": recorded.slowness,
            }
            for name in real
        ]
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The comparison as Markdown."""
    lines = [
        "| load | number | measured | predicted | error | slowness |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['load']} | {r['number']} | {r['measured']:,.1f} | {r['predicted']:,.1f} | "
        f"{r['error']:+.0%} | {r['slowness']:.2f} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"
