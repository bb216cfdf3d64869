from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import HEIGHT, WIDTH, chart

ENDS = {"unit": "s", "start": "then", "end": "now"}


@given(st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=80))
def test_nothing_is_drawn_outside_the_picture(values: list[float | None]) -> None:
    made = chart("t", {"line": ("line", "c", values), "bars": ("bars", "c", values)}, **ENDS)

    line, bars = made.series
    for point in line.points.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= WIDTH
        assert -0.06 <= y <= HEIGHT
    for x, y, width, height in bars.bars:
        assert 0 <= x <= x + width <= WIDTH + 1
        assert -0.06 <= y <= y + height <= HEIGHT + 0.11


@pytest.mark.parametrize(
    ("highest", "top"), [(0, "1 s"), (0.003, "0.005 s"), (1, "1 s"), (3, "5 s"), (51, "100 s")]
)
def test_the_scale_ends_at_a_round_number(highest: float, top: str) -> None:
    assert chart("t", {"a": ("line", "c", [highest])}, **ENDS).top == top


def test_a_minute_without_a_value_is_left_out_and_not_drawn_as_zero() -> None:
    made = chart("t", {"a": ("line", "c", [1, None, 2])}, **ENDS)

    assert len(made.series[0].points.split()) == 2


def test_the_picture_is_told_in_words_too() -> None:
    made = chart("Latency", {"median": ("line", "c", [1, 4, None])}, **ENDS)

    assert made.summary == "Latency: highest 4 s; last: median 4."
