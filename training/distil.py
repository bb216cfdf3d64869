"""A smaller model that learns from a larger one: Hinton, Vinyals, Dean 2015.

The student starts from some of the teacher's layers. Each epoch the messages are augmented
anew and the teacher (one model or several, their probabilities averaged) says what it thinks
of exactly these texts; the student learns both that and the label.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from training.augment import Augmenter
from training.composed import compose, matching_skeletons
from training.corpus import Example
from training.encode import length_batches, load_tokenizer, pad, token_ids
from training.finetune import Batch, Report, TrainOptions, fit, targets_of
from training.losses import Targets, distillation_loss, heads_loss
from training.network import Classifier, Logits, shaped_classifier


@dataclass(frozen=True, kw_only=True)
class DistilOptions:
    """What decides a student, beside the options of its training."""

    layers: tuple[int, ...] = (0, 2, 5)  # of the teacher, copied
    hidden: int = 0  # another width than the teacher's: nothing but the vocabulary is copied
    temperature: float = 2.0
    label_weight: float = 0.5  # of the true label beside the teacher


def student_of(teacher: Classifier, base: str, options: DistilOptions) -> Classifier:
    """A student made of the teacher's layers, or a narrow one with projected embeddings."""
    if not options.hidden or options.hidden == teacher.encoder.config.hidden_size:
        student = copy.deepcopy(teacher)
        layers = student.encoder.encoder.layer
        student.encoder.encoder.layer = nn.ModuleList(layers[i] for i in options.layers)
        student.encoder.config.num_hidden_layers = len(options.layers)
        return student
    student = shaped_classifier(
        base, teacher.n_categories, layers=len(options.layers), hidden=options.hidden
    )
    with torch.no_grad():  # the directions in which the teacher's embeddings differ most
        for part in ("word_embeddings", "position_embeddings"):
            wide = getattr(teacher.encoder.embeddings, part).weight
            _, _, basis = torch.pca_lowrank(wide, q=options.hidden, center=False)
            getattr(student.encoder.embeddings, part).weight.copy_(wide @ basis)
    return student


def distil(
    teachers: Sequence[Classifier],
    student: Classifier,
    examples: Sequence[Example],
    names: Sequence[str],
    options: TrainOptions,
    distilling: DistilOptions,
    report: Report | None = None,
) -> Classifier:
    """Train the student on augmented text with the teachers' opinions of it."""
    torch.manual_seed(options.seed)
    tokenizer = load_tokenizer(options.base)
    augment = Augmenter(examples, options.augment, options.seed) if options.augment else None
    skeletons = matching_skeletons(names) if options.composed else []
    hard: dict[int, Targets] = {}
    for teacher in teachers:
        teacher.eval()

    def batches(epoch: int) -> Iterator[Batch]:
        rng = random.Random(7000 * options.seed + epoch)
        rows = [*examples, *compose(skeletons, rng, options.composed)]
        rows = [augment(e) for e in rows] if augment else rows
        ids = token_ids(tokenizer, [e.text for e in rows], options.max_tokens)
        for chosen in length_batches([len(i) for i in ids], options.batch, rng):
            tokens, mask = pad([ids[i] for i in chosen])
            soft = opinion(teachers, tokens, mask, distilling.temperature)
            hard[id(soft)] = targets_of([rows[i] for i in chosen], names, options.secondary_share)
            yield tokens, mask, soft

    def loss_of(logits: Logits, soft: Targets) -> Tensor:
        labels = heads_loss(
            logits,
            hard.pop(id(soft)),
            smoothing=options.smoothing,
            members_weight=options.members_weight,
            cost_weight=options.cost_weight,
        )
        taught = distillation_loss(logits, soft, distilling.temperature)
        return taught + distilling.label_weight * labels

    per_epoch = len(examples) + int(options.composed * len(skeletons))
    return fit(
        student,
        batches,
        math.ceil(per_epoch / options.batch),
        replace(options, freeze_embeddings=options.freeze_embeddings and not distilling.hidden),
        loss_of,
        report,
    )


@torch.no_grad()
def opinion(
    teachers: Sequence[Classifier], ids: Tensor, mask: Tensor, temperature: float
) -> Targets:
    """Mean of the teachers' softened probabilities."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = [teacher(ids, mask) for teacher in teachers]
    primary = torch.stack([(s.primary / temperature).softmax(-1) for s in said]).mean(0)
    urgency = torch.stack([(s.urgency / temperature).softmax(-1) for s in said]).mean(0)
    members = torch.stack([s.members.sigmoid() for s in said]).mean(0)
    return Targets(primary, members, urgency)
