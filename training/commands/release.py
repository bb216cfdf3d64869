"""`carelane model release`: through the gates, or not at all."""

from __future__ import annotations

from pathlib import Path

import click

from training.commands.eval import as_text, measure
from training.commands.options import bundle_argument, load_taxonomy, split_option, taxonomy_option
from training.release import Gates, release
from workers.fast_tier import SHIPPED


@click.command("release")
@bundle_argument
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    default=SHIPPED,
    show_default="the shipped bundle's folder",
)
@click.option("--max-wrong", type=float, default=Gates.accepted_wrong, show_default=True)
@click.option("--min-emergent-recall", type=float, default=Gates.emergent_recall, show_default=True)
@split_option("dev")
@split_option("test")
@taxonomy_option
def command(
    bundle: Path,
    target: Path,
    max_wrong: float,
    min_emergent_recall: float,
    dev: Path,
    test: Path,
    taxonomy_path: Path | None,
) -> None:
    """Measure BUNDLE on --test; publish it to --to when every gate is passed."""
    taxonomy = load_taxonomy(taxonomy_path)
    gates = Gates(accepted_wrong=max_wrong, emergent_recall=min_emergent_recall)
    figures = measure(bundle, test, taxonomy)
    click.echo(as_text(figures))
    folder = release(bundle, target, figures, gates, dev=measure(bundle, dev, taxonomy))
    click.echo(f"released to {folder}")
