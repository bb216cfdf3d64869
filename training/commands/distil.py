"""`carelane model distil`: a smaller student that learns from trained teachers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import click

from training import finetune, network
from training.commands.options import (
    load_files,
    load_taxonomy,
    step_options,
    threads_option,
)
from training.corpus import read
from training.distil import DistilOptions, distil, student_of
from training.encode import load_tokenizer
from training.progress import steps
from training.quick import as_line, figures_of
from training.recipe import SHIPPED_RECIPE
from training.threads import use_threads


@click.command("distil")
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Trained model; several are averaged. Default: WORK/model.pt",
)
@click.option(
    "--layers",
    default="0,2,5",
    show_default=True,
    help="Layers of the first teacher that the student starts from.",
)
@click.option(
    "--hidden",
    type=int,
    default=0,
    show_default="the teacher's",
    help="Another width: random layers, embeddings projected from the teacher's.",
)
@click.option("--epochs", type=float, default=5.0, show_default=True)
@click.option("--lr", type=float, default=3e-4, show_default=True)
@click.option("--temperature", type=float, default=2.0, show_default=True)
@click.option("--label-weight", type=float, default=0.5, show_default=True)
@click.option(
    "--more",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="More labelled messages, e.g. those that `carelane model teach` wrote.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@threads_option
@click.option("--output", type=click.Path(path_type=Path), help="Default: WORK/student.pt")
@step_options
def command(
    teachers: tuple[Path, ...],
    layers: str,
    hidden: int,
    epochs: float,
    lr: float,
    temperature: float,
    label_weight: float,
    more: tuple[Path, ...],
    seed: int,
    threads: int,
    output: Path | None,
    train: tuple[Path, ...],
    dev: Path,
    taxonomy_path: Path | None,
    work: Path,
) -> None:
    """Distil one or several teachers into a student with fewer layers, or a narrower one."""
    use_threads(threads)
    taxonomy = load_taxonomy(taxonomy_path)
    names = taxonomy.category_names
    extra, bad = read(more, taxonomy)
    for row in bad:
        click.echo(str(row), err=True)
    examples = [*load_files(train, taxonomy), *extra]
    held_out = load_files([dev], taxonomy)
    loaded = [network.load(path) for path in teachers or (work / "model.pt",)]
    base = str(loaded[0][1]["options"]["base"])
    options = replace(SHIPPED_RECIPE, base=base, epochs=epochs, lr=lr, seed=seed)
    distilling = DistilOptions(
        layers=tuple(int(n) for n in layers.split(",")),
        hidden=hidden,
        temperature=temperature,
        label_weight=label_weight,
    )
    student = student_of(loaded[0][0], base, distilling)
    with steps("distil") as report:
        distil([m for m, _ in loaded], student, examples, names, options, distilling, report)
    target = output or work / "student.pt"
    network.save(student, target, options=asdict(options), distil=asdict(distilling),
                 categories=list(names))  # fmt: skip
    read_dev = finetune.predict(student, load_tokenizer(base), [e.text for e in held_out])
    click.echo(as_line("dev", figures_of(read_dev.logits, held_out, names)))
    click.echo(f"student written to {target}")
