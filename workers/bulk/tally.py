"""Counting what became of messages, part by part, so that parts can be added up. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final, Self

from shared.contracts import Status
from workers.bulk.record import Record

#: Upper bounds of the length slices, in characters.
_LENGTHS: Final = (("up to 80", 80), ("81 to 300", 300), ("301 to 1,000", 1_000))
_LONGER: Final = "over 1,000"
_NONE: Final = "none"

Counts = dict[str, Counter[str]]


class Tally:
    """Counts by name and value, and by slice how many stand without a person or an LLM."""

    def __init__(self) -> None:
        self.counts: Counts = defaultdict(Counter)

    def add(self, record: Record, n_chars: int) -> None:
        """Count one message."""
        slices = {
            "category": record.categories[0] if record.categories else _NONE,
            "urgency": record.urgency or _NONE,
            "language": record.language or _NONE,
            "length": _length(n_chars),
            "red flags": "flagged" if record.red_flags else _NONE,
        }
        self.counts["status"][record.status] += 1
        self.counts["tier"][record.tier or _NONE] += 1
        if record.status_reason:
            self.counts["status_reason"][record.status_reason] += 1
        self.counts["reasons"].update(record.reasons if record.provisional else ())
        for name, value in slices.items():
            self.counts[f"slice: {name}"][value] += 1
            if record.status is Status.LABELLED:
                self.counts[f"labelled: {name}"][value] += 1

    def add_all(self, other: Tally) -> None:
        """Add another part's counts."""
        for name, counter in other.counts.items():
            self.counts[name].update(counter)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """For JSON, in a fixed order."""
        return {
            name: {str(value): count for value, count in sorted(counter.items())}
            for name, counter in sorted(self.counts.items())
            if counter
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, int]]) -> Self:
        """What `as_dict` made."""
        tally = cls()
        for name, counter in data.items():
            tally.counts[name].update(counter)
        return tally


def _length(n_chars: int) -> str:
    return next((name for name, most in _LENGTHS if n_chars <= most), _LONGER)
