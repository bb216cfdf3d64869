"""Before the heads: get the encoder used to the corpus, without and with its labels.

Masked language modelling (Gururangan et al. 2020, "Don't Stop Pretraining") needs no label.
The contrastive step pulls messages of equal primary category and urgency together and pushes
the others apart (Khosla et al. 2020, supervised contrastive loss), as SetFit does with pairs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.augment import Augmenter, AugmentOptions
from training.corpus import Example
from training.encode import length_batches, load_tokenizer, pad, token_ids
from training.finetune import TrainOptions, freeze, schedule
from training.network import Classifier, new_classifier

Report = Callable[[int, int, float], None]

_MASKED: Final = 0.2  # share of the tokens
_TEMPERATURE: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class WarmUpOptions:
    """How long to warm up; 0 does without."""

    mlm_epochs: float = 0.0
    contrastive_epochs: float = 0.0
    lr: float = 1e-4
    batch: int = 64


def warm_up(
    examples: Sequence[Example],
    names: Sequence[str],
    options: TrainOptions,
    warm: WarmUpOptions,
    report: Report,
) -> Classifier | None:
    """A classifier with a warmed-up encoder, or None where nothing was asked for."""
    if not warm.mlm_epochs and not warm.contrastive_epochs:
        return None
    torch.manual_seed(options.seed)
    model = new_classifier(options.base, len(names), options.dropout)
    freeze(model, options)
    if warm.mlm_epochs:
        _masked(model, examples, options, warm, report)
    if warm.contrastive_epochs:
        _contrastive(model, examples, options, warm, report)
    return model


def _masked(
    model: Classifier,
    examples: Sequence[Example],
    options: TrainOptions,
    warm: WarmUpOptions,
    report: Report,
) -> None:
    tokenizer = load_tokenizer(options.base)
    mask_id = tokenizer.token_to_id("[MASK]")
    if mask_id is None:
        mask_id = tokenizer.token_to_id("<mask>")
    ids = token_ids(tokenizer, [e.text for e in examples], options.max_tokens)
    hidden = model.encoder.config.hidden_size
    transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
    words = model.encoder.embeddings.word_embeddings.weight

    def loss_of(chosen: Sequence[int]) -> Tensor:
        tokens, mask = pad([ids[i] for i in chosen])
        hit = (torch.rand(tokens.shape) < _MASKED) & mask.bool()
        hit[:, 0] = False
        read = tokens.masked_fill(hit, mask_id)
        out = model.encoder(input_ids=read, attention_mask=mask)[0][hit]
        return functional.cross_entropy(transform(out) @ words.detach().T, tokens[hit])

    _run(model, [*transform.parameters()], [len(i) for i in ids], loss_of,
         warm.mlm_epochs, options, warm, report)  # fmt: skip


def _contrastive(
    model: Classifier,
    examples: Sequence[Example],
    options: TrainOptions,
    warm: WarmUpOptions,
    report: Report,
) -> None:
    augment = Augmenter(examples, options.augment or AugmentOptions(join=0.0), options.seed)
    tokenizer = load_tokenizer(options.base)
    labels = torch.tensor([hash((e.primary, e.urgency.rank)) for e in examples])

    def loss_of(chosen: Sequence[int]) -> Tensor:
        texts = [augment(examples[i]).text for i in chosen]
        unit = functional.normalize(
            model.pool(*pad(token_ids(tokenizer, texts, options.max_tokens))).float(), dim=-1
        )
        near = (unit @ unit.T) / _TEMPERATURE
        itself = torch.eye(len(chosen), dtype=torch.bool)
        same = (labels[list(chosen)][:, None] == labels[list(chosen)][None]) & ~itself
        logs = near - near.masked_fill(itself, float("-inf")).logsumexp(1, keepdim=True)
        paired = same.any(1)
        if not paired.any():
            return near.sum() * 0.0
        return -((logs * same).sum(1) / same.sum(1).clamp(min=1))[paired].mean()

    lengths = [len(e.text) for e in examples]
    _run(model, [], lengths, loss_of, warm.contrastive_epochs, options, warm, report)


def _run(
    model: Classifier,
    more: list[nn.Parameter],
    lengths: Sequence[int],
    loss_of: Callable[[Sequence[int]], Tensor],
    epochs: float,
    options: TrainOptions,
    warm: WarmUpOptions,
    report: Report,
) -> None:
    """The plain loop of both warm-ups."""
    live = [p for p in model.encoder.parameters() if p.requires_grad] + more
    optimizer = torch.optim.AdamW(live, lr=warm.lr, foreach=True)
    per_epoch = -(-len(lengths) // warm.batch)
    steps, step, epoch = max(1, int(per_epoch * epochs)), 0, 0
    model.train()
    while step < steps:
        rng = random.Random(31 * options.seed + epoch)
        for chosen in length_batches(lengths, warm.batch, rng):
            if step >= steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = warm.lr * schedule(step, steps, options.warmup)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(chosen)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(live, 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            report(step, steps, float(loss.detach()))
        epoch += 1
