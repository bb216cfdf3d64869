"""``carelane deid FILE|-`` masks; ``carelane deid eval FILE`` measures."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import click
from tqdm import tqdm

from shared.errors import DeidError
from workers.deid.deidentifier import Deidentifier
from workers.deid.files import read_marked
from workers.deid.report import as_dict, evaluate, lines
from workers.deid.spans import Masked
from workers.message_files import FORMATS, BadRow, Row, guess_format, read_rows

# A file is not a live message: nobody waits for one row, so a busy machine should refuse none.
FILE_BUDGET_MS = 2_000.0

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class _MaskByDefault(click.Group):
    """A group in which what names no command is a file to mask."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["mask", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_MaskByDefault, invoke_without_command=False)
def deid() -> None:
    """Mask identifiers in a file: carelane deid FILE|- [--spans].

    \b
    carelane deid messages.jsonl > masked.jsonl
    carelane deid --spans messages.csv > spans.jsonl
    echo "Anna Smith, DOB 4/2/1957" | carelane deid -
    carelane deid eval test.jsonl

    All options: carelane deid mask --help.
    """


@deid.command()
@click.argument("file", type=_FILE)
@click.option(
    "--spans",
    is_flag=True,
    help="Write JSONL: id, text (masked), spans (start, end in "
    "characters of the input, type, score).",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="What FILE holds; by default told by its ending or first line.",
)
@click.option(
    "--field", default="text", show_default=True, help="JSON key or CSV column with the message."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here instead of standard output.",
)
@click.option("--bundle", type=_FOLDER, help="Another model than the one shipped.")
@click.option(
    "--budget-ms",
    type=click.FloatRange(min=1),
    default=FILE_BUDGET_MS,
    show_default=True,
    help="Time that one message may take before it is refused.",
)
def mask(
    file: str,
    spans: bool,
    kind: str | None,
    field: str,
    output: Path | None,
    bundle: Path | None,
    budget_ms: float,
) -> None:
    """Mask identifiers in FILE (JSONL, CSV, or text with one message a line; - for stdin).

    Only id and the masked text are written: other fields may hold identifiers too. A message that
    de-identification cannot vouch for is written without text, with the reason; the exit status
    is then 1, as it is when a row cannot be read.
    """
    path = None if file == "-" else Path(file)
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        deidentifier = Deidentifier.load(bundle)
        source = (
            sys.stdin
            if path is None
            else stack.enter_context(
                path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
            )
        )
        first = source.readline()
        kind = kind or guess_format(path, first)
        out = (
            sys.stdout
            if output is None
            else stack.enter_context(output.open("w", encoding="utf-8", newline=""))
        )
        write = _writer(out, "spans" if spans else kind)
        rows = read_rows(itertools.chain([first] if first else [], source), kind, field)
        for row in tqdm(rows, unit=" messages", disable=None, file=sys.stderr):
            _one(row, deidentifier, budget_ms, write, counts)
    click.echo(_summary(counts), err=True)
    if counts["refused"] or counts["bad rows"]:
        sys.exit(1)


Writer = Callable[[Row, Masked | None, str | None], None]


def _one(
    row: Row | BadRow,
    deidentifier: Deidentifier,
    budget_ms: float,
    write: Writer,
    counts: Counter[str],
) -> None:
    if isinstance(row, BadRow):
        counts["bad rows"] += 1
        tqdm.write(f"line {row.line}: {row.problem}; left out", file=sys.stderr)
        return
    try:
        masked = deidentifier.mask(row.text, budget_ms)
    except DeidError as error:
        counts["refused"] += 1
        tqdm.write(f"line {row.line}: refused ({error.reason}): {error}", file=sys.stderr)
        write(row, None, error.reason)
        return
    counts["messages"] += 1
    for span in masked.spans:
        counts[span.type] += 1
    write(row, masked, None)


def _writer(out: IO[str], kind: str) -> Writer:
    def jsonl(row: Row, masked: Masked | None, reason: str | None) -> None:
        content: dict[str, Any] = {"id": row.id, "text": masked.text if masked else None}
        if kind == "spans":
            content["spans"] = [
                {"start": s.start, "end": s.end, "type": s.type, "score": round(s.score, 4)}
                for s in (masked.spans if masked else ())
            ]
        if reason is not None:
            content["refused"] = reason
        out.write(json.dumps(content, ensure_ascii=False) + "\n")

    def text(_row: Row, masked: Masked | None, reason: str | None) -> None:
        out.write((masked.text if masked else f"[REFUSED: {reason}]") + "\n")

    if kind == "text":
        return text
    if kind != "csv":
        return jsonl
    table = csv.writer(out)
    table.writerow(["id", "text", "refused"])
    return lambda row, masked, reason: table.writerow(
        [row.id, masked.text if masked else "", reason or ""]
    )


def _summary(counts: Counter[str]) -> str:
    found = ", ".join(
        f"{kind} {count}"
        for kind, count in sorted(counts.items())
        if kind not in ("messages", "refused", "bad rows")
    )
    return (
        f"{counts['messages']} messages masked ({found or 'no identifiers'}), "
        f"{counts['refused']} refused, {counts['bad rows']} bad rows"
    )


@deid.command(name="eval")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Write the measures as JSON.")
@click.option("--bundle", type=_FOLDER, help="Another model than the one shipped.")
@click.option(
    "--budget-ms",
    type=click.FloatRange(min=1),
    default=FILE_BUDGET_MS,
    show_default=True,
    help="Time that one message may take before it is refused.",
)
def evaluate_file(file: Path, as_json: bool, bundle: Path | None, budget_ms: float) -> None:
    """Measure on marked messages: per-type precision, recall and F1, leaks, words lost, latency.

    FILE is JSONL with [[TYPE|text]] marks, or presidio-research's JSON (its types are mapped;
    docs/deidentification.md says how). The leaked values are printed: the file's own.
    """
    messages = read_marked(file)
    deidentifier = Deidentifier.load(bundle)
    progress: Iterable[Any] = tqdm(messages, unit=" messages", disable=None, file=sys.stderr)
    result = evaluate(deidentifier, progress, budget_ms)
    if as_json:
        click.echo(json.dumps(as_dict(result), indent=1, ensure_ascii=False))
        return
    for line in lines(result):
        click.echo(line)
