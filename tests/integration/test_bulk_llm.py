"""`carelane bulk` asking an LLM over HTTP: the command, the stand-in, and the canary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import StandinForTests

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
CANARY = "Zebediah Quillfeather"
UNSURE = "it is me again about that, can you tell him that it was not what we said"


def test_a_file_is_labelled_with_the_llm_s_help_and_no_identifier_leaves(
    standin_llm: StandinForTests, tmp_path: Path
) -> None:
    texts = [f"{UNSURE}, no {n}" for n in range(20)]
    texts += [f"This is {CANARY}, 918-555-0142. {UNSURE}", "Need a refill of my lisinopril"]
    lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(texts)]
    # The last part holds no message at all.
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, "oops", "oops"]) + "\n")
    command = [
        *(sys.executable, "-c", "from shared.cli import main; main()", "bulk"),
        *(str(tmp_path / "in.jsonl"), str(tmp_path / "out")),
        *("--ambiguous=llm", "--processes=1", "--rows-per-part=11"),
    ]
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "standin",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{standin_llm.port}/v1",
        "CARELANE_LLM_SIMULATED": "1",
    }

    told = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert told.returncode == 1, told.stderr
    assert "22 messages, 2 rows rejected" in told.stdout
    assert "LLM (simulated)" in told.stdout
    labels = (tmp_path / "out" / "labels").iterdir()
    rows = [json.loads(line) for path in sorted(labels) for line in path.read_text().splitlines()]
    assert {row["status"] for row in rows} == {"labelled"}
    assert [row["tier"] for row in rows].count("llm") >= 10
    asked = json.dumps(standin_llm.requests())
    assert UNSURE in asked
    everything = [path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [text for text in (asked, told.stdout, told.stderr, *everything) if CANARY in text]
