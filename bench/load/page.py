"""The result as a page of its own, with plots, and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 720
_HEIGHT: Final = 150
_COLOURS: Final = ("#1b6ca8", "#c8553d", "#588b3a", "#8a5a9e", "#b8860b", "#4a4a4a", "#2a9d8f")
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid "
    "#ddd;text-align:right}td:first-child,th:first-child{text-align:left}svg{background:#fafafa}"
)


def markdown(result: Mapping[str, Any]) -> str:
    """The numbers of all phases."""
    parts = [f"# Load, {result['started_at']}", ""]
    for phase in result["phases"]:
        taken = (
            f"{phase['accepted']:,} accepted in {phase['accepted_in_s']:.0f} s, all settled after "
            f"{phase['settled_in_s']:.0f} s: {phase['per_s']:.1f} a second. "
            f"Answers: {_listed(phase['answers'])}. Lost: {phase['lost']}."
        )
        grown = (
            "Last fifth against second fifth: memory in MB "
            f"{_listed(phase['memory_growth_mb'])}; connections "
            f"{_listed(phase['connection_growth'])}."
        )
        parts += [
            f"## {phase['name']}",
            "",
            taken,
            "",
            "| accepted to | messages | p50 | p95 | p99 |",
            "| --- | --: | --: | --: | --: |",
            *(
                f"| {row['what']} | {row['messages']:,} | {row['p50_s']:.2f} s | "
                f"{row['p95_s']:.2f} s | {row['p99_s']:.2f} s |"
                for row in phase["times"]
            ),
            "",
            grown,
            "",
        ]
    return "\n".join(parts)


def html(result: Mapping[str, Any]) -> str:
    """A page that needs nothing else."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Carelane under load</title>",
        f"<style>{_STYLE}</style><h1>Carelane under load</h1>",
        f"<p>{escape(result['started_at'])} · {escape(_listed(result['options']))}</p>",
    ]
    for phase in result["phases"]:
        parts += [f"<h2>{escape(phase['name'])}</h2>", _table(phase)]
        rows = phase["samples"]
        plots: list[tuple[str, Mapping[str, Sequence[float]]]] = [
            ("Waiting messages", _columns(rows, "outbox", "queued", "escalated")),
            (
                "Age of the oldest, in s",
                _columns(rows, "fast_age_s", "priority_age_s", "llm_age_s"),
            ),
            ("Settled messages", _columns(rows, "settled")),
            ("Memory, in MB", _nested(rows, "memory_mb")),
            ("Database connections", _nested(rows, "connections")),
        ]
        times_s = [row["at_s"] for row in rows]
        parts += [_plot(title, times_s, lines) for title, lines in plots]
    return "\n".join(parts) + "\n"


def _listed(values: Mapping[str, Any]) -> str:
    def said(value: Any) -> str:
        return f"{value:.1f}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name} {said(value)}" for name, value in values.items()) or "none"


def _table(phase: Mapping[str, Any]) -> str:
    cells = [
        f"<tr><td>{escape(row['what'])}<td>{row['messages']:,}<td>{row['p50_s']:.2f}"
        f"<td>{row['p95_s']:.2f}<td>{row['p99_s']:.2f}"
        for row in phase["times"]
    ]
    return (
        f"<p>{phase['accepted']:,} accepted in {phase['accepted_in_s']:.0f} s, settled after "
        f"{phase['settled_in_s']:.0f} s; {phase['per_s']:.1f} a second. Answers: "
        f"{escape(_listed(phase['answers']))}. Lost: {phase['lost']}.</p><table><tr><th>accepted to"
        "<th>messages<th>p50, s<th>p95, s<th>p99, s" + "".join(cells) + "</table>"
    )


def _columns(rows: Sequence[Mapping[str, Any]], *names: str) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in names}


def _nested(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, list[float]]:
    names = sorted({name for row in rows for name in row[column]})
    return {name: [row[column].get(name, 0.0) for row in rows] for name in names}


def _plot(title: str, times_s: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    top = max((value for line in lines.values() for value in line), default=0.0) or 1.0
    long_s = max(times_s, default=0.0) or 1.0
    drawn = []
    for number, values in enumerate(lines.values()):
        points = " ".join(
            f"{at * _WIDTH / long_s:.1f},{_HEIGHT - value * (_HEIGHT - 10) / top:.1f}"
            for at, value in zip(times_s, values, strict=True)
        )
        colour = _COLOURS[number % len(_COLOURS)]
        drawn.append(f'<polyline fill=none stroke="{colour}" stroke-width=2 points="{points}"/>')
    names = " · ".join(
        f'<span style="color:{_COLOURS[number % len(_COLOURS)]}">{escape(name)}</span>'
        for number, name in enumerate(lines)
    )
    return (
        f"<h3>{escape(title)}</h3><svg viewBox='0 0 {_WIDTH} {_HEIGHT}' width={_WIDTH} "
        f"height={_HEIGHT} role=img aria-label='{escape(title)}'>{''.join(drawn)}</svg>"
        f"<div>0 to {long_s:.0f} s, top {top:,.0f}: {names}</div>"
    )
