"""The seam between the benchmark and what it measures: one Protocol, two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What happened to one message, by the database's clock."""

    accepted_at: datetime
    labelled_at: datetime  # first label of a model, also one that is provisional
    settled_at: datetime  # nothing more will happen by itself
    tier: str  # who settled it
    model_ms: float  # the small model's own time

    @property
    def label_ms(self) -> float:
        """Accepted to the first label."""
        return (self.labelled_at - self.accepted_at).total_seconds() * 1000

    @property
    def settle_ms(self) -> float:
        """Accepted to settled."""
        return (self.settled_at - self.accepted_at).total_seconds() * 1000


class Side(Protocol):
    """A system that takes messages and labels them."""

    name: str

    def start(self) -> None:
        """Start the processes; returns when a message would be labelled at once."""

    def stop(self) -> None:
        """Stop them."""

    def clear(self) -> None:
        """Forget every message."""

    def submit(self, text: str) -> None:
        """Hand in one message, as a portal does; returns when it is accepted."""

    def submit_burst(self, texts: Sequence[str]) -> None:
        """Hand in many as fast as this side takes them."""

    def labelled(self) -> int:
        """How many messages have a first label by now."""

    def settled(self) -> int:
        """How many messages are settled by now."""

    def timelines(self) -> list[Timeline]:
        """Every settled message's times."""

    def parts(self) -> Mapping[str, Sequence[int]]:
        """Process ids by what they belong to, for the accounting of CPU time."""
