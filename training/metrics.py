"""Figures of merit of predictions, in numpy, without any model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Row-wise softmax."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(-1, keepdims=True)
    powers = np.exp(scaled)
    result: Floats = powers / powers.sum(-1, keepdims=True)
    return result


def sigmoid(logits: Floats) -> Floats:
    """Element-wise logistic function, safe for large values."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return result


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """Precision, recall, F1 and count of one class."""

    precision: float
    recall: float
    f1: float
    support: int


def per_class(truth: Ints, predicted: Ints, n_classes: int) -> list[ClassFigures]:
    """Figures of each class; an absent class has zeros."""
    rows = []
    for c in range(n_classes):
        hit = int(((truth == c) & (predicted == c)).sum())
        said, real = int((predicted == c).sum()), int((truth == c).sum())
        precision = hit / said if said else 0.0
        recall = hit / real if real else 0.0
        f1 = 2 * hit / (said + real) if said + real else 0.0
        rows.append(ClassFigures(precision=precision, recall=recall, f1=f1, support=real))
    return rows


def macro_f1(truth: Ints, predicted: Ints, n_classes: int) -> float:
    """Mean F1 of the classes that occur in the truth or the prediction."""
    rows = per_class(truth, predicted, n_classes)
    seen = [r.f1 for c, r in enumerate(rows) if r.support or (predicted == c).any()]
    return float(np.mean(seen)) if seen else 0.0


def confusion(truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Counts, truth in rows."""
    table = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(table, (truth, predicted), 1)
    return table


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share; (0, 1) for nothing seen."""
    if not n:
        return 0.0, 1.0
    p, zz = hits / n, z * z
    middle = p + zz / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    return (middle - reach) / (1 + zz / n), (middle + reach) / (1 + zz / n)


def binomial_upper(errors: int, n: int, confidence: float = 0.95) -> float:
    """Clopper-Pearson upper bound of an error rate, by bisection of the binomial tail."""
    if n == 0 or errors >= n:
        return 1.0
    low, high = errors / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_cdf(errors, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _binomial_cdf(k: int, n: int, p: float) -> float:
    log_p, log_q = math.log(p), math.log1p(-p)
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * log_p
        + (n - i) * log_q
        for i in range(k + 1)
    ]
    top = max(logs)
    return math.exp(top) * math.fsum(math.exp(x - top) for x in logs)


def expected_calibration_error(confidence: Floats, right: Bools, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by count."""
    where = np.clip((confidence * bins).astype(int), 0, bins - 1)
    gap = 0.0
    for b in range(bins):
        mask = where == b
        if mask.any():
            gap += float(mask.mean()) * abs(float(confidence[mask].mean() - right[mask].mean()))
    return gap


def coverage_at(confidence: Floats, wrong: Bools, most_wrong: float) -> float:
    """Largest share, most confident first, of which at most `most_wrong` is wrong."""
    order = np.argsort(-confidence, kind="stable")
    rate = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(rate <= most_wrong)
    return float((good[-1] + 1) / len(order)) if len(good) else 0.0


def bootstrap(
    statistic: Callable[[Ints], float], n: int, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a statistic of row indices, by resampling rows."""
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, n, n)) for _ in range(draws)]
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))
