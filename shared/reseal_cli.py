"""`carelane database new-key` and `reseal`: the keys under which texts lie, and their rotation."""

from __future__ import annotations

import getpass
import os
import sys

import click

from shared import reseal as resealing
from shared.database import make_engine
from shared.errors import InvalidInput, SettingsError
from shared.reseal import BATCH, Done
from shared.sealed_columns import sealing
from shared.sealed_text import new_key
from shared.settings import Settings


@click.command("new-key")
@click.argument("key_id", metavar="ID")
def new_key_command(key_id: str) -> None:
    """Make an entry for CARELANE_TEXT_KEYS, e.g. `carelane database new-key k2026`.

    The key is shown this once and stored nowhere. Keep a copy of it apart from the database's
    backups: without it whatever was sealed under it is lost.
    """
    try:
        click.echo(new_key(key_id))
    except ValueError as error:
        raise InvalidInput(
            f"{key_id!r} cannot name a key; use up to 32 lower-case letters, digits, dashes and "
            "underscores, but not `clear`"
        ) from error


@click.command("reseal")
@click.option("--dry-run", is_flag=True, help="Count what would be changed, and change nothing.")
@click.option("--to-clear", is_flag=True, help="Yes, store everything in clear again.")
@click.option("--words", is_flag=True, help="Make search words anew: CARELANE_HMAC_KEY changed.")
@click.option("--batch", type=click.IntRange(1, 10_000), default=BATCH, show_default=True)
def reseal_command(*, dry_run: bool, to_clear: bool, words: bool, batch: int) -> None:
    """Bring every text under the first key of CARELANE_TEXT_KEYS.

    \b
    To seal what lies in clear: give every process the key, then run this until nothing is left.
    To rotate:
      1. k1:...,k2:...   everywhere: all can open what k2 will seal
      2. k2:...,k1:...   everywhere: new texts are sealed under k2
      3. carelane database reseal, until it says that nothing is left
      4. k2:...          everywhere; keep k1 as long as backups from before
    To go back:
      1. clear,k2:...    everywhere: new texts are stored in clear
      2. carelane database reseal --to-clear, until it says that nothing is left

    It may run beside everything else, be stopped, and be run again: what is done is passed over.
    It signs in as the database's owner, and needs CARELANE_HMAC_KEY. Ends with 1 while something is
    left: messages on their way through the tiers, texts that changed meanwhile, or texts under a
    key that is not given.
    """
    from tqdm import tqdm  # every process that looks at the schema imports this module

    settings = Settings.from_env(os.environ)
    engine = make_engine(settings, "carelane reseal", pool_size=1)
    _check(settings, to_clear)
    if sealing(engine).keys.writes:
        sealing(engine).search_words()
    done = Done()
    try:
        with tqdm(total=resealing.total(engine), unit="", disable=None) as bar:
            for done in resealing.reseal(engine, words=words, dry_run=dry_run, batch=batch):
                bar.update(done.seen - bar.n)
    finally:
        # Also of a run that was stopped: what is changed is changed.
        if done.changed and not dry_run:
            resealing.note(engine, _actor(), done)
    click.echo(_said(done, dry_run=dry_run))
    sys.exit(1 if done.left else 0)


def _check(settings: Settings, to_clear: bool) -> None:
    keys = settings.text_keys
    if keys is None:
        raise SettingsError(
            "CARELANE_TEXT_KEYS is not set. It says under which key texts shall lie: `carelane "
            "database new-key ID` makes one"
        )
    clear_first = keys.split(",")[0].strip() == "clear"
    if clear_first and not to_clear:
        raise SettingsError(
            "CARELANE_TEXT_KEYS begins with `clear`, so every text would be stored in clear; say "
            "--to-clear if that is meant"
        )
    if to_clear and not clear_first:
        raise SettingsError(
            "--to-clear goes with CARELANE_TEXT_KEYS=clear,... in every process, or new texts are "
            "sealed meanwhile"
        )


def _said(done: Done, *, dry_run: bool) -> str:
    said = f"{done.changed:,} texts {'would be' if dry_run else 'were'} rewritten"
    if done.under_way:
        said += f"; {done.under_way:,} are on their way through the tiers: run it again later"
    if done.passed_over:
        said += f"; {done.passed_over:,} changed meanwhile: run it again"
    if done.closed:
        said += f"; {done.closed:,} do not open with the keys given: `carelane doctor` names theirs"
    return said if done.left else f"{said}; nothing is left"


def _actor() -> str:
    """Who runs it, for the audit log; a container may have no name for its user."""
    try:
        return f"{getpass.getuser()} (carelane database reseal)"
    except (KeyError, OSError):
        return "carelane database reseal"
