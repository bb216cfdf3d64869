"""`carelane model prepare`: is this data fit to learn from?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from shared.taxonomy import Taxonomy
from training import corpus
from training.commands.options import (
    split_option,
    taxonomy_option,
    train_option,
    work_option,
)
from training.prepare import as_text, check
from training.progress import bar


@click.command("prepare")
@train_option
@split_option("dev")
@split_option("test")
@taxonomy_option
@work_option
@click.option("--write", is_flag=True, help="Write the good rows as JSONL into the work folder.")
def command(
    train: tuple[Path, ...],
    dev: Path,
    test: Path,
    taxonomy_path: Path | None,
    work: Path,
    write: bool,
) -> None:
    """Check the splits: rows, labels, counts, doubles, leaks, empty classes.

    The report is printed and written to prepare.json in the work folder. Exit status 1 when
    something must be mended before training.
    """
    taxonomy = Taxonomy.load(taxonomy_path)
    splits: dict[str, list[corpus.Example]] = {}
    bad: list[corpus.BadRow] = []
    files = {"train": train, "dev": (dev,), "test": (test,)}
    with bar(len(files), "prepare", "split") as shown:
        for name, paths in files.items():
            splits[name], rows = corpus.read(paths, taxonomy)
            bad += rows
            shown.update(1)
    found = check(splits, bad, taxonomy)
    work.mkdir(parents=True, exist_ok=True)
    (work / "prepare.json").write_text(
        json.dumps(found.as_dict(), indent=1, ensure_ascii=False), "utf-8"
    )
    click.echo(as_text(found))
    if write:
        for name, examples in splits.items():
            corpus.write(work / f"{name}.jsonl", examples)
            click.echo(f"wrote {work / f'{name}.jsonl'} ({len(examples)} messages)")
    sys.exit(1 if found.fatal or (bad and not write) else 0)
