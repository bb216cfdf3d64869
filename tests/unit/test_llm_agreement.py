"""What tells that the small model has grown stale, and what does not."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from shared.errors import BundleError
from workers.drift import Mix, bundle_reference, stability_index
from workers.llm_tier.agreement import Check, Sampler, alarms, disagreement

STEADY = Mix(
    counts={"refill": 600, "symptom": 400},
    mean_confidence=0.95,
    confidence={"8": 100, "9": 900},
    escalated=300,
)


def _checks(agreeing: int, disagreeing: int) -> list[Check]:
    same = Check(category="refill", urgency="routine", llm_category="refill", llm_urgency="routine")
    other = Check(category="refill", urgency="routine", llm_category="refill", llm_urgency="urgent")
    return [same] * agreeing + [other] * disagreeing


def test_about_the_set_share_is_checked_and_rare_categories_as_often_as_common_ones() -> None:
    sampler = Sampler(0.01, random.Random(1))
    labels = ["common"] * 90 + ["rare"] * 10
    taken = [label for _ in range(1000) for label in labels if sampler.take(label)]

    assert 800 < len(taken) < 1200
    assert 0.4 < taken.count("rare") / len(taken) < 0.6


def test_a_share_of_nothing_checks_nothing() -> None:
    sampler = Sampler(0.0)

    assert not any(sampler.take("refill") for _ in range(1000))


def test_disagreement_is_counted_by_the_small_model_s_category() -> None:
    assert disagreement(_checks(3, 1)) == {"refill": (4, 1)}


def test_the_same_mix_has_no_index_and_another_one_has() -> None:
    assert stability_index(STEADY.counts, {"refill": 60, "symptom": 40}) < 0.01
    assert stability_index(STEADY.counts, {"refill": 10, "symptom": 40, "billing": 50}) > 0.2


def test_a_steady_model_raises_no_alarm() -> None:
    assert alarms(_checks(97, 3), STEADY, STEADY) == []


def test_disagreement_a_moved_mix_and_fallen_confidence_raise_alarms() -> None:
    moved = Mix(
        counts={"billing": 900, "refill": 100},
        mean_confidence=0.80,
        confidence={"7": 500, "8": 500},
        escalated=600,
    )

    found = alarms(_checks(80, 20), STEADY, moved)

    assert len(found) == 5


def test_few_checks_and_few_labels_say_nothing() -> None:
    few = Mix(counts={"billing": 10}, mean_confidence=0.1, confidence={"1": 10}, escalated=10)

    assert alarms(_checks(0, 20), STEADY, few) == []
    assert alarms([], None, STEADY) == []


def _bundle(folder: Path, **more: object) -> Path:
    (folder / "bundle.json").write_text(json.dumps({"name": "small", "version": "2", **more}))
    return folder


def test_what_a_bundle_carries_as_reference_is_what_was_measured(tmp_path: Path) -> None:
    found = bundle_reference(_bundle(tmp_path, reference=STEADY.as_dict()))

    assert found is not None
    assert found.model_version == "small 2"
    assert found.mix == STEADY


def test_an_older_bundle_has_no_reference(tmp_path: Path) -> None:
    assert bundle_reference(_bundle(tmp_path)) is None


@pytest.mark.parametrize("damaged", [{}, {"categories": 3}, "none"])
def test_a_damaged_reference_is_an_error_that_says_how_to_mend_it(
    tmp_path: Path, damaged: object
) -> None:
    with pytest.raises(BundleError, match="--reference-only"):
        bundle_reference(_bundle(tmp_path, reference=damaged))
