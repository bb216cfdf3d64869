"""The few figures by which training runs are compared, from raw logits of any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.corpus import Example
from training.metrics import Floats, coverage_at, macro_f1, softmax


def figures_of(
    logits: Floats, examples: Sequence[Example], names: Sequence[str]
) -> dict[str, float]:
    """Accuracy of both heads, emergent recall, both right, coverage at 5 % wrong."""
    n = len(names)
    category = np.array([names.index(e.primary) for e in examples])
    urgency = np.array([e.urgency.rank for e in examples])
    said_category, said_urgency = logits[:, :n].argmax(1), logits[:, 2 * n :].argmax(1)
    joint = softmax(logits[:, :n]).max(1) * softmax(logits[:, 2 * n :]).max(1)
    wrong = (said_category != category) | (said_urgency != urgency)
    emergent = urgency == 0
    return {
        "category_accuracy": float((said_category == category).mean()),
        "category_macro_f1": macro_f1(category, said_category, n),
        "urgency_accuracy": float((said_urgency == urgency).mean()),
        "urgency_macro_f1": macro_f1(urgency, said_urgency, 3),
        "emergent_recall": float((said_urgency[emergent] == 0).mean()) if emergent.any() else 0.0,
        "both_right": float((~wrong).mean()),
        "coverage_at_5_percent_wrong": coverage_at(joint, wrong, 0.05),
    }


def as_line(label: str, figures: Mapping[str, float]) -> str:
    """One line for a log."""
    return f"{label}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
