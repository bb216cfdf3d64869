"""`carelane model`: from labelled messages to a released bundle, one command per step.

Each subcommand's module is imported only when it is called: `predict`, `eval` and `compare`
run where neither torch nor scikit-learn is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "build": ("training.commands.build", "All steps in one: data in, released bundle out."),
    "prepare": ("training.commands.prepare", "Check labelled messages: rows, counts, leaks."),
    "train": ("training.commands.train", "Fine-tune an encoder, or fit the linear model."),
    "crossval": ("training.commands.crossval", "Train on some lots, test on the others."),
    "teach": ("training.commands.teach", "Label unlabelled messages with an LLM."),
    "distil": ("training.commands.distil", "Train a smaller student from a trained teacher."),
    "quantise": ("training.commands.quantise", "Export to ONNX and quantise; make a bundle."),
    "calibrate": ("training.commands.calibrate", "Choose temperatures and routing thresholds."),
    "evaluate": ("training.commands.evaluate", "Write the report of a bundle: HTML and JSON."),
    "scorecard": ("training.commands.scorecard", "Every quantised variant side by side."),
    "release": ("training.commands.release", "Pass the gates and publish a bundle."),
    "compare": ("training.commands.compare", "Two bundles on the same messages."),
    "eval": ("training.commands.eval", "Figures of a bundle on a labelled file."),
    "predict": ("training.commands.predict", "Label messages as the worker would."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        try:
            command = import_module(_COMMANDS[cmd_name][0]).command
        except ModuleNotFoundError as error:
            name = (error.name or "").split(".")[0]
            if name in ("training", "workers", "shared"):
                raise
            raise click.ClickException(
                f"`carelane model {cmd_name}` needs {name}, which belongs to the training "
                "environment. Build it with `make training-env` and run "
                f".venvs/training/bin/carelane model {cmd_name}."
            ) from None
        assert isinstance(command, click.Command)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """From the table, so that `--help` imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])


@click.command(cls=_Lazy)
def model() -> None:
    """Train, measure and release the models of the fast tier."""
