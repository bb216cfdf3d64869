"""Leave lots out: train on some writers, test on the others.

Random splits hold the same writers on both sides and flatter every model; what a new hospital
will see is other writers. Every choice of recipe is made by this.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training import finetune
from training.composed import compose, matching_skeletons
from training.corpus import Example
from training.encode import load_tokenizer
from training.finetune import TrainOptions
from training.linear import LinearOptions, fit_linear
from training.metrics import Floats, softmax
from training.quick import figures_of
from workers.fast_tier.manifest import LinearWeights

Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Fold:
    """Lots that one model does not see."""

    name: str
    train: list[Example]
    held_out: list[Example]  # messages of the left-out lots
    inside: list[Example]  # validation messages of the lots that were trained on


def folds(
    train: Sequence[Example], dev: Sequence[Example], lots_left_out: Sequence[str]
) -> Iterator[Fold]:
    """One fold for each group of lots, e.g. ``B,G,L,O,R``."""
    for group in lots_left_out:
        lots = {lot.strip() for lot in group.split(",") if lot.strip()}
        yield Fold(
            group,
            [e for e in train if e.lot not in lots],
            [e for e in (*train, *dev) if e.lot in lots],
            [e for e in dev if e.lot not in lots],
        )


def spread(train: Sequence[Example], count: int) -> list[str]:
    """All lots dealt into `count` groups, every count-th lot in one group."""
    lots = sorted({e.lot for e in train})
    return [",".join(lots[i::count]) for i in range(count)]


def transformer_logits(
    fold: Fold, names: Sequence[str], options: TrainOptions, report: Report
) -> tuple[Floats, Floats]:
    """Raw logits of a fine-tuned encoder on both sides of a fold."""
    model = finetune.train(fold.train, names, options, report=report)
    tokenizer = load_tokenizer(options.base)
    return tuple(  # type: ignore[return-value]  # two sides, two arrays
        finetune.predict(model, tokenizer, [e.text for e in side], options.max_tokens).logits
        for side in (fold.held_out, fold.inside)
    )


def linear_logits(
    fold: Fold, names: Sequence[str], options: LinearOptions, composed: float
) -> tuple[Floats, Floats]:
    """The same of the linear model."""
    rng = random.Random(options.seed)
    more = compose(matching_skeletons(names), rng, composed) if composed else []
    model = fit_linear([*fold.train, *more], names, options)
    return (
        model.logits([e.text for e in fold.held_out]),
        model.logits([e.text for e in fold.inside]),
    )


def blended(one: Floats, two: Floats, n: int, weights: LinearWeights) -> Floats:
    """Weighted mean of log-probabilities, as workers.fast_tier.blend computes it."""

    def logs(x: Floats) -> Floats:
        return np.log(softmax(x).clip(1e-12))

    def mix(a: Floats, b: Floats, weight: float) -> Floats:
        return (1 - weight) * a + weight * b

    return np.concatenate(
        [
            mix(logs(one[:, :n]), logs(two[:, :n]), weights.category),
            mix(one[:, n : 2 * n], two[:, n : 2 * n], weights.category),
            mix(logs(one[:, 2 * n :]), logs(two[:, 2 * n :]), weights.urgency),
        ],
        axis=1,
    )


def figures(
    fold: Fold, logits: tuple[Floats, Floats], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Figures on both sides."""
    return {
        "held out": figures_of(logits[0], fold.held_out, names),
        "inside": figures_of(logits[1], fold.inside, names),
    }
