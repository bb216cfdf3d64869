"""`carelane model scorecard`: every quantised variant of a trained model side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from training import network, pipeline, qat
from training.commands.options import (
    load_split,
    load_taxonomy,
    split_option,
    taxonomy_option,
    work_option,
)
from training.export import export
from training.progress import steps
from training.quantise import SHIPPED, quantise
from training.recipe import SHIPPED_RECIPE
from training.scorecard import as_markdown, make_candidates, scorecard
from training.threads import use_threads


@click.command("scorecard")
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path),
    help="Trained model. Default: WORK/model.pt",
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Calibrated bundle whose thresholds are used. Default: WORK/bundle",
)
@click.option(
    "--qat-epochs",
    type=float,
    default=0.0,
    show_default=True,
    help="Quantisation-aware fine-tuning for so long, as one more variant.",
)
@split_option("train")
@split_option("dev")
@taxonomy_option
@work_option
def command(
    model_path: Path | None,
    bundle: Path | None,
    qat_epochs: float,
    train: Path,
    dev: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Size, load time, memory, latencies on one and two threads, and what each variant costs.

    Latencies are worth something only on a quiet machine.
    """
    use_threads(1)
    taxonomy = load_taxonomy(taxonomy_path)
    examples, held_out = load_split(train, taxonomy), load_split(dev, taxonomy)
    model_path = model_path or work / "model.pt"
    if not (work / "fp32.onnx").is_file():
        pipeline.export_float(model_path, examples, work)
    rounded = None
    if qat_epochs:
        model, _ = network.load(model_path)
        with steps("QAT") as report:
            tuned = qat.fine_tune(
                model,
                examples,
                taxonomy.category_names,
                replace(SHIPPED_RECIPE),
                epochs=qat_epochs,
                report=report,
            )
        # Worth is compared without familiarity's clusters, which rounding does not touch.
        blank = np.eye(1, tuned.encoder.config.hidden_size)
        float_graph = export(tuned, blank, work / "variants" / "qat-fp32.onnx")
        rounded = quantise(float_graph, work / "variants" / "qat.onnx", SHIPPED)
    samples = pipeline.sample_ids(model_path, examples)
    candidates = make_candidates(work, model_path, samples, click.echo, rounded)
    rows = scorecard(candidates, bundle or work / "bundle", held_out, click.echo)
    (work / "scorecard.json").write_text(json.dumps(rows, indent=1), "utf-8")
    click.echo(as_markdown(rows))
