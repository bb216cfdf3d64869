"""`carelane model scorecard`: every quantised variant of a trained model side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from training import network, pipeline, qat
from training.commands.options import (
    load_files,
    load_taxonomy,
    step_options,
)
from training.corpus import Example
from training.progress import steps
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
@click.option("--student", type=click.Path(path_type=Path), help="A student, as one more row.")
@click.option("--qat", "qat_path", type=click.Path(path_type=Path), help="An earlier WORK/qat.pt.")
@click.option(
    "--qat-epochs",
    type=float,
    default=0.0,
    show_default=True,
    help="Quantisation-aware fine-tuning for so long, as one more row.",
)
@step_options
def command(
    model_path: Path | None,
    bundle: Path | None,
    student: Path | None,
    qat_path: Path | None,
    qat_epochs: float,
    train: tuple[Path, ...],
    dev: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Size, load time, memory, latencies on one and two threads, and what each variant costs.

    Latencies are worth something only on a quiet machine.
    """
    use_threads(1)
    taxonomy = load_taxonomy(taxonomy_path)
    examples, held_out = load_files(train, taxonomy), load_files([dev], taxonomy)
    model_path = model_path or work / "model.pt"
    if not (work / "fp32.onnx").is_file():
        pipeline.export_float(model_path, examples, work)
    if qat_epochs:
        qat_path = _rounded(model_path, examples, taxonomy.category_names, qat_epochs, work)
    others = {
        "QAT, dynamic int8 per tensor": qat_path,
        "student, dynamic int8 per tensor": student,
    }
    samples = pipeline.sample_ids(model_path, examples)
    candidates = make_candidates(
        work, model_path, samples, click.echo, {k: v for k, v in others.items() if v}
    )
    rows = scorecard(candidates, bundle or work / "bundle", held_out, click.echo)
    (work / "scorecard.json").write_text(json.dumps(rows, indent=1), "utf-8")
    click.echo(as_markdown(rows))


def _rounded(
    model_path: Path, examples: list[Example], names: tuple[str, ...], epochs: float, work: Path
) -> Path:
    model, about = network.load(model_path)
    with steps("QAT") as report:
        tuned = qat.fine_tune(model, examples, names, SHIPPED_RECIPE, epochs=epochs, report=report)
    network.save(tuned, work / "qat.pt", options=asdict(SHIPPED_RECIPE), start=about["options"])
    return work / "qat.pt"
