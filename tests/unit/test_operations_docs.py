"""docs/operations.md names every metric."""

from __future__ import annotations

from pathlib import Path

from dashboard.state_metrics import GAUGES
from shared import metrics

_PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_page_explains_every_metric() -> None:
    page = _PAGE.read_text()
    names = [each.name for each in metrics.ALL] + list(GAUGES)

    assert [name for name in names if f"| `{name}` |" not in page] == []
