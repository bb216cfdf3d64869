"""Predictions of a bundle against the labels: every figure of the report, as plain data.

Runs the code that the worker runs, red flags and routing included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from shared.contracts import Urgency
from shared.red_flags import RedFlag
from training.corpus import Example
from training.metrics import (
    Bools,
    Floats,
    Ints,
    binomial_upper,
    bootstrap,
    confusion,
    coverage_at,
    expected_calibration_error,
    macro_f1,
    per_class,
    wilson,
)
from workers.fast_tier.scores import Scores
from workers.routing import Decision, RoutingPolicy, decide


@dataclass(frozen=True)
class Judged:
    """Messages with what the tier said of them."""

    examples: Sequence[Example]
    scores: Sequence[Scores]
    decisions: Sequence[Decision]
    flags: Sequence[Sequence[RedFlag]]
    names: tuple[str, ...]

    def arrays(self) -> Arrays:
        """The same in numbers."""
        names = self.names
        category = np.array([s.category_probabilities for s in self.scores])
        urgency = np.array([s.urgency_probabilities for s in self.scores])
        said, truth = (np.zeros((len(self.scores), len(names)), dtype=bool) for _ in range(2))
        for i, (s, e) in enumerate(zip(self.scores, self.examples, strict=True)):
            said[i, [names.index(c) for c in s.category_set]] = True
            truth[i, [names.index(c) for c in e.categories]] = True
        return Arrays(
            category_truth=np.array([names.index(e.primary) for e in self.examples]),
            category=category,
            urgency_truth=np.array([e.urgency.rank for e in self.examples]),
            urgency=urgency,
            members_truth=truth,
            members_said=said,
            accepted=np.array([d.accepted for d in self.decisions]),
            flagged=np.array([bool(f) for f in self.flags]),
            flagged_emergent=np.array(
                [any(x.urgency is Urgency.EMERGENT for x in f) for f in self.flags]
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Truth, probabilities and decisions of many messages."""

    category_truth: Ints
    category: Floats
    urgency_truth: Ints
    urgency: Floats
    members_truth: Bools
    members_said: Bools
    accepted: Bools
    flagged: Bools
    flagged_emergent: Bools

    def take(self, rows: Ints | Bools) -> Arrays:
        """Some of the messages."""
        return Arrays(**{name: value[rows] for name, value in vars(self).items()})

    @property
    def wrong(self) -> Bools:
        """Wrong in the primary category or in the urgency."""
        result: Bools = (self.category.argmax(1) != self.category_truth) | (
            self.urgency.argmax(1) != self.urgency_truth
        )
        return result

    @property
    def joint(self) -> Floats:
        """Confidence in both heads together."""
        result: Floats = self.category.max(1) * self.urgency.max(1)
        return result


def judge_all(
    examples: Sequence[Example],
    scores: Sequence[Scores],
    flags: Sequence[Sequence[RedFlag]],
    policy: RoutingPolicy,
    names: tuple[str, ...],
) -> Judged:
    """Route every message."""
    decisions = [decide(s, f, policy) for s, f in zip(scores, flags, strict=True)]
    return Judged(examples, scores, decisions, flags, names)


def headline(a: Arrays) -> dict[str, Any]:
    """The figures by which a bundle is chosen and released."""
    category, urgency = a.category.argmax(1), a.urgency.argmax(1)
    emergent = a.urgency_truth == 0
    caught = emergent & (~a.accepted | (urgency == 0) | a.flagged)
    n_emergent, n_caught = int(emergent.sum()), int(caught.sum())
    accepted, wrong = int(a.accepted.sum()), int((a.accepted & a.wrong).sum())
    n_classes = a.category.shape[1]
    hit = int((a.members_said & a.members_truth).sum())
    union = (a.members_said | a.members_truth).sum(1)
    return {
        "n": len(category),
        "category_accuracy": float((category == a.category_truth).mean()),
        "category_macro_f1": macro_f1(a.category_truth, category, n_classes),
        "urgency_accuracy": float((urgency == a.urgency_truth).mean()),
        "urgency_macro_f1": macro_f1(a.urgency_truth, urgency, 3),
        "emergent_recall_argmax": float((urgency[emergent] == 0).mean()) if n_emergent else None,
        "emergent": n_emergent,
        "emergent_caught": n_caught,
        "emergent_recall_tier": n_caught / n_emergent if n_emergent else None,
        "emergent_recall_tier_lower": wilson(n_caught, n_emergent)[0],
        "both_right": float((~a.wrong).mean()),
        "accepted_share": accepted / len(category),
        "accepted_wrong": wrong / accepted if accepted else 0.0,
        "accepted_wrong_upper": binomial_upper(wrong, accepted),
        "coverage_at_5_percent_wrong": coverage_at(a.joint, a.wrong, 0.05),
        "llm_share": 1 - accepted / len(category),
        "set_micro_f1": 2 * hit / max(1, int(a.members_said.sum() + a.members_truth.sum())),
        "set_macro_f1": _set_macro_f1(a),
        "set_jaccard": float(
            ((a.members_said & a.members_truth).sum(1) / np.maximum(1, union)).mean()
        ),
        "category_ece": expected_calibration_error(a.category.max(1), category == a.category_truth),
        "urgency_ece": expected_calibration_error(a.urgency.max(1), urgency == a.urgency_truth),
    }


def _set_macro_f1(a: Arrays) -> float:
    hit = (a.members_said & a.members_truth).sum(0)
    total = a.members_said.sum(0) + a.members_truth.sum(0)
    return float(np.mean((2 * hit / np.maximum(1, total))[total > 0]))


_INTERVALS = (
    "category_accuracy",
    "category_macro_f1",
    "urgency_accuracy",
    "urgency_macro_f1",
    "both_right",
    "accepted_share",
    "set_micro_f1",
)


def intervals(a: Arrays, draws: int = 500) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of the headline figures."""
    found = {}
    rng = np.random.default_rng(0)
    rows = [
        headline(a.take(rng.integers(0, len(a.accepted), len(a.accepted)))) for _ in range(draws)
    ]
    for name in _INTERVALS:
        values = [row[name] for row in rows]
        found[name] = (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
    return found


def class_table(
    truth: Ints, predicted: Ints, names: Sequence[str], draws: int = 500
) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class, F1 with its bootstrap interval."""
    rows = []
    for c, (name, figures) in enumerate(
        zip(names, per_class(truth, predicted, len(names)), strict=True)
    ):

        def f1(rows_: Ints, c: int = c) -> float:
            return per_class(truth[rows_] == c, predicted[rows_] == c, 2)[1].f1

        rows.append(
            {"name": name, **asdict(figures), "f1_interval": bootstrap(f1, len(truth), draws=draws)}
        )
    return rows


Slice = tuple[str, Callable[[Example, Scores], bool]]

SLICES: Sequence[Slice] = (
    ("up to 20 tokens", lambda _, s: s.n_tokens <= 20),
    ("21 to 60 tokens", lambda _, s: 20 < s.n_tokens <= 60),
    ("61 to 120 tokens", lambda _, s: 60 < s.n_tokens <= 120),
    ("over 120 tokens", lambda _, s: s.n_tokens > 120),
    ("sender patient", lambda e, _: e.sender == "patient"),
    ("sender parent", lambda e, _: e.sender == "parent"),
    ("sender caregiver", lambda e, _: e.sender == "caregiver"),
    ("sender other", lambda e, _: e.sender == "other"),
    ("with identifiers", lambda e, _: bool(e.identifiers)),
    ("without identifiers", lambda e, _: not e.identifiers),
    ("one topic", lambda e, _: len(e.categories) == 1),
    ("several topics", lambda e, _: len(e.categories) > 1),
    ("terse or non-native (lot F)", lambda e, s: e.lot == "F" and s.language == "en"),
    ("Spanish", lambda _, s: s.language == "es"),
)


def slices(judged: Judged) -> list[dict[str, Any]]:
    """The headline of each slice that has messages, lots included."""
    arrays = judged.arrays()
    lots = sorted({e.lot for e in judged.examples})
    by_lot: list[Slice] = [
        (f"lot {lot}", lambda e, _, lot=lot: e.lot == lot)  # type: ignore[misc]
        for lot in lots
    ]
    rows = []
    for name, belongs in (*SLICES, *by_lot):
        mask = np.array(
            [belongs(e, s) for e, s in zip(judged.examples, judged.scores, strict=True)]
        )
        if mask.any():
            rows.append({"slice": name, **headline(arrays.take(mask))})
    return rows


def confusions(a: Arrays) -> dict[str, list[list[int]]]:
    """Confusion counts of both heads, truth in rows."""
    n = a.category.shape[1]
    return {
        "category": confusion(a.category_truth, a.category.argmax(1), n).tolist(),
        "urgency": confusion(a.urgency_truth, a.urgency.argmax(1), 3).tolist(),
    }


def worst(judged: Judged, count: int = 30) -> list[dict[str, Any]]:
    """Wrong answers, those most confidently given first."""
    rows: list[dict[str, Any]] = []
    for e, s, d in zip(judged.examples, judged.scores, judged.decisions, strict=True):
        if s.category_set[0] == e.primary and s.urgency is e.urgency:
            continue
        rows.append(
            {
                "id": e.id,
                "text": e.text,
                "truth": f"{', '.join(e.categories)} · {e.urgency}",
                "said": f"{', '.join(s.category_set)} · {s.urgency}",
                "confidence": s.category_confidence * s.urgency_confidence,
                "accepted": d.accepted,
                "reasons": list(d.reasons),
            }
        )
    rows.sort(key=lambda r: (-bool(r["accepted"]), -float(r["confidence"])))
    return rows[:count]
