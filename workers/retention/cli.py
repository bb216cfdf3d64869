"""`carelane retention`: remove what is older than its setting allows."""

from __future__ import annotations

import getpass
import os
from contextlib import ExitStack
from pathlib import Path

import click
from sqlalchemy import Engine
from tqdm import tqdm

from shared.database import make_engine
from shared.settings import Settings
from workers.deid import Deidentifier
from workers.retention.export import Export
from workers.retention.removal import BATCH, EXPORTED_BATCH, Done, Due, Keep, due, remove


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option(
    "--export",
    "export_to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the messages that go to this file first, as JSON lines with masked texts. What "
    "cannot be masked is left out, and counted.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    help=f"Rows in one transaction.  [default: {BATCH}, {EXPORTED_BATCH} with --export]",
)
def retention(*, dry_run: bool, export_to: Path | None, batch: int | None) -> None:
    """Remove what is older than CARELANE_KEEP_..._DAYS allow; nothing while none is set.

    Messages go only once a person has marked them done, with their labels, words, texts and calls
    to webhooks. It may run at any time, beside everything else, and be stopped at any time. Every
    batch is in the audit log.
    """
    settings = Settings.from_env(os.environ)
    engine = make_engine(settings, "carelane retention", pool_size=1)
    found = due(engine, settings)
    if not found:
        click.echo("Nothing has an age limit: set CARELANE_KEEP_MESSAGES_DAYS and the like.")
    for each in found:
        click.echo(_said(each))
    if not dry_run:
        usual = EXPORTED_BATCH if export_to is not None else BATCH
        _remove(engine, settings, found, export_to, batch or usual)


def _said(what: Due) -> str:
    said = f"{what.kind.name}: {what.rows:,} from before {what.before:%Y-%m-%d %H:%M} UTC"
    return f"{said}; {what.stay:,} as old stay: {what.kind.why_it_stays}" if what.stay else said


def _remove(
    engine: Engine, settings: Settings, found: list[Due], export_to: Path | None, batch: int
) -> None:
    with ExitStack() as stack:
        keep: Keep | None = None
        if export_to is not None and any(w.kind.take and w.rows for w in found):
            masker = Deidentifier.load(settings.deid_bundle_path, settings.deid_budget_ms)
            opened = os.open(export_to, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            keep = Export(masker, stack.enter_context(os.fdopen(opened, "a", encoding="utf-8")))
        for what in found:
            done = Done()
            with tqdm(total=what.rows, desc=what.kind.name, unit="", disable=None) as bar:
                for done in remove(engine, what, _actor(), keep, batch):
                    bar.update(done.removed - bar.n)
            notes = "".join(f", {n.replace('_', ' ')} {c:,}" for n, c in done.noted.items())
            click.echo(f"{what.kind.name}: {done.removed:,} removed{notes}")
            if done.unopened:
                click.echo(
                    f"{what.kind.name}: {done.unopened:,} stay: their texts open with no key given "
                    "here, so they cannot be exported; `carelane doctor` names the keys"
                )


def _actor() -> str:
    """Who runs it, for the audit log; a container may have no name for its user."""
    try:
        return f"{getpass.getuser()} (carelane retention)"
    except (KeyError, OSError):
        return "carelane retention"
