"""Transformer and linear model as one: the weighted mean of their log-probabilities.

They err on different messages, so the mean is right more often, and better calibrated, than
either; the linear one costs a fraction of a millisecond. It reads the whole text at once, so
its view is mixed into every window of the transformer's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from workers.fast_tier.linear import LinearReader
from workers.fast_tier.manifest import LinearWeights
from workers.fast_tier.runner import TextReading
from workers.fast_tier.scores import Reading
from workers.fast_tier.transformer import TransformerReader


class BlendedReader:
    """Both readers of one bundle."""

    def __init__(
        self, transformer: TransformerReader, linear: LinearReader, weights: LinearWeights
    ) -> None:
        self._transformer = transformer
        self._linear = linear
        self._weights = weights

    def read(self, text: str) -> TextReading:
        """The transformer's windows, each mixed with the linear model's view of the text."""
        read = self._transformer.read(text)
        (other,) = self._linear.read(text).readings
        return TextReading(
            [blend(reading, other, self._weights) for reading in read.readings],
            n_tokens=read.n_tokens,
            truncated=read.truncated,
            known_words=read.known_words,
        )


def blend(first: Reading, second: Reading, weights: LinearWeights) -> Reading:
    """Mean of log-probabilities (of logits for the set); familiarity stays the first's."""

    def mix(a: Sequence[float], b: Sequence[float], weight: float) -> list[float]:
        return [(1.0 - weight) * x + weight * y for x, y in zip(a, b, strict=True)]

    return Reading(
        primary=mix(log_softmax(first.primary), log_softmax(second.primary), weights.category),
        members=mix(first.members, second.members, weights.category),
        urgency=mix(log_softmax(first.urgency), log_softmax(second.urgency), weights.urgency),
        familiarity=first.familiarity,
    )


def log_softmax(logits: Sequence[float]) -> list[float]:
    """Logarithms of the softmax."""
    top = max(logits)
    total = top + math.log(math.fsum(math.exp(x - top) for x in logits))
    return [x - total for x in logits]
