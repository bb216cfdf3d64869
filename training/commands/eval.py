"""`carelane model eval`: figures of a bundle on a labelled file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from shared.taxonomy import Taxonomy
from training.commands.options import bundle_argument, taxonomy_option
from training.corpus import read_clean
from training.evaluate import Judged, headline, intervals, judge_all
from training.progress import bar
from training.thresholds import flags_of, score_all
from workers.fast_tier import FastTier


@click.command("eval")
@bundle_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@taxonomy_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(bundle: Path, file: Path, taxonomy_path: Path | None, as_json: bool) -> None:
    """Run BUNDLE (a folder, or `shipped`) on the labelled messages of FILE."""
    figures = measure(bundle, file, Taxonomy.load(taxonomy_path))
    click.echo(json.dumps(figures, indent=2) if as_json else as_text(figures))


def judged(bundle: Path, file: Path, taxonomy: Taxonomy) -> Judged:
    """Every message of a file, judged by a bundle."""
    examples = read_clean(file, taxonomy)
    tier = FastTier.load(bundle, taxonomy=taxonomy)
    with bar(len(examples), f"{tier.version}") as shown:
        scores = score_all(tier, [e.text for e in examples], lambda n: _step(shown, n))
    return judge_all(examples, scores, flags_of(examples), tier.policy, tier.manifest.categories)


def _step(shown: Any, n: int) -> None:
    shown.update(n)


def measure(bundle: Path, file: Path, taxonomy: Taxonomy) -> dict[str, Any]:
    """Headline figures with their intervals."""
    arrays = judged(bundle, file, taxonomy).arrays()
    return {**headline(arrays), "intervals": intervals(arrays)}


def as_text(figures: dict[str, Any]) -> str:
    """A table for people."""
    lines = []
    for name, value in figures.items():
        if name == "intervals":
            continue
        low_high = figures.get("intervals", {}).get(name)
        shown = f"{value:.4f}" if isinstance(value, float) else str(value)
        reach = f"  [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
        lines.append(f"{name:32} {shown:>8}{reach}")
    return "\n".join(lines)
