"""What workers answer beside the lanes: the words that carried a decision, and when they wait."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import uuid4

from tests.worker_process import SURE, ObedientLabeller
from workers.carrying_words import answerer
from workers.exchanges import storable
from workers.explainer import Asked, Quiet


def _asked(text: str) -> Asked:
    return Asked(
        id=1,
        message_id=uuid4(),
        label_id=1,
        claimed_until=datetime.now(UTC),
        text=text,
        categories=("refill",),
        urgency="routine",
    )


def test_the_word_that_decides_weighs_most_and_no_text_is_handed_on() -> None:
    text = f"One two three four five six {SURE} seven eight nine ten eleven"

    found = answerer(ObedientLabeller, Quiet())(_asked(text))

    assert (found.outcome, found.model_version) == ("ok", "obedient-1")
    assert found.result is not None
    assert (found.result["category"], found.result["urgency"]) == ("refill", "routine")
    start, end, *_ = max(found.result["words"], key=lambda row: row[2])
    assert text[start:end] == SURE
    assert "seven" not in str(found.result)


def test_a_worker_that_stays_busy_says_so_instead_of_taking_time_from_messages() -> None:
    quiet = Quiet()
    quiet.enter()

    found = answerer(ObedientLabeller, quiet, budget_s=0.01)(_asked("some words"))

    assert found.outcome == "workers_busy"


def test_an_explanation_goes_on_when_the_chunk_in_hand_is_done() -> None:
    quiet = Quiet()
    quiet.enter()
    threading.Timer(0.01, quiet.leave).start()

    found = answerer(ObedientLabeller, quiet, budget_s=20)(_asked("some words"))

    assert found.outcome == "ok"


def test_a_text_without_words_has_none_that_carried_it() -> None:
    assert answerer(ObedientLabeller, Quiet())(_asked(" \n ")).outcome == "no_words"


def test_what_postgres_refuses_in_an_llms_words_is_replaced_and_the_rest_stays() -> None:
    assert storable("a\ud83d b\0 c\ude00") == "a\ufffd b\ufffd c\ufffd"
    assert storable("\ud83d" + "\ude00") == "\U0001f600"
