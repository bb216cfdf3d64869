"""Why: the words that carried a decision, by leaving them out and asking again (occlusion).

For a page that somebody looks at, not for the hot path: a message of 60 words costs about 40
runs of the model. Neighbouring words are left out together, so that "can't breathe" counts as
one thing. Weights are in log-odds: where the model is very sure, any words left out cost hardly any
probability, and still some matter ten times as much as others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.contracts import Urgency
from workers.fast_tier.scores import Scores

_WORD: Final = re.compile(r"\S+")
_SPAN: Final = 3  # words left out together
_MOST_RUNS: Final = 60
_SUREST: Final = 1e-6  # no probability is taken to be nearer to 0 or 1


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """One word, and how much of each head's confidence rests on it."""

    start: int  # place in the text, characters
    end: int
    category_weight: float  # log-odds of the primary category lost without it
    urgency_weight: float  # log-odds of the said urgency lost without it


def explain(text: str, score: Callable[[str], Scores]) -> tuple[Attribution, ...]:
    """A weight for each word of the text; positive: it speaks for the label."""
    words = [match.span() for match in _WORD.finditer(text)]
    if not words:
        return ()
    whole = score(text)
    category = whole.category_probabilities.index(whole.category_confidence)
    urgency = tuple(Urgency).index(whole.urgency)
    span = max(_SPAN, -(-2 * len(words) // _MOST_RUNS))
    step = max(1, span // 2)
    losses: list[list[tuple[float, float]]] = [[] for _ in words]
    for first in range(1 - span + step, len(words), step):
        covered = range(max(0, first), min(len(words), first + span))
        without = score(_left_out(text, words, covered))
        loss = (
            _log_odds(whole.category_confidence)
            - _log_odds(without.category_probabilities[category]),
            _log_odds(whole.urgency_confidence) - _log_odds(without.urgency_probabilities[urgency]),
        )
        for word in covered:
            losses[word].append(loss)
    return tuple(
        Attribution(
            start=start,
            end=end,
            category_weight=sum(c for c, _ in mine) / len(mine),
            urgency_weight=sum(u for _, u in mine) / len(mine),
        )
        for (start, end), mine in zip(words, losses, strict=True)
        if mine
    )


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _SUREST), 1 - _SUREST)
    return math.log(bounded / (1 - bounded))


def _left_out(text: str, words: list[tuple[int, int]], covered: range) -> str:
    start, end = words[covered[0]][0], words[covered[-1]][1]
    return text[:start] + text[end:]
