"""`carelane bulk INPUT OUTPUT`: label a file that is too large for the live lane."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from shared.errors import InvalidInput
from shared.settings import Settings
from workers.bulk.job import AMBIGUOUS, OUTPUT_FORMATS, PEOPLE, Job, Models
from workers.bulk.local import LocalEngine
from workers.bulk.places import open_folder, open_input
from workers.bulk.report import in_words, is_open, make_report, write_report
from workers.bulk.run import Engine, begin, label
from workers.message_files import FORMATS, guess_format

ENGINES = ("local", "spark", "ray")


class _RunByDefault(click.Group):
    """A group in which what names no command is a file to label."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunByDefault, invoke_without_command=False)
def bulk() -> None:
    """Label a large file: carelane bulk INPUT OUTPUT.

    \b
    carelane bulk messages.jsonl labelled/
    carelane bulk messages.csv labelled/ --processes 8 --format parquet
    carelane bulk s3://bucket/messages.parquet s3://bucket/labelled --engine spark

    All options: carelane bulk run --help.
    """


@bulk.command()
@click.argument("source", metavar="INPUT")
@click.argument("output")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="local",
    show_default=True,
    help="Who runs the processes.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    help="Processes that label. By default one per core.",
)
@click.option(
    "--ambiguous",
    type=click.Choice(AMBIGUOUS),
    default=PEOPLE,
    show_default=True,
    help="Who gets what the small model is not sure of.",
)
@click.option(
    "--input-format",
    type=click.Choice([*FORMATS, "parquet"]),
    help="What INPUT holds; by default told by its ending or first line.",
)
@click.option("--field", default="text", show_default=True, help="Key or column with the message.")
@click.option("--id-field", default="id", show_default=True, help="Key or column with its id.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(OUTPUT_FORMATS),
    help="Of the labels. By default INPUT's; JSON lines where that is text.",
)
@click.option(
    "--with-text", is_flag=True, help="Write the messages' text, identifiers included, too."
)
@click.option(
    "--rows-per-part",
    type=click.IntRange(1, 1_000_000),
    default=1_000,
    show_default=True,
    help="What is done at a time, and done again after a kill.",
)
def run(
    source: str,
    output: str,
    engine: str,
    processes: int | None,
    input_format: str | None,
    output_format: str | None,
    rows_per_part: int,
    **options: Any,
) -> None:
    """Label the messages of INPUT (CSV, JSON lines, Parquet, or text with one message a line).

    INPUT and OUTPUT are paths, or addresses of an object store (s3://, gs://, abfs://). OUTPUT
    becomes a folder: labels/ with a file per part, rejects.jsonl with the line and problem of each
    row that holds no message, report.json. The same command goes on where a killed run stopped.

    Exit status: 0 when every row was labelled or is for a person, 1 when rows were rejected, 2 when
    the run could not be started, or not be finished.
    """
    settings = Settings.from_env(os.environ)
    kind = input_format or _kind(source)
    job = Job(
        source=source,
        output=output,
        kind=kind,
        format=output_format or (kind if kind in OUTPUT_FORMATS else "jsonl"),
        models=_models(settings, masks=options["ambiguous"] != PEOPLE),
        **options,
    )
    folder = open_folder(output)
    with folder.alone():
        begun = begin(folder, job, rows_per_part)
        count = processes or os.cpu_count() or 1
        rows, seconds = label(begun, _engine(engine, count))
        told = {
            "engine": engine,
            "processes": count,
            "rows": rows,
            "seconds": round(seconds, 2),
        }
        report = make_report(folder, begun.manifest, told)
        write_report(folder, report)
    for line in in_words(report):
        click.echo(line)
    if is_open(report):
        click.echo(f"{is_open(report):,} messages wait for the LLM.", err=True)
    if report["rejected"]:
        click.echo(f"Rejected rows, by line: {output.rstrip('/')}/rejects.jsonl", err=True)
        sys.exit(1)


def _engine(name: str, processes: int) -> Engine:
    if name == "local":
        return LocalEngine(processes)
    raise InvalidInput(f"no engine {name}")


def _kind(source: str) -> str:
    """The input's format by its ending, else by its first line."""
    if source.lower().endswith((".parquet", ".pq")):
        return "parquet"
    with open_input(source) as stream:
        start = stream.read(4096)
    if start.startswith(b"PAR1"):
        return "parquet"
    first = start.decode("utf-8-sig", "replace")
    return guess_format(Path(source.rpartition("/")[2]), first)


def _models(settings: Settings, *, masks: bool) -> Models:
    def text(path: Path | None) -> str | None:
        return None if path is None else str(path.resolve())

    return Models(
        bundle=text(settings.bundle_path),
        deid_bundle=text(settings.deid_bundle_path),
        taxonomy=text(settings.taxonomy_path),
        red_flags=text(settings.red_flags_path),
        masks=masks,
        max_text_chars=settings.max_text_chars,
    )
