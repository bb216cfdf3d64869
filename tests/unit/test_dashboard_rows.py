from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from sqlalchemy import RowMapping

from dashboard.rows import Line, State, line_of
from dashboard.words import reason_words, span_words
from shared.contracts import Urgency
from shared.taxonomy import Taxonomy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FLAG = {"rule": "chest", "title": "Chest pain", "urgency": "emergent", "start": 0, "end": 5}


def line(**changes: Any) -> Line:
    row = {
        "id": uuid4(),
        "received_at": NOW - timedelta(minutes=3),
        "status": "labelled",
        "status_reason": None,
        "urgency_rank": 2,
        "red_flags": [],
        "patient_ref": None,
        "sender": None,
        "first_read_at": None,
        "reviewed_at": None,
        "excerpt": "text",
        "final": True,
        "categories": ["refill", "billing"],
        "urgency": "routine",
        "tier": "fast",
        "category_confidence": 0.9,
        "pool": None,
        "assignee": None,
        **changes,
    }
    return line_of(cast("RowMapping", row), Taxonomy.load())


def unlabelled(**changes: Any) -> Line:
    nothing = dict.fromkeys(("categories", "urgency", "tier", "category_confidence"))
    return line(**{"status": "queued", "final": False, **nothing, **changes})


def test_a_queued_message_has_no_urgency_rather_than_a_guessed_one() -> None:
    assert unlabelled().urgency is None
    assert unlabelled().state is State.PROCESSING
    assert unlabelled().due(NOW) is None


def test_a_red_flag_shows_as_an_emergency_while_the_message_is_still_processing() -> None:
    flagged = unlabelled(red_flags=[FLAG])

    assert flagged.processing
    assert flagged.emergency


@pytest.mark.parametrize("tier", ["rule", "cache", "fast", "llm"])
def test_no_machine_label_shows_a_flagged_message_below_its_flag(tier: str) -> None:
    assert line(red_flags=[FLAG], tier=tier).urgency is Urgency.EMERGENT


def test_a_persons_label_may_be_below_the_flag() -> None:
    assert line(red_flags=[FLAG], tier="human").urgency is Urgency.ROUTINE


def test_an_escalated_message_shows_its_provisional_label_as_such() -> None:
    escalated = line(status="escalated", final=False)

    assert escalated.state is State.SECOND_OPINION
    assert escalated.provisional
    assert [category.title for category in escalated.categories] == ["Refill", "Billing"]


def test_the_pool_is_the_primary_categorys_unless_a_person_chose_one() -> None:
    assert line().pool == "pharmacist"
    assert line(pool="billing").pool == "billing"


def test_a_message_that_waits_long_for_its_label_is_called_delayed() -> None:
    assert not unlabelled().delayed(NOW - timedelta(minutes=2))
    assert unlabelled().delayed(NOW)
    assert not line().delayed(NOW)


def test_the_target_time_counts_until_somebody_has_read_it() -> None:
    emergent = {"urgency": "emergent", "received_at": NOW - timedelta(minutes=12)}

    assert line(**emergent).due(NOW) == "2 min overdue"
    assert line(**emergent).overdue(NOW)
    assert line(**emergent).due(NOW - timedelta(minutes=5)) == "due in 3 min"
    assert line(**emergent, first_read_at=NOW).due(NOW) is None


def test_a_label_of_a_category_that_the_taxonomy_lost_is_still_shown() -> None:
    old = line(categories=["weather"])

    assert old.categories == ()
    assert old.unknown_category == "weather"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3900, "1 h 05 min"), (93_600, "1 d 2 h")],
)
def test_ages_are_said_in_at_most_two_units(seconds: int, words: str) -> None:
    assert span_words(timedelta(seconds=seconds)) == words


def test_an_unknown_reason_is_said_with_its_code_instead_of_being_swallowed() -> None:
    assert "solar flare" in reason_words("solar_flare")
    assert reason_words(None)
    assert reason_words("llm_off").startswith("The fast model was not sure")
