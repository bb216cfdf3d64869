"""Train the token classifier: corpus messages with values exchanged, and made-up sentences.

    python -m training.deid.train --base MINILM_FOLDER --corpus training/data --out RUN_FOLDER

Reads top to bottom. Choices are made on dev only; the run folder keeps the options, the hashes
of the data and the losses, so that the released bundle can say what made it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training.deid.compose import Composer, Noise, Pieces, Shares
from training.deid.encode import IGNORED, Example, encode
from training.deid.network import TokenClassifier
from training.deid.surfaces import Surfaces
from workers.deid.marks import segments


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that shapes a run."""

    layers: int = 4
    seed: int = 11
    minutes: float = 25.0  # the schedule runs over wall-clock time: the machine is shared
    batch_tokens: int = 2048
    max_tokens: int = 192
    rate: float = 3e-4  # of the encoder; frozen word embeddings keep unseen names where they were
    rate_new: float = 1e-3  # of shapes and head, which start from nothing
    weight_decay: float = 0.01
    warm_up: float = 0.05  # share of the run
    corpus_share: float = 0.5  # of texts; the rest is made up
    replace: float = 0.55  # of a corpus message's values


def batches(
    options: Options, tokenizer: Tokenizer, rows: list[dict[str, str]]
) -> Iterator[list[Example]]:
    """Endless batches of texts of about one length."""
    composer = Composer(Surfaces(options.seed), Shares())
    noise = Noise(options.seed + 1)
    draw = random.Random(options.seed + 2)
    order: list[int] = []
    while True:
        pool: list[Example] = []
        for _ in range(512):
            pieces: Pieces
            if draw.random() < options.corpus_share:
                if not order:
                    order = draw.sample(range(len(rows)), len(rows))
                marked = rows[order.pop()]["text"]
                plain = draw.random() < 0.3
                pieces = segments(marked) if plain else composer.vary(marked, options.replace)
            else:
                pieces = composer.template()
            pool.append(encode(tokenizer, noise.apply(pieces), options.max_tokens))
        pool.sort(key=lambda example: len(example.ids))
        packed: list[list[Example]] = []
        batch: list[Example] = []
        for example in pool:
            if batch and len(example.ids) * (len(batch) + 1) > options.batch_tokens:
                packed.append(batch)
                batch = []
            batch.append(example)
        packed.append(batch)
        draw.shuffle(packed)
        yield from packed


def tensors(batch: list[Example]) -> tuple[torch.Tensor, ...]:
    """Ids, shapes, gaps, attention and labels, padded to the longest."""
    longest = max(len(example.ids) for example in batch)

    def padded(field: str, fill: int) -> torch.Tensor:
        rows = [getattr(example, field) for example in batch]
        return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])

    attention = torch.tensor(
        [[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in batch]
    )
    return (
        padded("ids", 0),
        padded("shapes", 0),
        padded("gaps", 0),
        attention,
        padded("labels", IGNORED),
    )


@click.command()
@click.option(
    "--base",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="Folder with MiniLM's weights and tokenizer.json.",
)
@click.option(
    "--corpus",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="Folder with train.jsonl and written.jsonl.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder to write.")
@click.option("--minutes", default=Options.minutes, show_default=True)
@click.option("--seed", default=Options.seed, show_default=True)
@click.option("--rate", default=Options.rate, show_default=True)
@click.option(
    "--start", type=click.Path(exists=True, path_type=Path), help="Go on from this run's weights."
)
def main(
    base: Path, corpus: Path, out: Path, minutes: float, seed: int, rate: float, start: Path | None
) -> None:
    """Train for a stated time and write weights.pt and run.json."""
    options = Options(minutes=minutes, seed=seed, rate=rate)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    raw = b"".join((corpus / name).read_bytes() for name in ("train.jsonl", "written.jsonl"))
    rows = [json.loads(line) for line in raw.decode().splitlines()]

    model = TokenClassifier(base, options.layers)
    stages = []
    if start is not None:
        model.load_state_dict(torch.load(start / "weights.pt"))
        stages = json.loads((start / "run.json").read_text())["stages"]
    model.encoder.embeddings.word_embeddings.weight.requires_grad = False
    fresh = [*model.shapes.parameters(), *model.gaps.parameters(), *model.head.parameters()]
    others = [p for p in model.encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": others, "lr": options.rate}, {"params": fresh, "lr": options.rate_new}],
        weight_decay=options.weight_decay,
    )
    peaks = [group["lr"] for group in optimiser.param_groups]
    began, steps, texts, tokens, smooth = time.monotonic(), 0, 0, 0, math.nan
    losses: list[dict[str, float]] = []
    model.train()
    for batch in batches(options, tokenizer, rows):
        done = (time.monotonic() - began) / (60 * options.minutes)
        if done >= 1:
            break
        factor = min(done / options.warm_up, (1 - done) / (1 - options.warm_up)) + 1e-3
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        ids, shapes, gaps, attention, labels = tensors(batch)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids, shapes, gaps, attention)
        loss = functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        steps, texts, tokens = steps + 1, texts + len(batch), tokens + int(attention.sum())
        smooth = loss.item() if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss.item()
        if steps % 100 == 0:
            losses.append({"step": steps, "loss": round(smooth, 4)})
            print(
                f"{done:5.1%} step {steps} texts {texts} tokens {tokens} loss {smooth:.4f}",
                flush=True,
            )
        if steps % 1000 == 0:
            torch.save(model.state_dict(), out / "weights.pt")

    torch.save(model.state_dict(), out / "weights.pt")
    stage = {
        "options": dataclasses.asdict(options),
        "shares": dataclasses.asdict(Shares()),
        "train_sha256": hashlib.sha256(raw).hexdigest(),
        "steps": steps,
        "texts": texts,
        "tokens": tokens,
        "losses": losses,
    }
    (out / "run.json").write_text(json.dumps({"stages": [*stages, stage]}, indent=1))


if __name__ == "__main__":
    main()
