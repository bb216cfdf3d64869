"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from shared.taxonomy import Taxonomy
from training.corpus import CALIBRATION, SPLITS, WRITTEN, Example, read_clean
from workers.fast_tier import SHIPPED

#: Where steps leave their results for the next one; ignored by git.
WORK: Final = Path("training/work")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)

Decorated = Callable[..., Any]


def work_option(function: Decorated) -> Decorated:
    """--work, the folder that the steps share."""
    return click.option(
        "--work",
        type=_FOLDER,
        default=WORK,
        show_default=True,
        help="Folder for what the steps hand to each other.",
    )(function)


def taxonomy_option(function: Decorated) -> Decorated:
    """--taxonomy, an organisation's own."""
    return click.option(
        "--taxonomy",
        "taxonomy_path",
        type=_FILE,
        help="Taxonomy file. Default: the packaged shared/taxonomy.yaml.",
    )(function)


def _files_option(
    name: str, default: Sequence[Path], about: str
) -> Callable[[Decorated], Decorated]:
    return click.option(
        name,
        type=_FILE,
        multiple=True,
        default=default,
        show_default="the shipped corpus",
        help=f"{about} Several files by several {name}.",
    )


def train_option(function: Decorated) -> Decorated:
    """--train, once or several times, with the shipped corpus as default."""
    files = (SPLITS["train"], WRITTEN)
    return _files_option("--train", files, "Labelled messages for training, JSONL or CSV.")(
        function
    )


def split_option(name: str) -> Callable[[Decorated], Decorated]:
    """--dev or --test with the shipped corpus as default."""
    return click.option(
        f"--{name}",
        type=_FILE,
        default=SPLITS[name],
        show_default="the shipped corpus",
        help=f"Labelled messages for {name}, JSONL or CSV.",
    )


def calibration_option(function: Decorated) -> Decorated:
    """--dev, once or several times: what temperatures and thresholds are chosen on."""
    return _files_option(
        "--dev",
        (SPLITS["dev"], CALIBRATION),
        "Labelled messages to choose thresholds on, JSONL or CSV; the more, the lower the risk "
        "that they can prove.",
    )(function)


def step_options(function: Decorated) -> Decorated:
    """--train, --dev, --taxonomy and --work: what a step from messages to a model takes."""
    for option in (work_option, taxonomy_option, split_option("dev"), train_option):
        function = option(function)
    return function


def start_option(function: Decorated) -> Decorated:
    """--start, a bundle whose weights training begins with."""
    return click.option(
        "--start",
        callback=_start,
        help="Train this bundle further (a folder, or shipped) instead of starting from --base; "
        "two epochs at half the rate are enough.",
    )(function)


def _start(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    return None if value is None else _bundle(ctx, parameter, value)


def threads_option(function: Decorated) -> Decorated:
    """--threads; one by default, as results then do not depend on the machine's cores."""
    return click.option("--threads", type=int, default=1, show_default=True)(function)


def bundle_argument(function: Decorated) -> Decorated:
    """BUNDLE, a folder; `shipped` is the one that comes with Carelane."""
    return click.argument("bundle", callback=_bundle)(function)


def _bundle(ctx: click.Context, parameter: click.Parameter, value: str) -> Path:  # noqa: ARG001
    return SHIPPED if value == "shipped" else Path(value)


def load_taxonomy(path: Path | None) -> Taxonomy:
    """The organisation's taxonomy, or the packaged one."""
    return Taxonomy.load(path)


def load_files(paths: Sequence[Path], taxonomy: Taxonomy) -> list[Example]:
    """Labelled files without bad rows, one after the other."""
    return [example for path in paths for example in read_clean(path, taxonomy)]
