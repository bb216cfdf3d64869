"""Fine-tuning the classifier: options, the loop, and predictions of a trained model."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.optim.optimizer import ParamsT

from shared.contracts import Urgency
from training.augment import Augmenter, AugmentOptions
from training.composed import compose, matching_skeletons
from training.corpus import Example
from training.encode import length_batches, load_tokenizer, pad, token_ids
from training.losses import Targets, heads_loss
from training.metrics import Floats
from training.network import DEFAULT_BASE, Classifier, Logits, new_classifier

#: Three times as fast as float32 where the CPU multiplies in it, a hundred times slower where it
#: is emulated (AVX2 only).
_BFLOAT16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Everything that decides a run, stored in the bundle."""

    base: str = DEFAULT_BASE
    epochs: float = 4.0
    batch: int = 32
    lr: float = 1e-4  # of the encoder's top layer
    layer_decay: float = 0.9  # each layer below learns this much slower
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06  # share of the steps
    dropout: float = 0.1
    smoothing: float = 0.05
    secondary_share: float = 0.12  # of the primary target, given to the other categories
    members_weight: float = 1.0
    cost_weight: float = 0.3  # of the expected cost of a wrong urgency
    ema: float = 0.0  # decay of the averaged weights; 0 trains without
    max_tokens: int = 256
    freeze_embeddings: bool = True
    augment: AugmentOptions | None = field(default_factory=AugmentOptions)
    composed: float = 1.0  # wordings of each skeleton per epoch (training.composed)
    seed: int = 1


@dataclass(frozen=True)
class Predictions:
    """Raw logits of every head for some examples, in their order."""

    primary: Floats
    members: Floats
    urgency: Floats
    pooled: Floats

    @property
    def logits(self) -> Floats:
        """All heads side by side, in the order of the graph's output."""
        return np.concatenate([self.primary, self.members, self.urgency], axis=1)


Report = Callable[[int, int, float], None]  # step, of steps, loss


def targets_of(examples: Sequence[Example], names: Sequence[str], share: float) -> Targets:
    """Soft targets: a second category takes a part of the primary's mass."""
    primary = np.zeros((len(examples), len(names)), dtype=np.float32)
    members = np.zeros_like(primary)
    urgency = np.zeros((len(examples), len(Urgency)), dtype=np.float32)
    for i, example in enumerate(examples):
        places = [names.index(c) for c in example.categories]
        members[i, places] = 1.0
        rest = share if len(places) > 1 else 0.0
        primary[i, places[1:]] = rest / max(1, len(places) - 1)
        primary[i, places[0]] = 1.0 - rest
        urgency[i, example.urgency.rank] = 1.0
    return Targets(*(torch.from_numpy(a) for a in (primary, members, urgency)))


def parameter_groups(model: Classifier, options: TrainOptions) -> ParamsT:
    """Layer-wise rates: heads fastest, each layer slower than the one above it."""
    depth = model.encoder.config.num_hidden_layers
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("heads"):
            rate = options.head_lr
        else:
            layer = next((int(p) for p in name.split(".") if p.isdigit()), -1)
            rate = options.lr * options.layer_decay ** (depth - 1 - layer)
        decay = 0.0 if parameter.ndim == 1 else options.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": rows, "lr": rate, "weight_decay": decay}
        for (rate, decay), rows in groups.items()
    ]


def freeze(model: Classifier, options: TrainOptions) -> None:
    """Word embeddings stay as pre-trained: 6,000 messages do not cover them."""
    unused = getattr(model.encoder, "pooler", None)
    if unused is not None:
        for parameter in unused.parameters():
            parameter.requires_grad_(False)
    if options.freeze_embeddings:
        for name, parameter in model.encoder.named_parameters():
            if "word_embeddings" in name or "position_embeddings" in name:
                parameter.requires_grad_(False)


class Averaged:
    """Exponential moving average of the trained weights."""

    def __init__(self, model: Classifier, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._live = [p for p in model.parameters() if p.requires_grad]
        self._mean = [p.detach().clone() for p in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Take the current weights in."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Put the average in the model's place."""
        for live, mean in zip(self._live, self._mean, strict=True):
            live.copy_(mean)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Linear up, cosine down to 2 %."""
    rise = max(1, int(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    through = (step - rise) / max(1, steps - rise)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, through)))


Batch = tuple[Tensor, Tensor, Targets]
LossOf = Callable[[Logits, Targets], Tensor]


def fit(
    model: Classifier,
    batches: Callable[[int], Iterator[Batch]],
    steps_per_epoch: int,
    options: TrainOptions,
    loss_of: LossOf,
    report: Report | None = None,
) -> Classifier:
    """Train in place, in bfloat16 where the CPU has it; returns the model in evaluation mode."""
    freeze(model, options)
    groups = parameter_groups(model, options)
    optimizer = torch.optim.AdamW(groups, lr=options.lr, foreach=True)
    base_rates = [group["lr"] for group in optimizer.param_groups]
    averaged = Averaged(model, options.ema) if options.ema else None
    steps, step, epoch = max(1, int(steps_per_epoch * options.epochs)), 0, 0
    model.train()
    while step < steps:
        for ids, mask, targets in batches(epoch):
            if step >= steps:
                break
            factor = schedule(step, steps, options.warmup)
            for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * factor
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_BFLOAT16):
                logits = model(ids, mask)
            loss = loss_of(logits, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad()
            if averaged:
                averaged.update()
            step += 1
            if report:
                report(step, steps, float(loss.detach()))
        epoch += 1
    if averaged:
        averaged.copy_to_model()
    return model.eval()


def train(
    examples: Sequence[Example],
    names: Sequence[str],
    options: TrainOptions,
    *,
    start: Classifier | None = None,
    report: Report | None = None,
) -> Classifier:
    """A classifier fine-tuned on the examples, from the base encoder or from `start`."""
    torch.manual_seed(options.seed)
    model = (
        copy.deepcopy(start) if start else new_classifier(options.base, len(names), options.dropout)
    )
    tokenizer = load_tokenizer(options.base)
    augment = Augmenter(examples, options.augment, options.seed) if options.augment else None
    skeletons = matching_skeletons(names) if options.composed else []

    def batches(epoch: int) -> Iterator[Batch]:
        rng = random.Random(1000 * options.seed + epoch)
        rows = [*examples, *compose(skeletons, rng, options.composed)]
        rows = [augment(e) for e in rows] if augment else rows
        ids = token_ids(tokenizer, [e.text for e in rows], options.max_tokens)
        for chosen in length_batches([len(i) for i in ids], options.batch, rng):
            targets = targets_of([rows[i] for i in chosen], names, options.secondary_share)
            yield *pad([ids[i] for i in chosen]), targets

    def loss_of(logits: Logits, targets: Targets) -> Tensor:
        return heads_loss(
            logits,
            targets,
            smoothing=options.smoothing,
            members_weight=options.members_weight,
            cost_weight=options.cost_weight,
        )

    per_epoch = len(examples) + int(options.composed * len(skeletons))
    steps_per_epoch = math.ceil(per_epoch / options.batch)
    return fit(model, batches, steps_per_epoch, options, loss_of, report)


@torch.inference_mode()
def predict(
    model: Classifier, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int = 256
) -> Predictions:
    """Logits for texts, in batches of like length (float32: padding changes nothing)."""
    ids = token_ids(tokenizer, texts, max_tokens)
    n, width = model.n_categories, model.encoder.config.hidden_size
    shapes = (n, n, len(Urgency), width)
    out = Predictions(*(np.zeros((len(texts), w)) for w in shapes))
    model.eval()
    for chosen in length_batches([len(i) for i in ids], 32):
        logits = model(*pad([ids[i] for i in chosen]))
        for head in ("primary", "members", "urgency", "pooled"):
            getattr(out, head)[chosen] = getattr(logits, head).double().numpy()
    return out


def options_as_dict(options: TrainOptions) -> dict[str, Any]:
    """For the bundle and the reports."""
    return asdict(options)
