"""`carelane submit`: hands in a file of messages, with a progress bar and a word on bad rows."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO, Literal, cast

import click
from tqdm import tqdm

from producer.client import CarelaneClient
from producer.rows import BadRow, Row, guess_format, read_rows
from shared.errors import IntakeError, InvalidInput
from shared.settings import Settings

_DEFAULT_BATCH = 500
_BUFFER = 65_536


@dataclass
class Totals:
    """What became of the rows so far."""

    accepted: int = 0
    duplicates: int = 0
    refused_lines: set[int] = field(default_factory=set)

    def sentence(self) -> str:
        """The last line of the command."""
        return (
            f"{self.accepted:,} accepted, {self.duplicates:,} already there, "
            f"{len(self.refused_lines):,} refused"
        )


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["auto", "csv", "jsonl"]),
    default="auto",
    help="By default seen from the file's name, else from its first character.",
)
@click.option("--url", help="The intake's address. Default: CARELANE_INTAKE_URL.")
@click.option(
    "--key", help="The API key. Better kept out of the shell's history: CARELANE_API_KEY."
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=_DEFAULT_BATCH,
    show_default=True,
    help="Messages in one call.",
)
def submit(
    file: BinaryIO,
    file_format: Literal["auto", "csv", "jsonl"],
    url: str | None,
    key: str | None,
    batch_size: int,
) -> None:
    """Hand in the messages of FILE (CSV or JSON lines; - for standard input).

    CSV names its columns in the first line: text, and if wanted external_id, patient_ref,
    sender; JSON lines have the same fields. A row without external_id gets one made from its
    content and line, so that handing in the same file again doubles nothing.

    Bad rows are named on standard error by line and reason, and the others go in. Exit code 1:
    some rows were refused. 2: the work stopped before the end.
    """
    settings = Settings.from_env(os.environ)
    api_key = key or settings.require("api_key")
    # Standard input too can be peeked at this way.
    stream: io.BufferedReader[io.RawIOBase] = io.BufferedReader(cast("io.RawIOBase", file), _BUFFER)
    if file_format == "auto":
        file_format = guess_format(getattr(file, "name", ""), stream.peek(64))
    totals = Totals()
    with CarelaneClient(url or settings.intake_url, api_key) as client, _bar(file) as bar:
        try:
            for batch in _batches(read_rows(stream, file_format), batch_size):
                _submit_batch(client, batch, totals, bar)
                _advance(bar, stream, len(batch))
        except (IntakeError, InvalidInput):
            bar.close()
            click.echo(f"Stopped before the end. So far: {totals.sentence()}.", err=True)
            raise
    click.echo(f"{totals.sentence()}.")
    sys.exit(1 if totals.refused_lines else 0)


def _bar(file: BinaryIO) -> tqdm[Any]:
    """In bytes for a file, whose end is known; in messages for a stream."""
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode):
        size = status.st_size
        return tqdm(total=size, unit="B", unit_scale=True, file=sys.stderr, disable=None)
    return tqdm(unit=" messages", file=sys.stderr, disable=None)


def _advance(bar: tqdm[Any], stream: io.BufferedReader[io.RawIOBase], messages: int) -> None:
    bar.update(stream.tell() - bar.n if bar.total else messages)


def _batches(rows: Iterable[Row | BadRow], size: int) -> Iterator[list[Row | BadRow]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch


def _submit_batch(
    client: CarelaneClient, batch: list[Row | BadRow], totals: Totals, bar: tqdm[Any]
) -> None:
    for bad in batch:
        if isinstance(bad, BadRow):
            _refuse(totals, bar, bad.line, bad.detail)
    rows = [row for row in batch if isinstance(row, Row)]
    if not rows:
        return
    reply = client.submit_rows([row.content for row in rows])
    totals.accepted += reply.accepted
    totals.duplicates += reply.duplicates
    for each in reply.refused:
        _refuse(totals, bar, rows[each.index].line, f"{each.detail} [{each.reason}]")
    bar.set_postfix(accepted=totals.accepted, refused=len(totals.refused_lines), refresh=False)


def _refuse(totals: Totals, bar: tqdm[Any], line: int, detail: str) -> None:
    totals.refused_lines.add(line)
    bar.write(f"line {line}: {detail}", file=sys.stderr)
