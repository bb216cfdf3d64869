"""`carelane model calibrate`: temperatures, and routing thresholds for a stated risk."""

from __future__ import annotations

from pathlib import Path

import click

from training.bundle import emergent_categories
from training.calibrate import Chosen, RiskOptions
from training.commands.options import (
    bundle_argument,
    calibration_option,
    load_files,
    load_taxonomy,
    taxonomy_option,
    train_option,
)
from training.progress import bar
from training.thresholds import calibrate, measure_reference


@click.command("calibrate")
@bundle_argument
@click.option(
    "--risk",
    type=float,
    default=RiskOptions.risk,
    show_default=True,
    help="Most accepted labels wrong in either head.",
)
@click.option(
    "--confidence",
    type=float,
    default=RiskOptions.confidence,
    show_default=True,
    help="With which the risks hold.",
)
@click.option(
    "--emergent-risk",
    type=float,
    default=RiskOptions.emergent_risk,
    show_default=True,
    help="Most emergent messages accepted as less.",
)
@click.option(
    "--reference-only",
    is_flag=True,
    help="Leave the thresholds; measure only what live messages are held against.",
)
@train_option
@calibration_option
@taxonomy_option
def command(
    bundle: Path,
    risk: float,
    confidence: float,
    emergent_risk: float,
    reference_only: bool,
    train: tuple[Path, ...],
    dev: tuple[Path, ...],
    taxonomy_path: Path | None,
) -> None:
    """Fit BUNDLE's temperatures and thresholds on --dev and write them into its manifest."""
    taxonomy = load_taxonomy(taxonomy_path)
    examples = load_files(dev, taxonomy)
    if reference_only:
        with bar(len(examples), "reference") as shown:
            mix = measure_reference(bundle, examples, progress=lambda n: _step(shown, n))
        click.echo(f"{mix.total} messages, {mix.escalated_share:.1%} passed on")
        return
    options = RiskOptions(risk=risk, confidence=confidence, emergent_risk=emergent_risk)
    possible = emergent_categories(load_files(train, taxonomy), taxonomy.category_names)
    with bar(len(examples), "calibrate") as shown:
        chosen = calibrate(bundle, examples, options, emergent_categories=possible,
                           progress=lambda n: _step(shown, n))  # fmt: skip
    click.echo(as_text(chosen, options))


def _step(shown: object, n: int) -> None:
    shown.update(n)  # type: ignore[attr-defined]  # a tqdm bar


def as_text(chosen: Chosen, options: RiskOptions) -> str:
    """What the thresholds come to on the validation messages."""
    if not chosen.accepted:
        return (
            f"No threshold keeps the risk of {options.risk:.0%} at {options.confidence:.0%} "
            f"confidence on {chosen.n} messages: everything is escalated. More validation "
            "messages, a better model, or a larger --risk would change that."
        )
    return (
        f"accepts {chosen.accepted} of {chosen.n} ({chosen.accepted / chosen.n:.1%}), "
        f"{chosen.wrong} wrong ({chosen.wrong / chosen.accepted:.1%}, at most "
        f"{chosen.wrong_bound:.1%} with {options.confidence:.0%} confidence); "
        f"{chosen.emergent_missed} of {chosen.emergent} emergent accepted as less (at most "
        f"{chosen.emergent_missed_bound:.1%}); least joint confidence "
        f"{chosen.policy.min_joint}, most emergent probability {chosen.policy.max_emergent}"
    )
