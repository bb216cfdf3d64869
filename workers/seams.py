"""The seams of the worker: what a tier must be able to do, whoever does it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from workers.fast_tier.scores import Scores
from workers.routing import RoutingPolicy


class FastLabeller(Protocol):
    """The fast tier: text in, calibrated scores out."""

    @property
    def version(self) -> str:
        """The bundle's version."""
        ...

    @property
    def policy(self) -> RoutingPolicy:
        """The thresholds that travel in the bundle."""
        ...

    def score(self, text: str) -> Scores:
        """Score one message; the same text gets the same scores in any company."""
        ...


class MaskedText(Protocol):
    """A text without identifiers."""

    @property
    def text(self) -> str:
        """The text with placeholders."""
        ...


class Masker(Protocol):
    """De-identification; raises DeidError where it cannot vouch for the result."""

    def mask(self, text: str, budget_ms: float | None = None) -> MaskedText:
        """The text with every identifier replaced by a placeholder."""
        ...


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
