"""Sure labels of the small model are checked by the LLM, and disagreement is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from shared.contracts import Lane, Tier
from shared.database import transaction
from shared.tables import label_checks, labels
from tests.services import eventually
from tests.worker_process import SURE
from tests.worker_stack import Clinic, Workers, clinic, workers
from workers.checks import Checker
from workers.composition import build_llm
from workers.drift import Mix

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]


def _checks(clinic: Clinic) -> list[Any]:
    with transaction(clinic.engine) as connection:
        return list(connection.execute(select(label_checks).order_by(label_checks.c.id)))


def _label_fast(clinic: Clinic, workers: Workers, *texts: str, red_flags: Any = ()) -> Any:
    ids = clinic.accept(*texts, red_flags=red_flags)
    clinic.send(Lane.FAST, ids)
    workers.start("fast", CARELANE_LLM_CHECK_SHARE="1")
    eventually(clinic.all_are(ids, "labelled", "escalated"), what="the fast tier is through")
    return ids


def _checker(clinic: Clinic, bundle: Path | None = None) -> Checker:
    lane = build_llm(clinic.settings, {}).llm
    assert lane is not None
    return Checker(clinic.engine, lane.batcher, lane.masker, bundle=bundle, text_days=30)


def test_sure_labels_are_asked_about_and_keep_their_label_whatever_the_llm_says(
    clinic: Clinic, workers: Workers
) -> None:
    ids = _label_fast(clinic, workers, f"{SURE} I want to move my appointment to Friday")
    eventually(lambda: _checks(clinic), what="a check is noted")

    answered = _checker(clinic).round()

    (check,) = _checks(clinic)
    assert answered == 1
    assert (check.category, check.llm_category) == ("refill", "appointment")
    assert check.checked_at is not None
    assert clinic.labels(ids[0])[-1].tier == Tier.FAST
    assert clinic.statuses(ids) == ["labelled"]
    (exchange,) = clinic.exchanges(ids[0])
    assert (exchange.purpose, exchange.llm_call_id) == ("check", check.llm_call_id)


def test_red_flagged_messages_are_not_sampled(clinic: Clinic, workers: Workers) -> None:
    flag = {"rule": "r", "title": "t", "urgency": "routine", "start": 0, "end": 1}

    _label_fast(clinic, workers, SURE, red_flags=[flag])

    assert _checks(clinic) == []


def test_much_disagreement_raises_an_alarm(clinic: Clinic, workers: Workers) -> None:
    _label_fast(clinic, workers, *[f"{SURE} {n}" for n in range(60)])
    eventually(lambda: len(_checks(clinic)) == 60, what="all are noted")
    with transaction(clinic.engine) as connection:
        connection.execute(
            update(label_checks).values(
                llm_category="billing", llm_urgency="routine", checked_at=label_checks.c.created_at
            )
        )

    assert any("60 of 60" in each for each in _checker(clinic).compare())


def test_a_check_without_an_answer_is_asked_again_later(
    clinic: Clinic, workers: Workers, standin_llm: Any
) -> None:
    _label_fast(clinic, workers, f"{SURE} I want to move my appointment to Friday")
    eventually(lambda: _checks(clinic), what="a check is noted")
    standin_llm.knobs(fault_rates={"bad_key": 1.0})

    assert _checker(clinic).round() == 0

    (check,) = _checks(clinic)
    assert check.checked_at is None


def test_a_check_that_the_llm_refuses_is_not_asked_again(
    clinic: Clinic, workers: Workers, standin_llm: Any
) -> None:
    _label_fast(clinic, workers, f"{SURE} I want to move my appointment to Friday")
    eventually(lambda: _checks(clinic), what="a check is noted")
    standin_llm.knobs(fault_rates={"refusal": 1.0})

    assert _checker(clinic).round() == 0

    assert _checks(clinic) == []


@pytest.mark.parametrize(
    ("category", "confidence", "found"),
    [("refill", 0.95, ""), ("billing", 0.95, "mix of categories"), ("refill", 0.7, "confidence")],
)
def test_live_labels_are_held_against_what_their_bundle_said_of_its_validation_messages(
    clinic: Clinic, tmp_path: Path, category: str, confidence: float, found: str
) -> None:
    reference = Mix(
        counts={"refill": 300}, mean_confidence=0.95, confidence={"9": 300}, escalated=0
    )
    manifest = {"name": "small", "version": "2", "reference": reference.as_dict()}
    (tmp_path / "bundle.json").write_text(json.dumps(manifest))
    ids = clinic.accept(*["text"] * 440, status="labelled")
    versions = ["small 2", "small 1"]
    with transaction(clinic.engine) as connection:
        connection.execute(
            insert(labels),
            [
                {
                    "message_id": id_,
                    "tier": Tier.FAST.value,
                    "categories": [category if number % 2 == 0 else "symptom"],
                    "category_confidence": confidence if number % 2 == 0 else 0.1,
                    "urgency": "routine",
                    "taxonomy_version": "1",
                    "model_version": versions[number % 2],
                }
                for number, id_ in enumerate(ids)
            ],
        )

    said = _checker(clinic, tmp_path).compare()

    assert found in " ".join(said)
    assert bool(said) == bool(found)
