"""The alert rules and the board name metrics that exist, and promtool finds nothing wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.state_metrics import GAUGES
from shared import metrics

_ROOT = Path(__file__).parents[2]
_PROMETHEUS = _ROOT / "deploy" / "prometheus"
_BOARD = _ROOT / "deploy" / "grafana" / "carelane.json"


def _known() -> set[str]:
    names = set(GAUGES)
    for each in metrics.ALL:
        names.add(each.name)
        if each.kind == "histogram":
            names |= {f"{each.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((_PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _board_queries() -> list[str]:
    panels = json.loads(_BOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def _labels_used(expression: str) -> list[tuple[str, str]]:
    return [
        (name, label)
        for name, inside in re.findall(r"(carelane_\w+)\{([^}]*)\}", expression)
        for label in re.findall(r"(\w+)\s*[=!]", inside)
    ]


def _promtool(*arguments: str | Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", [_PROMETHEUS / "alerts.yml", _PROMETHEUS / "alerts_test.yml", _BOARD]
)
def test_every_metric_that_a_file_names_exists(path: Path) -> None:
    named = set(re.findall(r"\bcarelane_\w+", path.read_text()))

    assert named
    assert named - _known() == set()


def test_queries_select_by_labels_that_the_metric_has() -> None:
    labels = {each.name: set(each.labels) | {"le"} for each in metrics.ALL}
    labels |= {name: set(of) for name, (_, of) in GAUGES.items()}
    queries = [*_board_queries(), *(rule["expr"] for rule in _alerts())]

    wrong = [
        (name, label)
        for query in queries
        for name, label in _labels_used(query)
        if label not in labels[re.sub(r"_(bucket|sum|count)$", "", name)]
    ]

    assert wrong == []


def test_every_alert_has_its_place_in_the_run_book() -> None:
    page = (_ROOT / "docs" / "operations.md").read_text()

    for rule in _alerts():
        assert f"\n#### {rule['alert']}\n" in page
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_every_metric_is_on_the_board_or_in_an_alert() -> None:
    shown = " ".join([*_board_queries(), *(rule["expr"] for rule in _alerts())])

    unseen = [name for name in [*GAUGES, *(each.name for each in metrics.ALL)] if name not in shown]
    assert unseen == []


def test_promtool_takes_the_rules_and_their_tests_pass() -> None:
    _promtool("check", "rules", _PROMETHEUS / "alerts.yml")
    _promtool("check", "config", "--syntax-only", _PROMETHEUS / "prometheus.yml")
    _promtool("test", "rules", _PROMETHEUS / "alerts_test.yml")


def test_promtool_takes_every_query_of_the_board(tmp_path: Path) -> None:
    rules = [
        {"record": f"board:{place}", "expr": query} for place, query in enumerate(_board_queries())
    ]
    path = tmp_path / "board.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))

    _promtool("check", "rules", path)
