"""`carelane model build`: every step in one, from labelled messages to a released bundle."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click

from shared.errors import InvalidInput
from shared.taxonomy import Taxonomy
from training import pipeline, report
from training.bundle import emergent_categories
from training.calibrate import RiskOptions
from training.commands.calibrate import as_text as calibration_text
from training.commands.eval import as_text, judged, measure
from training.commands.options import (
    calibration_option,
    load_files,
    load_taxonomy,
    split_option,
    start_option,
    taxonomy_option,
    threads_option,
    train_option,
    work_option,
)
from training.corpus import Example, read
from training.finetune import TrainOptions
from training.linear import LinearOptions
from training.prepare import as_text as check_text
from training.prepare import check
from training.progress import bar, steps
from training.recipe import SHIPPED_RECIPE, SHIPPED_RISK, VERSION
from training.release import Gates, release
from training.threads import use_threads
from training.thresholds import calibrate
from workers.fast_tier import SHIPPED


@click.command("build")
@click.option(
    "--kind", type=click.Choice(["transformer", "linear"]), default="transformer", show_default=True
)
@click.option("--base", default=SHIPPED_RECIPE.base, show_default=True)
@start_option
@click.option("--epochs", type=float, default=SHIPPED_RECIPE.epochs, show_default=True)
@click.option("--lr", type=float, default=SHIPPED_RECIPE.lr, show_default=True)
@click.option("--seed", type=int, default=SHIPPED_RECIPE.seed, show_default=True)
@click.option(
    "--risk",
    type=float,
    default=SHIPPED_RISK.risk,
    show_default=True,
    help="Most accepted labels wrong in either head.",
)
@click.option("--version", default=VERSION, show_default=True)
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    default=SHIPPED,
    show_default="the shipped bundle's folder",
)
@click.option("--no-release", is_flag=True, help="Stop at the draft bundle and its report.")
@threads_option
@train_option
@calibration_option
@split_option("test")
@taxonomy_option
@work_option
def command(
    kind: str,
    base: str,
    start: Path | None,
    epochs: float,
    lr: float,
    seed: int,
    risk: float,
    version: str,
    target: Path,
    no_release: bool,
    threads: int,
    train: tuple[Path, ...],
    dev: tuple[Path, ...],
    test: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Prepare, train, quantise, calibrate, evaluate, release.

    With the defaults it starts from the base encoder: about an hour on one core that has bfloat16,
    several without. The bundle that ships went on from its predecessor (docs/model.md). Nothing is
    released below the gates (`carelane model release --help`). The report and the comparison
    with the last release are of the first --dev.
    """
    use_threads(threads)
    started = time.monotonic()
    taxonomy = load_taxonomy(taxonomy_path)
    work.mkdir(parents=True, exist_ok=True)
    _prepare({"train": train, "dev": dev, "test": (test,)}, taxonomy)
    examples, held_out = load_files(train, taxonomy), load_files(dev, taxonomy)
    data = {path.stem: path for path in (*train, *dev)}
    _say("fitting the linear model")
    pipeline.train_linear(examples, taxonomy, LinearOptions(seed=seed), work / "linear")
    draft = work / "bundle"
    if kind == "linear":
        pipeline.assemble_linear(work, draft, taxonomy=taxonomy, version=version, data=data)
    else:
        recipe = replace(SHIPPED_RECIPE, base=base, epochs=epochs, lr=lr, seed=seed)
        _transformer(examples, taxonomy, recipe, start, work)
        pipeline.assemble(
            work,
            draft,
            model_path=work / "model.pt",
            taxonomy=taxonomy,
            version=version,
            data=data,
        )
    _say("calibrating")
    options = replace(SHIPPED_RISK, risk=risk)
    _calibrate(draft, examples, held_out, taxonomy, options)
    found = judged(draft, dev[0], taxonomy)
    page = report.write(work, found, {"bundle": f"{kind} {version}", "file": dev[0].name},
                        stem="report-dev")  # fmt: skip
    _say(f"report on dev: {page}")
    if no_release:
        _say(f"draft bundle: {draft}")
    else:
        figures = measure(draft, test, taxonomy)
        click.echo(as_text(figures))
        release(draft, target, figures, Gates(), dev=measure(draft, dev[0], taxonomy))
        _say(f"released to {target}")
    _say(f"{(time.monotonic() - started) / 60:.1f} minutes")


def _prepare(files: dict[str, tuple[Path, ...]], taxonomy: Taxonomy) -> None:
    splits, bad = {}, []
    for name, paths in files.items():
        splits[name], rows = read(paths, taxonomy)
        bad += rows
    found = check(splits, bad, taxonomy)
    click.echo(check_text(found))
    if found.fatal or bad:
        raise InvalidInput("the data must be mended first; see above")


def _transformer(
    examples: list[Example],
    taxonomy: Taxonomy,
    recipe: TrainOptions,
    start: Path | None,
    work: Path,
) -> None:
    with steps("fine-tuning") as shown:
        pipeline.train_encoder(examples, taxonomy, recipe, work / "model.pt", shown, start)
    _say("exporting")
    pipeline.export_float(work / "model.pt", examples, work)


def _calibrate(
    draft: Path,
    examples: list[Example],
    held_out: list[Example],
    taxonomy: Taxonomy,
    options: RiskOptions,
) -> None:
    possible = emergent_categories(examples, taxonomy.category_names)
    with bar(len(held_out), "calibrating") as shown:
        chosen = calibrate(
            draft,
            held_out,
            options,
            emergent_categories=possible,
            progress=lambda n: _step(shown, n),
        )
    click.echo(calibration_text(chosen, options))


def _step(shown: object, n: int) -> None:
    shown.update(n)  # type: ignore[attr-defined]  # a tqdm bar


def _say(text: str) -> None:
    click.secho(f"→ {text}", bold=True)
