"""`carelane model evaluate`: the report of a bundle, HTML with plots and JSON."""

from __future__ import annotations

from pathlib import Path

import click

from training import report
from training.commands.eval import as_text, judged
from training.commands.options import bundle_argument, load_taxonomy, taxonomy_option, work_option
from training.corpus import SPLITS, file_hash
from training.evaluate import headline
from workers.fast_tier.manifest import read_manifest


@click.command("evaluate")
@bundle_argument
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=SPLITS["dev"],
    show_default="the shipped dev split",
    help="Labelled messages; test is for final reports only.",
)
@taxonomy_option
@work_option
def command(bundle: Path, file: Path, taxonomy_path: Path | None, work: Path) -> None:
    """Run BUNDLE on labelled messages by the worker's code and write the report."""
    taxonomy = load_taxonomy(taxonomy_path)
    manifest = read_manifest(bundle)
    found = judged(bundle, file, taxonomy)
    about = {
        "bundle": f"{manifest.name} {manifest.version}",
        "file": file.name,
        "file_sha256": file_hash(file),
    }
    page = report.write(work, found, about, stem=f"report-{file.stem}")
    click.echo(as_text(headline(found.arrays())))
    click.echo(f"report in {page} and {page.with_suffix('.json')}")
