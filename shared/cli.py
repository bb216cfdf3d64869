"""The `carelane` command: finds its subcommands by entry point, loads only the one that is used.

A package adds a command by a line in setup.cfg under `carelane.commands`; nothing here knows
the packages.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import click

from shared.errors import CarelaneError

GROUP = "carelane.commands"


class _Commands(click.Group):
    """A click group whose commands are entry points, imported when asked for."""

    def _points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(self._points())

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        cmd_name: str,
    ) -> click.Command | None:
        point = self._points().get(cmd_name)
        if point is None:
            return None
        try:
            command = point.load()
        except ModuleNotFoundError as error:
            # `carelane --help` still lists what this environment cannot run.
            return _not_installed(cmd_name, error.name or "?")
        if not isinstance(command, click.Command):
            raise TypeError(f"{point.value} (entry point {cmd_name}) is not a click command")
        return command


def _not_installed(name: str, package: str) -> click.Command:
    def refuse() -> None:
        raise click.ClickException(
            f"`carelane {name}` needs the Python package {package}, which this environment does "
            "not have. Training commands live in the training environment: `make training-env`."
        )

    return click.Command(
        name,
        help=f"Not installed here: needs the Python package {package}.",
        callback=refuse,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="carelane")
def carelane() -> None:
    """Carelane sorts patient-portal messages. Each command has a --help of its own."""


def main() -> None:
    """Entry point of the console script: our own errors end as one line, not as a traceback."""
    try:
        carelane()
    except CarelaneError as error:
        click.echo(f"carelane: {error}", err=True)
        sys.exit(2)
