"""The report of a bundle: one HTML page that stands alone, and the same figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from shared.contracts import Urgency
from training import plots
from training.evaluate import (
    Judged,
    class_table,
    confusions,
    headline,
    intervals,
    slices,
    worst,
)

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;
color:#1e293b}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #e2e8f0}td:first-child,th:first-child,td.text{text-align:left}
h2{margin-top:2.2rem}.plots{display:flex;flex-wrap:wrap;gap:1rem}
.plots svg{max-width:100%;height:auto}
.no{color:#b91c1c}.yes{color:#0f766e}td.text{max-width:36rem;white-space:pre-wrap;font-size:13px}
"""


def collect(judged: Judged, about: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure, as plain data."""
    a = judged.arrays()
    urgencies = [str(u) for u in Urgency]
    return {
        "about": dict(about),
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "headline": headline(a),
        "intervals": intervals(a),
        "categories": class_table(a.category_truth, a.category.argmax(1), judged.names),
        "urgencies": class_table(a.urgency_truth, a.urgency.argmax(1), urgencies),
        "confusions": confusions(a),
        "slices": slices(judged),
        "escalation_reasons": _reasons(judged),
        "worst": worst(judged),
    }


def _reasons(judged: Judged) -> dict[str, int]:
    counts: dict[str, int] = {}
    for decision in judged.decisions:
        for reason in decision.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def write(folder: Path, judged: Judged, about: Mapping[str, Any], stem: str = "report") -> Path:
    """report.json and report.html in a folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    data = collect(judged, about)
    (folder / f"{stem}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False), "utf-8")
    page = folder / f"{stem}.html"
    page.write_text(_page(data, judged), "utf-8")
    return page


def _page(data: Mapping[str, Any], judged: Judged) -> str:
    a = judged.arrays()
    urgencies = [str(u) for u in Urgency]
    category_right = a.category.argmax(1) == a.category_truth
    urgency_right = a.urgency.argmax(1) == a.urgency_truth
    pictures = [
        plots.reliability(a.category.max(1), category_right, "Calibration: category"),
        plots.reliability(a.urgency.max(1), urgency_right, "Calibration: urgency"),
        plots.risk_coverage(a.joint, a.wrong, a.accepted),
        plots.confusion(data["confusions"]["category"], judged.names, "Primary category"),
        plots.confusion(data["confusions"]["urgency"], urgencies, "Urgency"),
    ]
    title = f"{data['about'].get('bundle', 'bundle')} on {data['about'].get('file', 'messages')}"
    return "\n".join(
        [
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>",
            f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
            f"<p>Written {escape(data['written_at'])} UTC. Intervals are 95 %, by bootstrap.</p>",
            "<h2>Headline</h2>",
            _headline(data),
            f"<div class=plots>{''.join(pictures)}</div>",
            "<h2>Categories</h2>",
            _classes(data["categories"]),
            "<h2>Urgencies</h2>",
            _classes(data["urgencies"]),
            "<h2>Slices</h2>",
            _slices(data["slices"]),
            "<h2>Why messages were escalated</h2>",
            _table(("reason", "messages"), list(data["escalation_reasons"].items())),
            "<h2>Worst errors</h2><p>Accepted ones first, then by confidence.</p>",
            _worst(data["worst"]),
            "</html>",
        ]
    )


def _headline(data: Mapping[str, Any]) -> str:
    rows = []
    for name, value in data["headline"].items():
        low_high = data["intervals"].get(name)
        reach = f"{low_high[0]:.3f} – {low_high[1]:.3f}" if low_high else ""
        rows.append((name.replace("_", " "), _number(value), reach))
    return _table(("figure", "value", "interval"), rows)


def _classes(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ("class", "precision", "recall", "F1", "interval of F1", "messages"),
        [
            (
                r["name"],
                _number(r["precision"]),
                _number(r["recall"]),
                _number(r["f1"]),
                f"{r['f1_interval'][0]:.3f} – {r['f1_interval'][1]:.3f}",
                r["support"],
            )
            for r in rows
        ],
    )


def _slices(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = (
        "n", "category_accuracy", "urgency_accuracy", "emergent", "emergent_recall_argmax",
        "emergent_recall_tier", "both_right", "accepted_share", "accepted_wrong",
    )  # fmt: skip
    heads = ("slice", *(c.replace("_", " ") for c in columns))
    return _table(heads, [(r["slice"], *(_number(r[c]) for c in columns)) for r in rows])


def _worst(rows: Sequence[Mapping[str, Any]]) -> str:
    body = "".join(
        f"<tr><td>{escape(r['id'])}</td><td class=text>{escape(r['text'])}</td>"
        f"<td>{escape(r['truth'])}</td><td>{escape(r['said'])}</td><td>{r['confidence']:.2f}</td>"
        f"<td class={'no' if r['accepted'] else 'yes'}>"
        f"{'accepted' if r['accepted'] else escape(', '.join(r['reasons']))}</td></tr>"
        for r in rows
    )
    heads = ("id", "text", "truth", "said", "confidence", "routing")
    return f"<table><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>{body}</table>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
