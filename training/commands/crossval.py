"""`carelane model crossval`: train on some lots, test on the others; choose recipes by it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import click

from training.commands.options import (
    load_files,
    load_taxonomy,
    step_options,
    threads_option,
)
from training.crossval import blended, figures, folds, linear_logits, spread, transformer_logits
from training.linear import LinearOptions
from training.pipeline import LINEAR_WEIGHTS
from training.progress import steps
from training.quick import as_line
from training.recipe import SHIPPED_RECIPE
from training.threads import use_threads


@click.command("crossval")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="LOTS",
    help="Lots to leave out, e.g. B,G,L,O,R; may be given again for more folds.",
)
@click.option(
    "--folds",
    "n_folds",
    type=int,
    default=4,
    show_default=True,
    help="Without --leave-out: deal all lots into this many folds.",
)
@click.option(
    "--kind",
    type=click.Choice(["linear", "transformer", "blend"]),
    default="blend",
    show_default=True,
)
@click.option("--epochs", type=float, default=3.0, show_default=True)
@click.option("--lr", type=float, default=SHIPPED_RECIPE.lr, show_default=True)
@click.option("--composed", type=float, default=SHIPPED_RECIPE.composed, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@threads_option
@step_options
def command(
    leave_out: tuple[str, ...],
    n_folds: int,
    kind: str,
    epochs: float,
    lr: float,
    composed: float,
    seed: int,
    threads: int,
    train: tuple[Path, ...],
    dev: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Figures on writers that the model never saw, beside those on writers that it knows."""
    use_threads(threads)
    taxonomy = load_taxonomy(taxonomy_path)
    names = taxonomy.category_names
    examples, held = load_files(train, taxonomy), load_files([dev], taxonomy)
    options = replace(SHIPPED_RECIPE, epochs=epochs, lr=lr, composed=composed, seed=seed)
    rows = []
    for fold in folds(examples, held, leave_out or spread(examples, n_folds)):
        logits = None
        if kind != "transformer":
            logits = linear_logits(fold, names, LinearOptions(seed=seed), composed)
        if kind != "linear":
            with steps(f"without {fold.name}") as report:
                read = transformer_logits(fold, names, options, report)
            if logits is None:
                logits = read
            else:
                logits = tuple(  # type: ignore[assignment]  # two sides again
                    blended(a, b, len(names), LINEAR_WEIGHTS)
                    for a, b in zip(read, logits, strict=True)
                )
        assert logits is not None
        found = figures(fold, logits, names)
        rows.append({"lots": fold.name, **found})
        for side, values in found.items():
            click.echo(as_line(f"without {fold.name}, {side}", values))
    work.mkdir(parents=True, exist_ok=True)
    path = work / "crossval.json"
    path.write_text(json.dumps({"options": asdict(options), "folds": rows}, indent=1), "utf-8")
    click.echo(f"written to {path}")
