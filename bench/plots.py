"""Plots as SVG, the same for the same numbers; matplotlib is in the environment bench-tools."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


def axes(height_in: float = 3.4) -> tuple[Any, Any]:
    """A figure whose SVG is the same for the same numbers."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "carelane", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7.2, height_in), layout="constrained")
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def save(figure: Any, path: Path) -> None:
    """As SVG, without a date."""
    path.write_text(svg_of(figure))


def svg_of(figure: Any) -> str:
    """The SVG's own text, to be put into a page."""
    from matplotlib import pyplot as plt

    drawn = io.StringIO()
    # White, so that dark pages show it too.
    figure.savefig(drawn, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    # matplotlib ends lines with blanks; a page has a head of its own.
    text = drawn.getvalue()
    lines = [line.rstrip() for line in text[text.index("<svg") :].splitlines()]
    return "\n".join(lines) + "\n"
