"""How one notices that the small model has grown stale. Pure.

A share of its sure labels is asked of the LLM too, the same number of each category, so that the
rare ones are seen. Disagreement by category, and how far confidence and the mix of categories
have moved from the reference, raise an alarm when they pass their bounds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from workers.drift import Mix, stability_index

#: Population stability index above which a mix counts as another one (the usual rule of thumb).
PSI_ALARM: Final = 0.2
CONFIDENCE_ALARM: Final = 0.05  # of the mean
ESCALATED_ALARM: Final = 0.1  # more of all messages passed on
DISAGREEMENT_ALARM: Final = 0.1
#: Fewer checks or labels than these say nothing.
FEWEST_CHECKS: Final = 50
FEWEST_LABELS: Final = 200


@dataclass
class Sampler:
    """Chooses labels to check: `share` of all, spread evenly over the categories seen."""

    share: float
    dice: random.Random = field(default_factory=random.Random)
    seen: Counter[str] = field(default_factory=Counter)

    def take(self, category: str) -> bool:
        """Whether this label is to be checked."""
        self.seen[category] += 1
        even = self.seen.total() / len(self.seen)
        return self.dice.random() < min(1.0, self.share * even / self.seen[category])


@dataclass(frozen=True, kw_only=True)
class Check:
    """One label of the small model beside the LLM's."""

    category: str
    urgency: str
    llm_category: str
    llm_urgency: str

    @property
    def agrees(self) -> bool:
        """Same primary category and same urgency."""
        return (self.category, self.urgency) == (self.llm_category, self.llm_urgency)


def disagreement(checks: Sequence[Check]) -> dict[str, tuple[int, int]]:
    """By the small model's category: checks, and disagreements among them."""
    total, against = Counter[str](), Counter[str]()
    for check in checks:
        total[check.category] += 1
        against[check.category] += not check.agrees
    return {name: (count, against[name]) for name, count in sorted(total.items())}


def alarms(checks: Sequence[Check], reference: Mix | None, recent: Mix) -> list[str]:
    """What somebody should look at, in words."""
    found = []
    against = sum(not check.agrees for check in checks)
    if len(checks) >= FEWEST_CHECKS and against / len(checks) > DISAGREEMENT_ALARM:
        found.append(f"the LLM disagrees with {against} of {len(checks)} sure labels")
    if reference is None or min(reference.total, recent.total) < FEWEST_LABELS:
        return found
    index = stability_index(reference.counts, recent.counts)
    if index > PSI_ALARM:
        found.append(f"the mix of categories has moved (stability index {index:.2f})")
    fall = reference.mean_confidence - recent.mean_confidence
    if fall > CONFIDENCE_ALARM:
        found.append(f"mean confidence has fallen by {fall:.2f}")
    bars = stability_index(reference.confidence, recent.confidence)
    if bars > PSI_ALARM:
        found.append(f"the spread of confidence has moved (stability index {bars:.2f})")
    more = recent.escalated_share - reference.escalated_share
    if more > ESCALATED_ALARM:
        found.append(f"{recent.escalated_share:.0%} are passed on, {more:.0%} more than before")
    return found
