"""`carelane users`: who may sign in to the dashboard."""

from __future__ import annotations

import os

import click
from sqlalchemy import Engine, select

from dashboard import accounts
from dashboard.permissions import Role
from shared.database import make_engine, transaction
from shared.settings import Settings
from shared.tables import users as users_table


def _engine() -> Engine:
    return make_engine(Settings.from_env(os.environ), "carelane users", pool_size=1)


@click.group()
def users() -> None:
    """The dashboard's users."""


@users.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    required=True,
    help="clinician works the list; lead also sees operations and audit; operations sees no "
    "patient's text; auditor reads everything and changes nothing.",
)
def add(name: str, role: str) -> None:
    """Add a user and print a one-time password, to be changed at the first sign-in."""
    password = accounts.add_user(_engine(), name, Role(role))
    _show(accounts.normal_name(name), password)


@users.command("reset")
@click.argument("name")
def reset(name: str) -> None:
    """Print a fresh one-time password for a user who forgot theirs; ends their sessions."""
    _show(name, accounts.reset_password(_engine(), name))


@users.command("disable")
@click.argument("name")
def disable(name: str) -> None:
    """End a user's sessions and let them in no more; what they did stays in the audit log."""
    accounts.set_enabled(_engine(), name, False)
    click.echo(f"{accounts.normal_name(name)} cannot sign in any more.")


@users.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Let a disabled user sign in again, with the password they had."""
    accounts.set_enabled(_engine(), name, True)
    click.echo(f"{accounts.normal_name(name)} can sign in.")


@users.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def change_role(name: str, role: str) -> None:
    """Give a user another role, at once."""
    accounts.set_role(_engine(), name, Role(role))
    click.echo(f"{accounts.normal_name(name)} is now {role}.")


@users.command("seed")
def seed() -> None:
    """Make a first user where there is none yet (used by `make run`)."""
    made = accounts.seed_first_user(_engine())
    if made:
        _show(*made)


@users.command("list")
def list_users() -> None:
    """Names, roles, and who has yet to change the one-time password."""
    with transaction(_engine()) as connection:
        for row in connection.execute(select(users_table).order_by(users_table.c.name)):
            notes = [
                "has yet to sign in" if row.must_change_password else "",
                "signs in by OpenID" if row.oidc_subject else "",
                "disabled" if row.disabled_at else "",
            ]
            click.echo(f"{row.name:24} {row.role:12} {', '.join(filter(None, notes))}".rstrip())


def _show(name: str, password: str) -> None:
    click.echo(f"User:              {name}")
    click.echo(f"One-time password: {password}")
    click.echo("It is shown only now, and must be changed at the first sign-in.")
