"""What the small model says over some time, and how far two such times lie apart. Pure but for
reading a bundle.

A bundle carries what it said of the validation messages on which its thresholds were chosen
(`reference` in bundle.json). What it says of live messages is held against that: its own past
would drift along with it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from shared.errors import BundleError
from workers.fast_tier.manifest import MANIFEST
from workers.routing import Decision

#: Bars of a histogram of confidence.
BINS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Labels of the small model over some time, provisional ones included."""

    counts: Mapping[str, int]  # by category
    mean_confidence: float  # of the category
    confidence: Mapping[str, int]  # labels by tenth of confidence: "0" to "9"
    escalated: int  # passed on as not sure

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def escalated_share(self) -> float:
        """Of all."""
        return self.escalated / max(self.total, 1)

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Self:
        """Of decisions in hand."""
        confidences = [each.label.category_confidence or 0.0 for each in decisions]
        bars = Counter(min(int(each * BINS), BINS - 1) for each in confidences)
        return cls(
            counts=Counter(each.label.categories[0] for each in decisions),
            mean_confidence=round(sum(confidences) / max(len(decisions), 1), 4),
            confidence={str(bar): bars[bar] for bar in range(BINS)},
            escalated=sum(not each.accepted for each in decisions),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From a manifest; KeyError, TypeError or ValueError when it is incomplete."""
        return cls(
            counts={str(name): int(count) for name, count in data["categories"].items()},
            mean_confidence=float(data["mean_confidence"]),
            confidence={str(bar): int(count) for bar, count in data["confidence"].items()},
            escalated=int(data["escalated"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "messages": self.total,
            "categories": dict(sorted(self.counts.items())),
            "mean_confidence": self.mean_confidence,
            "confidence": dict(self.confidence),
            "escalated": self.escalated,
        }


def stability_index(reference: Mapping[str, int], recent: Mapping[str, int]) -> float:
    """Population stability index of two mixes; half a label is added where there is none."""
    names = set(reference) | set(recent)
    total_before = sum(reference.values()) + 0.5 * len(names)
    total_now = sum(recent.values()) + 0.5 * len(names)
    index = 0.0
    for name in names:
        before = (reference.get(name, 0) + 0.5) / total_before
        now = (recent.get(name, 0) + 0.5) / total_now
        index += (now - before) * math.log(now / before)
    return index


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a bundle said of its validation messages."""

    model_version: str  # as labels carry it
    mix: Mix


def bundle_reference(folder: Path) -> Reference | None:
    """The reference that a bundle carries; None where it is of an older make.

    Raises:
        BundleError: there is no manifest to read, or its reference is damaged.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_bytes())
        found = data.get("reference")
        if found is None:
            return None
        version = f"{data['name']} {data['version']}"
        return Reference(model_version=version, mix=Mix.from_dict(found))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{path}: no reference for drift can be read from it ({error!r}). Measure it again "
            "with `carelane model calibrate FOLDER --reference-only`, or restore the bundle."
        ) from error
