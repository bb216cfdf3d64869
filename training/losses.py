"""The losses of the heads, and what a wrong urgency costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.network import Logits

#: Cost of saying column when row is true; order: emergent, urgent, routine. A missed emergency
#: costs most and falls with the distance: the ordinal part of the loss.
URGENCY_COSTS: Final = (
    (0.0, 2.0, 4.0),
    (0.5, 0.0, 1.5),
    (1.0, 0.5, 0.0),
)


@dataclass(frozen=True)
class Targets:
    """What a batch should come out as."""

    primary: Tensor  # batch × categories, rows sum to 1
    members: Tensor  # batch × categories, 0 or 1 (or a teacher's probability)
    urgency: Tensor  # batch × 3, rows sum to 1


def heads_loss(
    logits: Logits,
    targets: Targets,
    *,
    smoothing: float,
    members_weight: float,
    cost_weight: float,
) -> Tensor:
    """Cross-entropy of primary and urgency, BCE of the set, expected cost of the urgency."""
    primary = functional.cross_entropy(logits.primary, targets.primary, label_smoothing=smoothing)
    members = functional.binary_cross_entropy_with_logits(logits.members, targets.members)
    urgency = functional.cross_entropy(logits.urgency, targets.urgency, label_smoothing=smoothing)
    costs = targets.urgency @ torch.tensor(URGENCY_COSTS)
    expected = (logits.urgency.softmax(-1) * costs).sum(-1).mean()
    return primary + members_weight * members + urgency + cost_weight * expected


def distillation_loss(student: Logits, teacher: Targets, temperature: float) -> Tensor:
    """KL of the student's softened heads to the teacher's, scaled by T² (Hinton 2015)."""
    scale = temperature * temperature
    primary = functional.kl_div(
        functional.log_softmax(student.primary / temperature, -1),
        teacher.primary,
        reduction="batchmean",
    )
    urgency = functional.kl_div(
        functional.log_softmax(student.urgency / temperature, -1),
        teacher.urgency,
        reduction="batchmean",
    )
    members = functional.binary_cross_entropy_with_logits(student.members, teacher.members)
    return scale * (primary + urgency) + members
