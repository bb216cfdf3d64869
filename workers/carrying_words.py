"""The words that carried the fast tier's decision, as the answer to a question from a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from workers.explainer import Asked, Explanation, Quiet
from workers.fast_tier.explain import Attribution, explain
from workers.fast_tier.scores import Scores

#: All of one answer, pauses for the hot path included.
_BUDGET_S: Final = 30.0


class Scorer(Protocol):
    """What is asked dozens of times, with words left out."""

    @property
    def version(self) -> str:
        """The bundle's version."""
        ...

    def score(self, text: str) -> Scores:
        """Score one text."""
        ...


class _OutOfTimeError(Exception):
    """The hot path left no room."""


def answerer(
    live: Callable[[], Scorer], quiet: Quiet, budget_s: float = _BUDGET_S
) -> Callable[[Asked], Explanation]:
    """Answers by occlusion with the bundle that decides just now.

    One run of the model at a time, each in a quiet moment of the process.
    """

    def answer(asked: Asked) -> Explanation:
        scorer, until_s = live(), time.monotonic() + budget_s
        whole: list[Scores] = []

        def score(text: str) -> Scores:
            if not quiet.wait(until_s - time.monotonic()):
                raise _OutOfTimeError
            scores = scorer.score(text)
            if not whole:
                whole.append(scores)
            return scores

        try:
            found = explain(asked.text, score)
        except _OutOfTimeError:
            return Explanation(outcome="workers_busy")
        if not whole:
            return Explanation(outcome="no_words")
        result = {
            "category": whole[0].category_set[0],
            "urgency": whole[0].urgency.value,
            "words": _rows(found),
        }
        return Explanation(model_version=scorer.version, result=result)

    return answer


def _rows(found: Sequence[Attribution]) -> list[list[Any]]:
    """Start, end, weight for the category, weight for the urgency: places, never text."""
    return [
        [each.start, each.end, round(each.category_weight, 4), round(each.urgency_weight, 4)]
        for each in found
    ]
