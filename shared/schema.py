"""Brings a database's schema to what this code expects: `carelane database upgrade`."""

from __future__ import annotations

import os
from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine

import migrations
from shared.database import database_url, translated_errors
from shared.reseal_cli import new_key_command, reseal_command
from shared.settings import Settings


def alembic_config(url: URL | None = None) -> Config:
    """Alembic's configuration, made here so that there is no ini file to find."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["url"] = url
    return config


def upgrade(url: URL) -> None:
    """Run every migration that this database has not had yet."""
    with translated_errors():
        command.upgrade(alembic_config(url), "head")


def is_current(engine: Engine) -> bool:
    """Whether the database has every migration that this code knows.

    A higher one is a later version's: during an upgrade the old code goes on, since
    migrations only add what it may ignore.
    """
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with translated_errors(), engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    # Revisions are numbered in their order.
    return found is not None and head is not None and found >= head


@click.group()
def database() -> None:
    """The database's schema, and the keys under which it holds texts."""


@database.command("upgrade")
def upgrade_command() -> None:
    """Bring the schema of CARELANE_DATABASE_URL up to date; safe to run again."""
    url = database_url(Settings.from_env(os.environ))
    upgrade(url)
    click.echo(f"The schema of {url.render_as_string(hide_password=True)} is up to date.")


database.add_command(new_key_command)
database.add_command(reseal_command)
