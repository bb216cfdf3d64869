"""`carelane model train`: fine-tune an encoder with both heads, or fit the linear model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from training import finetune, pipeline
from training.augment import AugmentOptions
from training.commands.options import (
    load_files,
    load_taxonomy,
    start_option,
    step_options,
    threads_option,
)
from training.encode import load_tokenizer
from training.linear import LinearOptions
from training.progress import steps
from training.quick import as_line, figures_of
from training.recipe import SHIPPED_RECIPE
from training.threads import use_threads
from training.warmup import WarmUpOptions, warm_up


@click.command("train")
@click.option("--kind", type=click.Choice(["transformer", "linear"]), default="transformer")
@click.option(
    "--base",
    default=SHIPPED_RECIPE.base,
    show_default=True,
    help="minilm-l6 (packaged), or a Hugging Face name or folder.",
)
@start_option
@click.option("--epochs", type=float, default=SHIPPED_RECIPE.epochs, show_default=True)
@click.option(
    "--lr",
    type=float,
    default=SHIPPED_RECIPE.lr,
    show_default=True,
    help="Learning rate of the encoder's top layer.",
)
@click.option("--layer-decay", type=float, default=SHIPPED_RECIPE.layer_decay, show_default=True)
@click.option("--batch", type=int, default=SHIPPED_RECIPE.batch, show_default=True)
@click.option(
    "--ema",
    type=float,
    default=SHIPPED_RECIPE.ema,
    show_default=True,
    help="Decay of the averaged weights; 0 trains without.",
)
@click.option(
    "--composed",
    type=float,
    default=SHIPPED_RECIPE.composed,
    show_default=True,
    help="Wordings of each composed skeleton per epoch.",
)
@click.option(
    "--cost",
    "cost_weight",
    type=float,
    default=SHIPPED_RECIPE.cost_weight,
    show_default=True,
    help="Weight of the cost of a wrong urgency.",
)
@click.option("--max-tokens", type=int, default=SHIPPED_RECIPE.max_tokens, show_default=True)
@click.option("--seed", type=int, default=SHIPPED_RECIPE.seed, show_default=True)
@click.option("--no-augment", is_flag=True, help="Train on the messages as they are.")
@click.option(
    "--mlm-epochs",
    type=float,
    default=0.0,
    show_default=True,
    help="Masked-language warm-up on the corpus first.",
)
@click.option(
    "--contrastive-epochs",
    type=float,
    default=0.0,
    show_default=True,
    help="Contrastive warm-up on same-label pairs first.",
)
@threads_option
@click.option("--output", type=click.Path(path_type=Path), help="Default: WORK/model.pt")
@step_options
def command(
    kind: str,
    base: str,
    start: Path | None,
    epochs: float,
    lr: float,
    layer_decay: float,
    batch: int,
    ema: float,
    composed: float,
    cost_weight: float,
    max_tokens: int,
    seed: int,
    no_augment: bool,
    mlm_epochs: float,
    contrastive_epochs: float,
    threads: int,
    output: Path | None,
    train: tuple[Path, ...],
    dev: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Train on --train and report on --dev."""
    use_threads(threads)
    taxonomy = load_taxonomy(taxonomy_path)
    examples, held_out = load_files(train, taxonomy), load_files([dev], taxonomy)
    names = taxonomy.category_names
    texts = [e.text for e in held_out]
    if kind == "linear":
        model = pipeline.train_linear(examples, taxonomy, LinearOptions(seed=seed), work / "linear")
        click.echo(as_line("dev", figures_of(model.logits(texts), held_out, names)))
        return
    options = replace(
        SHIPPED_RECIPE,
        base=base,
        epochs=epochs,
        lr=lr,
        layer_decay=layer_decay,
        batch=batch,
        ema=ema,
        composed=composed,
        cost_weight=cost_weight,
        max_tokens=max_tokens,
        seed=seed,
        augment=None if no_augment else AugmentOptions(),
    )
    warm = WarmUpOptions(mlm_epochs=mlm_epochs, contrastive_epochs=contrastive_epochs)
    if start and (mlm_epochs or contrastive_epochs):
        raise click.UsageError("--start begins with a trained bundle, which needs no warm-up")
    with steps("warm-up") as report:
        warmed = warm_up(examples, names, options, warm, report)
    with steps("train") as report:
        trained = pipeline.train_encoder(
            examples, taxonomy, options, output or work / "model.pt", report, start or warmed
        )
    read = finetune.predict(trained, load_tokenizer(base), texts, max_tokens)
    click.echo(as_line("dev", figures_of(read.logits, held_out, names)))
