"""`carelane model quantise`: export to ONNX, quantise, and put a draft bundle together."""

from __future__ import annotations

from pathlib import Path

import click

from training import pipeline
from training.commands.options import (
    load_files,
    load_taxonomy,
    step_options,
)
from training.quantise import SHIPPED, VARIANTS
from workers.fast_tier.manifest import LinearWeights


@click.command("quantise")
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path),
    help="Trained model. Default: WORK/model.pt",
)
@click.option(
    "--variant", type=click.Choice(list(VARIANTS)), default=SHIPPED.name, show_default=True
)
@click.option("--no-linear", is_flag=True, help="Leave the linear model out of the blend.")
@click.option("--version", default="0.0.0", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Default: WORK/bundle")
@step_options
def command(
    model_path: Path | None,
    variant: str,
    no_linear: bool,
    version: str,
    output: Path | None,
    train: tuple[Path, ...],
    dev: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Write a draft bundle whose thresholds accept nothing until it is calibrated."""
    taxonomy = load_taxonomy(taxonomy_path)
    examples = load_files(train, taxonomy)
    model_path = model_path or work / "model.pt"
    pipeline.export_float(model_path, examples, work)
    chosen = VARIANTS[variant]
    samples = pipeline.sample_ids(model_path, examples) if chosen.static else ()
    folder = pipeline.assemble(
        work,
        output or work / "bundle",
        model_path=model_path,
        taxonomy=taxonomy,
        version=version,
        data={**{path.stem: path for path in train}, "dev": dev},
        variant=chosen,
        linear_weights=LinearWeights() if no_linear else pipeline.LINEAR_WEIGHTS,
        samples=samples,
    )
    size = sum(p.stat().st_size for p in folder.iterdir())
    click.echo(f"draft bundle in {folder}, {size / 1e6:.1f} MB; next: carelane model calibrate")
