"""What becomes of a question asked ahead of the fast tier, and how its answer reaches the desk."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from shared.contracts import Status, Urgency
from shared.errors import LanguageModelError, LanguageModelRefused, LanguageModelUnavailable
from workers.llm_tier.answer import Answer
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.tier import Question, Request
from workers.speculation import Ahead, AnswersAhead, Fate, fate_of

ANSWER = Answered(
    answer=Answer(categories=("refill",), urgency=Urgency.ROUTINE),
    call_id=1,
    model="m",
    cost_usd=Decimal(0),
    latency_ms=1.0,
)


@pytest.mark.parametrize("failed", [False, True])
def test_what_the_fast_tier_passed_on_is_ours_even_when_the_llm_failed(failed: bool) -> None:
    assert fate_of(Status.ESCALATED, failed=failed) is Fate.SETTLE


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("status", [Status.LABELLED, Status.NEEDS_REVIEW, Status.DONE, None])
def test_what_somebody_else_has_decided_is_lost(status: Status | None, failed: bool) -> None:
    assert fate_of(status, failed=failed) is Fate.LOST


def test_what_is_not_decided_is_waited_for_while_there_may_be_an_answer() -> None:
    assert fate_of(Status.QUEUED, failed=False) is Fate.WAIT
    assert fate_of(Status.QUEUED, failed=True) is Fate.FAILED


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        (ANSWER, False),
        (LanguageModelRefused("refusal", ""), False),
        (LanguageModelUnavailable("over_budget", ""), True),
        (None, True),
    ],
)
def test_a_question_failed_when_it_ended_with_nothing_about_the_message(
    result: Result | None, failed: bool
) -> None:
    ahead = Ahead()
    assert not ahead.failed

    ahead.result = result
    ahead.done.set()

    assert ahead.failed is failed


@dataclass
class Listed:
    """A batcher that refuses everything and keeps what it was asked."""

    asked: list[str] = field(default_factory=list)

    def ask(self, request: Request) -> None:
        for place, each in enumerate(request.questions):
            self.asked.append(each.text)
            request.on_result(place, LanguageModelRefused(each.text, ""))


def _ask(answers: AnswersAhead, *texts: str) -> dict[int, Result]:
    heard: dict[int, Result] = {}
    answers.ask(
        Request(
            questions=[Question(text=text) for text in texts],
            on_result=heard.__setitem__,
            budget_s=1.0,
            still_ours=lambda: True,
        )
    )
    return heard


def test_what_was_asked_ahead_is_not_asked_again_and_the_rest_is() -> None:
    known = Ahead(result=ANSWER)
    known.done.set()
    batcher = Listed()

    answers = AnswersAhead({"known": known}, batcher)

    heard = _ask(answers, "new", "known", "newer")

    assert answers.used == {"known"}
    assert batcher.asked == ["new", "newer"]
    assert heard[1] is ANSWER
    assert [r.reason for r in (heard[0], heard[2]) if isinstance(r, LanguageModelError)] == [
        "new",
        "newer",
    ]


def test_an_answer_on_its_way_is_waited_for_to_its_end() -> None:
    known = Ahead(result=ANSWER)
    contradicted = LanguageModelRefused("doubled_id", "")

    def end() -> None:
        known.result = contradicted
        known.done.set()

    threading.Timer(0.05, end).start()

    assert _ask(AnswersAhead({"known": known}, Listed()), "known") == {0: contradicted}


def test_an_answer_that_never_came_leaves_its_question_open() -> None:
    known = Ahead()
    known.done.set()

    answers = AnswersAhead({"known": known}, Listed())

    assert _ask(answers, "known") == {}
    assert answers.used == set()
