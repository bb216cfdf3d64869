"""The command that people run, with the bundle that ships."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shared.contracts import Lane
from tests.services import eventually
from tests.worker_stack import Clinic, Workers, clinic, workers
from workers.fast_tier.tier import SHIPPED

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]


def test_messages_come_through_both_tiers_of_the_shipped_workers(
    clinic: Clinic, workers: Workers
) -> None:
    ids = clinic.accept(
        "Hi, could you please send a refill of my lisinopril 10 mg to the pharmacy? Thanks",
        "zzz qqq ???",
    )
    clinic.send(Lane.FAST, ids)

    workers.start("fast", shipped_model=True)
    workers.start("llm", shipped_model=True)

    eventually(clinic.all_are(ids, "labelled", "escalated"), what="the fast tier has seen them")
    clinic.relay()
    eventually(clinic.all_are(ids, "labelled", "needs_review"), what="all settled")
    assert clinic.labels(ids[0])[-1].categories[0] == "refill"


def test_a_worker_refuses_a_damaged_bundle_before_it_takes_a_message(
    clinic: Clinic, workers: Workers, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(SHIPPED, bundle)
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["files"] = dict.fromkeys(manifest["files"], "0" * 64)
    (bundle / "bundle.json").write_text(json.dumps(manifest))

    process = workers.start("fast", wait=False, shipped_model=True, CARELANE_BUNDLE=str(bundle))

    assert process.wait(timeout=30) == 2
    assert str(bundle) in workers.logs()


def test_a_fast_worker_whose_child_cannot_be_set_up_ends_as_a_failure(
    clinic: Clinic, workers: Workers, tmp_path: Path
) -> None:
    process = workers.start(
        "fast", wait=False, shipped_model=True, CARELANE_TAXONOMY=str(tmp_path / "none.yaml")
    )

    assert process.wait(timeout=60) != 0
    assert "worker could not be set up" in workers.logs()


def test_an_llm_worker_without_a_key_says_which_setting_is_missing(
    clinic: Clinic, workers: Workers
) -> None:
    process = workers.start("llm", wait=False, shipped_model=True, OPENAI_API_KEY="")

    assert process.wait(timeout=30) == 2
    assert "OPENAI_API_KEY is not set" in workers.logs()
