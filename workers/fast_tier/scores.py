"""What the small model thinks of a message, and how raw logits become it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts import Urgency
from workers.fast_tier.manifest import Manifest


@dataclass(frozen=True)
class Scores:
    """Calibrated probabilities of one message, and what routing has to know beside them."""

    category_probabilities: tuple[float, ...]  # of being primary; the bundle's order; sum 1
    member_probabilities: tuple[float, ...]  # of belonging to the set, each by itself
    category_set: tuple[str, ...]  # names, primary first
    urgency_probabilities: tuple[float, ...]  # emergent, urgent, routine; sum 1
    n_tokens: int
    truncated: bool  # part of the text was not read
    language: str  # ISO code; "und" for none that is known
    familiarity: float  # cosine to the nearest cluster of the training data, -1 to 1

    @property
    def urgency(self) -> Urgency:
        """The most probable urgency."""
        top = max(self.urgency_probabilities)
        return tuple(Urgency)[self.urgency_probabilities.index(top)]

    @property
    def category_confidence(self) -> float:
        """Probability that the primary category is right."""
        return max(self.category_probabilities)

    @property
    def urgency_confidence(self) -> float:
        """Probability that the urgency is right."""
        return max(self.urgency_probabilities)


@dataclass(frozen=True)
class Reading:
    """Raw output for one window."""

    primary: Sequence[float]
    members: Sequence[float]
    urgency: Sequence[float]
    familiarity: float


def softmax(logits: Sequence[float], temperature: float) -> tuple[float, ...]:
    """Probabilities of logits divided by the temperature."""
    top = max(logits)
    powers = [math.exp((x - top) / temperature) for x in logits]
    total = math.fsum(powers)
    return tuple(p / total for p in powers)


def sigmoid(logit: float) -> float:
    """Logistic function, safe for large values."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))


def merge(readings: Sequence[Reading]) -> Reading:
    """One reading of a message's windows.

    Categories: the mean. Urgency: the window that finds the message gravest, because a danger
    in either half is a danger. Familiarity: the strangest window's.
    """
    if len(readings) == 1:
        return readings[0]

    def mean(rows: Sequence[Sequence[float]]) -> list[float]:
        return [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]

    gravest = max(readings, key=lambda r: _gravity(softmax(r.urgency, 1.0)))
    return Reading(
        primary=mean([r.primary for r in readings]),
        members=[max(column) for column in zip(*(r.members for r in readings), strict=True)],
        urgency=gravest.urgency,
        familiarity=min(r.familiarity for r in readings),
    )


def _gravity(probabilities: Sequence[float]) -> float:
    return 2 * probabilities[0] + probabilities[1]


def scores_of(
    reading: Reading, manifest: Manifest, *, n_tokens: int, truncated: bool, language: str
) -> Scores:
    """Calibrate a reading with the bundle's temperatures and choose its categories."""
    temperatures = manifest.temperatures
    primary = softmax(reading.primary, temperatures.primary)
    members = tuple(sigmoid(x / temperatures.members) for x in reading.members)
    first = primary.index(max(primary))
    others = sorted(
        (i for i, p in enumerate(members) if i != first and p >= manifest.member_threshold),
        key=lambda i: -members[i],
    )
    chosen = (first, *others[: manifest.most_categories - 1])
    return Scores(
        category_probabilities=primary,
        member_probabilities=members,
        category_set=tuple(manifest.categories[i] for i in chosen),
        urgency_probabilities=softmax(reading.urgency, temperatures.urgency),
        n_tokens=n_tokens,
        truncated=truncated,
        language=language,
        familiarity=reading.familiarity,
    )
