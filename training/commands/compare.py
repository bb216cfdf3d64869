"""`carelane model compare`: two bundles on the same messages, with what is noise and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from shared.taxonomy import Taxonomy
from training.commands.eval import judged
from training.commands.options import bundle_argument, split_option, taxonomy_option
from training.evaluate import Arrays, headline

COMPARED: Final = (
    "category_accuracy",
    "category_macro_f1",
    "urgency_accuracy",
    "urgency_macro_f1",
    "emergent_recall_argmax",
    "emergent_recall_tier",
    "both_right",
    "accepted_share",
    "accepted_wrong",
    "coverage_at_5_percent_wrong",
    "set_micro_f1",
)


@click.command("compare")
@bundle_argument
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@split_option("dev")
@taxonomy_option
def command(bundle: Path, other: Path, dev: Path, taxonomy_path: Path | None) -> None:
    """Compare BUNDLE with OTHER on the messages of --dev.

    The interval is of the paired difference (bootstrap over messages): where it holds 0, the
    difference is within noise.
    """
    taxonomy = Taxonomy.load(taxonomy_path)
    one, two = judged(bundle, dev, taxonomy), judged(other, dev, taxonomy)
    table = compare(one.arrays(), two.arrays())
    click.echo(f"{'':30}{'A':>9}{'B':>9}{'B - A':>9}   95 % interval")
    for row in table:
        low, high = row["interval"]
        noise = "" if low > 0 or high < 0 else "  within noise"
        click.echo(
            f"{row['figure']:30}{row['a']:9.4f}{row['b']:9.4f}{row['difference']:+9.4f}"
            f"   [{low:+.4f}, {high:+.4f}]{noise}"
        )
    for name, share in disagreements(one.arrays(), two.arrays()).items():
        click.echo(f"they disagree on {name:10} {share:8.2%}")


def compare(a: Arrays, b: Arrays, draws: int = 300) -> list[dict[str, Any]]:
    """Both figures, their difference and its interval, by resampling the same rows of both."""
    rng = np.random.default_rng(0)
    n = len(a.accepted)
    samples = []
    for _ in range(draws):
        rows = rng.integers(0, n, n)
        x, y = headline(a.take(rows)), headline(b.take(rows))
        samples.append([(y[k] or 0.0) - (x[k] or 0.0) for k in COMPARED])
    low, high = np.quantile(np.array(samples), [0.025, 0.975], axis=0)
    x, y = headline(a), headline(b)
    return [
        {
            "figure": name,
            "a": x[name] or 0.0,
            "b": y[name] or 0.0,
            "difference": (y[name] or 0.0) - (x[name] or 0.0),
            "interval": (float(low[i]), float(high[i])),
        }
        for i, name in enumerate(COMPARED)
    ]


def disagreements(a: Arrays, b: Arrays) -> dict[str, float]:
    """Shares of messages on which the bundles say different things."""
    return {
        "category": float((a.category.argmax(1) != b.category.argmax(1)).mean()),
        "urgency": float((a.urgency.argmax(1) != b.urgency.argmax(1)).mean()),
        "accepting": float((a.accepted != b.accepted).mean()),
    }
