"""README's figures are those of the files that the runs wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.generated import put
from bench.readme import NAME, README, RESULTS, figures, quietest


def test_readme_says_what_the_results_say() -> None:
    page = README.read_text()

    assert put(page, NAME, figures()) == page, "run python -m bench.readme"


def test_a_new_result_changes_the_figures(tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    rows = json.loads((results / "cascade.json").read_text())
    for row in rows:
        if row["name"] == "c: Carelane":
            row["calls"] = 0
    (results / "cascade.json").write_text(json.dumps(rows))

    assert "100 % fewer calls" in figures(results)


def test_of_two_end_to_end_runs_the_quieter_counts(tmp_path: Path) -> None:
    for name, spread in (("end_to_end", 0.1), ("idle", 0.4)):
        run = {"name": name, "summary": {"noise": {"p5_to_p95_share": spread}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(run))

    assert quietest(tmp_path)["name"] == "end_to_end"
