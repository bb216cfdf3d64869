"""Plots of the report, as SVG text to stand inside the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from training.metrics import Bools, Floats

mpl.use("svg")

from matplotlib.figure import Figure

_INK, _ACCENT, _WARN = "#334155", "#0f766e", "#b91c1c"


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _axes(width: float = 4.2, height: float = 3.4) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def reliability(confidence: Floats, right: Bools, title: str, bins: int = 10) -> str:
    """Accuracy over confidence, with the count of each bin."""
    figure, axes = _axes()
    where = np.clip((confidence * bins).astype(int), 0, bins - 1)
    seen = [b for b in range(bins) if (where == b).any()]
    x = [float(confidence[where == b].mean()) for b in seen]
    y = [float(right[where == b].mean()) for b in seen]
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle="--")
    axes.plot(x, y, color=_ACCENT, marker="o", markersize=4)
    for b, px, py in zip(seen, x, y, strict=True):
        axes.annotate(str(int((where == b).sum())), (px, py), fontsize=7, color=_INK)
    axes.set(xlabel="confidence", ylabel="share right", title=title, xlim=(0, 1), ylim=(0, 1.03))
    return _svg(figure)


def risk_coverage(joint: Floats, wrong: Bools, accepted: Bools, risk: float = 0.05) -> str:
    """Share wrong among the most confident, and where the bundle stands."""
    figure, axes = _axes(5.2)
    order = np.argsort(-joint, kind="stable")
    n = np.arange(1, len(order) + 1)
    axes.plot(n / len(n), np.cumsum(wrong[order]) / n, color=_ACCENT)
    axes.axhline(risk, color=_INK, linewidth=0.8, linestyle="--")
    if accepted.any():
        axes.plot([accepted.mean()], [wrong[accepted].mean()], "o", color=_WARN, label="bundle")
        axes.legend(frameon=False)
    axes.set(xlabel="share accepted", ylabel="share of these wrong", title="Risk and coverage")
    return _svg(figure)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], title: str) -> str:
    """Counts with truth in rows, shaded by their share of the row."""
    figure, axes = _axes(0.55 * len(names) + 2.2, 0.45 * len(names) + 1.6)
    table = np.array(counts)
    shares = table / np.maximum(1, table.sum(1, keepdims=True))
    axes.imshow(shares, cmap="Greens", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(table):
        if count:
            ink = "white" if shares[row, column] > 0.6 else _INK
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="truth", title=title)
    return _svg(figure)


def learning_curve(points: Sequence[tuple[int, float]], label: str) -> str:
    """A figure over the number of training messages."""
    figure, axes = _axes()
    axes.plot([n for n, _ in points], [v for _, v in points], color=_ACCENT, marker="o")
    axes.set(xlabel="training messages", ylabel=label, xscale="log", title="Learning curve")
    return _svg(figure)
