"""`carelane settings`: what can be set, and what is set here."""

from __future__ import annotations

import os
from dataclasses import Field, fields
from typing import Any

import click

from shared.settings import Settings

_INTRO = """# Settings

Every process reads these variables once, when it starts. `carelane settings` prints them with
the values that it sees; this page is what `carelane settings --markdown` prints, and a test
fails when the two differ. A variable that cannot be read stops the process and is named.
"""


def _default_of(each: Field[Any]) -> str:
    if each.default is None:
        return "unset"
    if isinstance(each.default, bool):
        return str(int(each.default))
    if isinstance(each.default, float):
        return f"{each.default:g}"
    return str(each.default)


def as_markdown() -> str:
    """docs/settings.md, whole."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    rows += [
        f"| `{each.metadata['env']}` | {_default_of(each)} | {each.metadata['about']}"
        f"{' Secret.' if each.metadata['secret'] else ''} |"
        for each in fields(Settings)
    ]
    return _INTRO + "\n" + "\n".join(rows) + "\n"


def _shown(each: Field[Any], value: object) -> str:
    if value is None:
        return "unset"
    return "(set, hidden)" if each.metadata["secret"] else str(value)


@click.command()
@click.option("--markdown", is_flag=True, help="Print the table of docs/settings.md instead.")
def settings(markdown: bool) -> None:
    """List every setting with its meaning and the value seen here; secrets stay hidden."""
    if markdown:
        click.echo(as_markdown(), nl=False)
        return
    current = Settings.from_env(os.environ)
    for each in fields(Settings):
        click.echo(f"{each.metadata['env']} = {_shown(each, getattr(current, each.name))}")
        click.echo(f"    {each.metadata['about']}")
