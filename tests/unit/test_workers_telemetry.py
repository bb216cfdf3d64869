"""ONNX Runtime's own reports to its maker stay off wherever a model is opened."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIERS = {
    "fast tier": (
        "from workers.fast_tier import SHIPPED, FastTier; FastTier.load(SHIPPED).score('Hi')"
    ),
    "de-identification": (
        "from workers.deid import Deidentifier; Deidentifier.load().mask('I am Anna Smith')"
    ),
}


@pytest.mark.parametrize("tier", TIERS)
def test_opening_a_model_leaves_no_device_id_and_no_events_to_upload(
    tier: str, tmp_path: Path
) -> None:
    # CI is unset because the library keeps quiet there by itself.
    quiet = ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS", "TF_BUILD", "PYTEST_CURRENT_TEST")
    kept = {name: value for name, value in os.environ.items() if name not in quiet}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    subprocess.run([sys.executable, "-c", TIERS[tier]], env={**kept, **home}, cwd=ROOT, check=True)

    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []


def test_run_time_code_takes_onnx_runtime_from_the_one_place_that_silences_it() -> None:
    imports = re.compile(r"^\s*(import onnxruntime|from onnxruntime)", re.MULTILINE)

    found = [path for path in (ROOT / "workers").rglob("*.py") if imports.search(path.read_text())]

    assert found == [ROOT / "workers" / "onnx_runtime.py"]
