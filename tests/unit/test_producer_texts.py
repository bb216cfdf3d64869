"""What a patient reads never says what Carelane made of the message, except for danger."""

from __future__ import annotations

import pytest

from producer.patient_texts import emergency_text, status_text
from shared.contracts import Status, Urgency
from shared.taxonomy import Taxonomy


@pytest.mark.parametrize("status", list(Status))
def test_no_text_for_patients_names_a_category_or_an_urgency(status: Status) -> None:
    taxonomy = Taxonomy.load()
    words = {*taxonomy.category_names, "emergent", "urgent", "routine", "llm", "model"}

    said = status_text(status).lower().split()

    assert not words.intersection(word.strip(".,…") for word in said)


def test_the_emergency_words_come_at_once_and_name_the_number() -> None:
    text = emergency_text(
        Status.QUEUED, Urgency.EMERGENT.rank, flagged=True, emergency_number="112"
    )

    assert text is not None
    assert "112" in text


def test_an_urgent_flag_gets_softer_words_and_the_models_urgent_none() -> None:
    flagged = emergency_text(
        Status.QUEUED, Urgency.URGENT.rank, flagged=True, emergency_number="911"
    )
    guessed = emergency_text(
        Status.LABELLED, Urgency.URGENT.rank, flagged=False, emergency_number="911"
    )

    assert flagged is not None
    assert "911" in flagged
    assert guessed is None


def test_nothing_alarms_once_a_person_has_dealt_with_it() -> None:
    assert emergency_text(Status.DONE, 0, flagged=True, emergency_number="911") is None
