"""`carelane bulk INPUT OUTPUT`: label a file that is too large for the live lane."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from shared.errors import InvalidInput
from shared.settings import Settings
from workers.bulk.batch import collect, write_requests
from workers.bulk.job import AMBIGUOUS, BATCH_FILES, LLM, OUTPUT_FORMATS, PEOPLE, Job, Models
from workers.bulk.labeller import TAXONOMY_NAME, taxonomy_version
from workers.bulk.llm import Asker, Wording
from workers.bulk.local import LocalEngine
from workers.bulk.manifest import Manifest, check_same, read_manifest
from workers.bulk.places import Folder, open_folder, open_input
from workers.bulk.report import REJECTS_NAME, in_words, is_open, make_report, write_report
from workers.bulk.run import Begun, Engine, ask, begin, label
from workers.llm_tier.batch_file import URL
from workers.llm_tier.client import OpenAIChat
from workers.message_files import FORMATS, guess_format
from workers.patience import SystemClock

#: In the manifest's versions.
LLM_NAME: Final = "the LLM (CARELANE_LLM_MODEL)"
PROMPT_NAME: Final = "the prompt"
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
@click.option(
    "--llm-concurrency",
    type=click.IntRange(1, 256),
    help="LLM calls at once. By default CARELANE_LLM_CONCURRENCY.",
)
@click.option(
    "--max-usd",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Most that this run's LLM calls may cost; then people decide. By default no limit.",
)
def run(
    source: str,
    output: str,
    engine: str,
    processes: int | None,
    input_format: str | None,
    output_format: str | None,
    rows_per_part: int,
    llm_concurrency: int | None,
    max_usd: float,
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
    count = processes or os.cpu_count() or 1
    runner = make_engine(engine, count)
    _check_ahead(settings, job)
    folder = open_folder(output)
    with folder.alone():
        asker = _asker(settings, folder, llm_concurrency, max_usd) if job.ambiguous == LLM else None
        begun = begin(folder, job, rows_per_part, _llm_versions(settings, job))
        rows, seconds = label(begun, runner)
        try:
            if asker is not None:
                ask(begun, asker)
        finally:
            told = {
                "engine": engine,
                "processes": count,
                "rows": rows,
                "seconds": round(seconds, 2),
                "llm_simulated": settings.llm_simulated,
            }
            report = make_report(folder, begun.manifest, told)
            write_report(folder, report)
        names = _write_requests(settings, folder, begun)
    _tell(report, output, names)


def _check_ahead(settings: Settings, job: Job) -> None:
    """What would only be missed after hours."""
    if job.ambiguous == LLM:
        settings.require("openai_api_key")
    if job.format == "parquet":
        import_module("workers.bulk.parquet")


def _tell(report: Mapping[str, Any], output: str, names: Sequence[str] = ()) -> None:
    """Print the report; ends the process where rows were rejected."""
    for line in in_words(report):
        click.echo(line)
    if is_open(report):
        click.echo(f"{is_open(report):,} messages wait for the LLM.", err=True)
        if names:
            click.echo(
                f"Send {', '.join(f'{output}/{name}' for name in names)} to the Batch API "
                f"({URL}); then: carelane bulk collect {output} RESULT.jsonl ...",
                err=True,
            )
    if report["rejected"]:
        click.echo(f"Rejected rows, by line: {output.rstrip('/')}/{REJECTS_NAME}", err=True)
        if not report["messages"]:
            click.echo("No row held a message: look at --field and --input-format.", err=True)
        sys.exit(1)


@bulk.command("collect")
@click.argument("output")
@click.argument("results", nargs=-1)
@click.option(
    "--give-up", is_flag=True, help="What is still without an answer goes to people for good."
)
def collect_command(output: str, results: tuple[str, ...], give_up: bool) -> None:
    """Take the Batch API's answers, RESULTS (result and error files), into OUTPUT's labels.

    Files may come one by one, in any order, and twice. A message whose answer cannot be used goes
    to a person; one that no file mentions keeps waiting, unless --give-up.
    """
    settings = Settings.from_env(os.environ)
    if not results and not give_up:
        raise click.UsageError("name the result files, or --give-up")
    folder = open_folder(output)
    manifest = _begun(folder, output)
    if manifest.job.ambiguous != BATCH_FILES:
        raise InvalidInput(
            f"{output} asked nothing by batch files. Begin with `carelane bulk INPUT OUTPUT "
            "--ambiguous batch-files`."
        )
    wording = Wording.load(settings)
    _check_wording(manifest, settings, wording, output)
    with folder.alone():
        found = collect(
            folder,
            replace(manifest.job, output=output),
            manifest.plan.parts,
            results,
            wording,
            manifest.versions[LLM_NAME],
            give_up=give_up,
        )
        report = make_report(folder, manifest, {})
        write_report(folder, report)
    click.echo(
        f"{found.lines:,} answers taken: {found.answered:,} messages labelled by them, "
        f"{found.failed:,} to people",
        err=True,
    )
    if found.late:
        click.echo(f"{found.late:,} answers came too late: people have the messages", err=True)
    _tell(report, output)


@bulk.command("report")
@click.argument("output")
@click.option("--json", "as_json", is_flag=True, help="As report.json has it.")
def report_command(output: str, as_json: bool) -> None:
    """Print what became of the messages of OUTPUT, finished or not."""
    folder = open_folder(output)
    report = make_report(folder, _begun(folder, output), {})
    if as_json:
        click.echo(json.dumps(report, indent=1, ensure_ascii=False))
        return
    for line in in_words(report):
        click.echo(line)


def _begun(folder: Folder, output: str) -> Manifest:
    manifest = read_manifest(folder, output)
    if manifest is None:
        raise InvalidInput(f"{output} is no output of `carelane bulk`: it has no manifest.json.")
    return manifest


def _check_wording(manifest: Manifest, settings: Settings, wording: Wording, where: str) -> None:
    """Answers are read by the codes that the questions named: refuse others than were asked by."""
    taxonomy = None if settings.taxonomy_path is None else str(settings.taxonomy_path)
    now = {PROMPT_NAME: wording.prompt.version, TAXONOMY_NAME: taxonomy_version(taxonomy)}
    check_same(manifest, replace(manifest, versions={**manifest.versions, **now}), where)


def make_engine(name: str, processes: int) -> Engine:
    """The engine; raises InvalidInput where it is not installed."""
    if name == "local":
        return LocalEngine(processes)
    try:
        if name == "spark":
            from workers.bulk.spark import SparkEngine

            return SparkEngine(processes)
        from workers.bulk.ray import RayEngine

        return RayEngine(processes)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"--engine {name} needs the Python package {error.name}: `pip install "
            f"'carelane[{name}]'`, or run it from `make bulk-env` (.venvs/bulk/bin/carelane)."
        ) from None


def _asker(settings: Settings, folder: Folder, concurrency: int | None, max_usd: float) -> Asker:
    return Asker(
        settings,
        OpenAIChat.from_settings(settings),
        SystemClock(),
        folder,
        concurrency=concurrency or settings.llm_concurrency,
        most_usd=Decimal(str(max_usd)),
    )


def _llm_versions(settings: Settings, job: Job) -> dict[str, str]:
    """What answers depend on, where an LLM is asked."""
    if job.ambiguous == PEOPLE:
        return {}
    return {LLM_NAME: settings.llm_model, PROMPT_NAME: Wording.load(settings).prompt.version}


def _write_requests(settings: Settings, folder: Folder, begun: Begun) -> list[str]:
    if begun.job.ambiguous != BATCH_FILES:
        return []
    return write_requests(
        folder,
        begun.job,
        begun.manifest.plan.parts,
        Wording.load(settings),
        settings.llm_model,
        settings.llm_batch_messages,
    )


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
