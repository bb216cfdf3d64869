"""Temperatures, and thresholds chosen for a stated risk.

Temperature scaling: Guo et al. 2017. Thresholds: of all pairs (least joint confidence, most
probability of an emergency), the one that accepts most, among those whose accepted labels are
wrong at most `risk` and whose missed emergencies are at most `emergent_risk`, each as a
Clopper-Pearson bound at the stated confidence; joint thresholds are tried from strict to lax
and the first that fails ends the search (fixed-sequence testing, as in Angelopoulos et al.,
"Learn then Test", 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from shared.contracts import Urgency
from shared.red_flags import RedFlag
from training.corpus import Example
from training.metrics import Bools, Floats, Ints, binomial_upper, sigmoid, softmax
from workers.fast_tier.manifest import Temperatures
from workers.fast_tier.scores import Scores
from workers.routing import RoutingPolicy, decide


@dataclass(frozen=True, kw_only=True)
class RiskOptions:
    """What the thresholds promise."""

    risk: float = 0.05  # most accepted labels wrong in either head
    confidence: float = 0.95
    emergent_risk: float = 0.05  # most emergent messages accepted as less
    unfamiliar_share: float = 0.005  # strangest validation messages, always escalated


@dataclass(frozen=True)
class HeadTruth:
    """Truth of the heads, as arrays."""

    primary: Ints
    members: Bools
    urgency: Ints


def truth_of(examples: Sequence[Example], names: Sequence[str]) -> HeadTruth:
    """Labels as indices."""
    members = np.zeros((len(examples), len(names)), dtype=bool)
    for i, example in enumerate(examples):
        members[i, [names.index(c) for c in example.categories]] = True
    return HeadTruth(
        np.array([names.index(e.primary) for e in examples]),
        members,
        np.array([e.urgency.rank for e in examples]),
    )


def fit_temperatures(
    primary: Floats, members: Floats, urgency: Floats, truth: HeadTruth
) -> Temperatures:
    """The temperature of each head with the least negative log-likelihood."""

    def softmax_loss(logits: Floats, labels: Ints) -> Callable[[float], float]:
        rows = np.arange(len(labels))
        return lambda t: float(-np.log(softmax(logits, t)[rows, labels].clip(1e-12)).mean())

    def members_loss(t: float) -> float:
        p = sigmoid(members / t).clip(1e-7, 1 - 1e-7)
        return float(-np.where(truth.members, np.log(p), np.log(1 - p)).mean())

    return Temperatures(
        primary=minimise(softmax_loss(primary, truth.primary)),
        members=minimise(members_loss),
        urgency=minimise(softmax_loss(urgency, truth.urgency)),
    )


def minimise(loss: Callable[[float], float], low: float = 0.2, high: float = 6.0) -> float:
    """Golden-section search on a logarithmic scale."""
    golden = (5**0.5 - 1) / 2
    a, b = np.log(low), np.log(high)
    for _ in range(40):
        c, d = b - golden * (b - a), a + golden * (b - a)
        if loss(float(np.exp(c))) < loss(float(np.exp(d))):
            b = d
        else:
            a = c
    return round(float(np.exp((a + b) / 2)), 4)


def choose_member_threshold(members: Floats, primary: Ints, truth: Bools) -> float:
    """Threshold with the best micro-F1 of the set, the primary always in it."""
    best, chosen = -1.0, 0.5
    rows = np.arange(len(primary))
    for threshold in np.arange(0.2, 0.81, 0.02):
        said = members >= threshold
        said[rows, primary] = True
        hit = (said & truth).sum()
        f1 = 2 * hit / (said.sum() + truth.sum())
        if f1 > best:
            best, chosen = float(f1), float(threshold)
    return round(chosen, 2)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Thresholds with what they came to on the validation data."""

    policy: RoutingPolicy
    n: int
    accepted: int
    wrong: int
    wrong_bound: float
    emergent: int
    emergent_missed: int
    emergent_missed_bound: float


_EMERGENT_GRID: Final = tuple(
    np.round(np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.52, 0.05)]), 3)
)
#: Where the risk is tested, from strict to lax: at this share of the eligible messages, then at
#: every so many more. Coarse on purpose: one early error, on few messages, would end the search.
_FIRST_SHARE: Final = 0.2
_STEP: Final = 75


def choose_policy(
    scores: Sequence[Scores],
    flags: Sequence[Sequence[RedFlag]],
    examples: Sequence[Example],
    policy: RoutingPolicy,
    options: RiskOptions,
) -> Chosen:
    """The policy that accepts most within the risks, by validation messages."""
    familiarity = np.array([s.familiarity for s in scores if s.language in policy.languages])
    open_policy = replace(
        policy,
        min_joint=0.0,
        min_category=0.0,
        min_urgency=0.0,
        max_emergent=2.0,
        min_familiarity=round(float(np.quantile(familiarity, options.unfamiliar_share)), 4),
    )
    table = _Table(scores, flags, examples, open_policy)
    best: Chosen | None = None
    for max_emergent in _EMERGENT_GRID:
        found = _lowest_joint(table, float(max_emergent), open_policy, options)
        if found and (best is None or found.accepted > best.accepted):
            best = found
    if best is None:  # nothing can be promised: everything goes to the LLM
        none = np.zeros(len(scores), dtype=bool)
        return table.chosen(none, replace(open_policy, min_joint=2.0))
    return best


class _Table:
    """What deciding needs, once per message, by the very function that the worker uses."""

    def __init__(
        self,
        scores: Sequence[Scores],
        flags: Sequence[Sequence[RedFlag]],
        examples: Sequence[Example],
        policy: RoutingPolicy,
    ) -> None:
        decisions = [decide(s, f, policy) for s, f in zip(scores, flags, strict=True)]
        self.eligible = np.array([d.accepted for d in decisions])
        self.joint = np.array([s.category_confidence * s.urgency_confidence for s in scores])
        self.p_emergent = np.array([s.urgency_probabilities[0] for s in scores])
        self.said_emergent = np.array([s.urgency is Urgency.EMERGENT for s in scores])
        self.is_emergent = np.array([e.urgency is Urgency.EMERGENT for e in examples])
        self.wrong = np.array(
            [
                d.label.categories[0] != e.primary or d.label.urgency is not e.urgency
                for d, e in zip(decisions, examples, strict=True)
            ]
        )

    def accepted(self, min_joint: float, max_emergent: float) -> Bools:
        """Which messages these thresholds accept."""
        safe = self.said_emergent | (self.p_emergent < max_emergent)
        result: Bools = self.eligible & safe & (self.joint >= min_joint)
        return result

    def chosen(self, accepted: Bools, policy: RoutingPolicy, confidence: float = 0.95) -> Chosen:
        """Counts and bounds of a policy."""
        n, wrong = int(accepted.sum()), int((accepted & self.wrong).sum())
        emergent = int(self.is_emergent.sum())
        missed = int((accepted & self.is_emergent & ~self.said_emergent).sum())
        return Chosen(
            policy=policy,
            n=len(accepted),
            accepted=n,
            wrong=wrong,
            wrong_bound=binomial_upper(wrong, n, confidence),
            emergent=emergent,
            emergent_missed=missed,
            emergent_missed_bound=binomial_upper(missed, emergent, confidence),
        )


def _lowest_joint(
    table: _Table, max_emergent: float, policy: RoutingPolicy, options: RiskOptions
) -> Chosen | None:
    """Thresholds from strict to lax until a bound breaks; the last that held."""
    open_joint = np.sort(table.joint[table.accepted(0.0, max_emergent)])[::-1]
    # Fewer than this many cannot keep the bound even without an error.
    fewest = int(np.ceil(np.log(1 - options.confidence) / np.log(1 - options.risk)))
    held: Chosen | None = None
    if len(open_joint) <= fewest:
        return None
    first = max(fewest, int(_FIRST_SHARE * len(open_joint)))
    for place in [*range(first, len(open_joint), _STEP), len(open_joint) - 1]:
        threshold = round(float(open_joint[place]) - 5e-5, 4)
        candidate = table.chosen(
            table.accepted(threshold, max_emergent),
            replace(policy, min_joint=threshold, max_emergent=max_emergent),
            options.confidence,
        )
        too_risky = candidate.wrong_bound > options.risk
        if too_risky or candidate.emergent_missed_bound > options.emergent_risk:
            break
        held = candidate
    return held
