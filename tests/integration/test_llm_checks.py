"""Sure labels of the small model are checked by the LLM, and disagreement is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from shared.contracts import Lane, Tier
from shared.database import transaction
from shared.tables import label_checks
from tests.services import eventually
from tests.worker_process import SURE
from tests.worker_stack import Clinic, Workers, clinic, workers
from workers.checks import Checker
from workers.composition import build_llm

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


def _checker(clinic: Clinic) -> Checker:
    lane = build_llm(clinic.settings, {}).llm
    assert lane is not None
    return Checker(clinic.engine, lane.batcher, lane.masker, text_days=30)


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
