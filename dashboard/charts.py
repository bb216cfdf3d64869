"""Small charts as SVG geometry: the template draws them without a style or a script. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH = 600
HEIGHT = 130


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line or one row of bars."""

    name: str
    kind: str  # line or bars
    style: str  # a class of carelane.css
    points: str  # of a polyline; empty for bars
    bars: tuple[tuple[float, float, float, float], ...]  # x, y, width, height


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One picture: series over the same times, with a scale."""

    title: str
    top: str  # what the upper edge stands for
    middle: str
    start: str
    end: str
    series: tuple[Series, ...]
    summary: str  # the same in words, for those who do not see it

    width: int = WIDTH
    height: int = HEIGHT


def chart(
    title: str,
    values: dict[str, tuple[str, str, Sequence[float | None]]],
    *,
    unit: str,
    start: str,
    end: str,
) -> Chart:
    """A chart of named series, each (kind, style, values); all are as long as one another."""
    highest = max((v for _, _, row in values.values() for v in row if v is not None), default=0)
    top = _round_up(highest)
    drawn = tuple(
        _series(name, kind, style, row, top) for name, (kind, style, row) in values.items()
    )
    last = ", ".join(f"{name} {_said(row)}" for name, (_, _, row) in values.items())
    return Chart(
        title=title,
        top=f"{top:g} {unit}".strip(),
        middle=f"{top / 2:g}",
        start=start,
        end=end,
        series=drawn,
        summary=f"{title}: highest {highest:.3g} {unit}; last: {last}.",
    )


def _series(name: str, kind: str, style: str, values: Sequence[float | None], top: float) -> Series:
    step = WIDTH / max(1, len(values))
    points: list[str] = []
    bars: list[tuple[float, float, float, float]] = []
    for at, value in enumerate(values):
        if value is None:
            continue
        height = round(HEIGHT * float(value) / top, 1)
        if kind == "bars":
            width = max(1.0, round(step * 0.72, 1))
            bars.append((round(at * step, 1), round(HEIGHT - height, 1), width, height))
        else:
            points.append(f"{at * step + step / 2:.1f},{HEIGHT - height:.1f}")
    return Series(name=name, kind=kind, style=style, points=" ".join(points), bars=tuple(bars))


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... at or above `value`; 1 for nothing."""
    if value < 1e-9:
        return 1
    power = 10.0 ** floor(log10(value))
    return next(m * power for m in (1, 2, 5, 10) if ceil(value / power * 1e6) / 1e6 <= m)


def _said(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{known[-1]:.3g}" if known else "none"
