"""`carelane model predict`: label messages by the very code that the worker runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

import click

from shared.errors import CarelaneError
from shared.red_flags import RedFlag, RedFlags
from training.commands.options import bundle_argument
from training.corpus import strip_marks
from training.progress import bar
from workers.fast_tier import FastTier
from workers.routing import Decision

_BOM: Final = b"\xef\xbb\xbf"


@click.command("predict")
@bundle_argument
@click.argument("file", type=click.File("rb"))
@click.option("--output", "-o", type=click.File("w", encoding="utf-8"), default="-")
def command(bundle: Path, file: IO[bytes], output: IO[str]) -> None:
    """Label the messages of FILE (JSONL with id and text; `-` is standard input).

    BUNDLE is a bundle's folder, or `shipped`. Writes one JSON object a line: id, categories
    (primary first), urgency, confidence of each head, accepted, reasons to escalate, red flags.
    Corpus marks, [[TYPE|text]], are read as their plain text.

    A bad row is named by its line on standard error, and the good ones go through. Exit status:
    0 when every row was labelled, 1 when a row was bad, 2 when nothing could be started.
    """
    try:
        tier, rules = FastTier.load(bundle), RedFlags.load()
    except CarelaneError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    good = accepted = bad = 0
    with bar(None, "predict") as shown:
        for number, row in _rows(file):
            shown.update(1)
            if isinstance(row, str):
                bad += 1
                click.echo(f"line {number}: {row}", err=True)
                continue
            text, _ = strip_marks(row["text"])
            flags = rules.find(text)
            decision = tier.judge(text, flags)
            good += 1
            accepted += decision.accepted
            output.write(json.dumps(as_row(row["id"], decision, flags), ensure_ascii=False) + "\n")
    output.flush()
    click.echo(
        f"{good} labelled ({accepted} accepted, {good - accepted} to escalate), {bad} bad rows; "
        f"bundle {tier.version}",
        err=True,
    )
    sys.exit(1 if bad else 0)


def as_row(row_id: str | int, decision: Decision, flags: Iterable[RedFlag]) -> dict[str, Any]:
    """The output for one message."""
    label = decision.label
    return {
        "id": row_id,
        "categories": list(label.categories),
        "urgency": str(label.urgency),
        "confidence": {
            "category": round(label.category_confidence or 0.0, 4),
            "urgency": round(label.urgency_confidence or 0.0, 4),
        },
        "accepted": decision.accepted,
        "reasons": list(decision.reasons),
        "red_flags": [
            {
                "rule": f.rule,
                "title": f.title,
                "urgency": str(f.urgency),
                "start": f.start,
                "end": f.end,
            }
            for f in flags
        ],
    }


def _rows(file: Iterable[bytes]) -> Iterable[tuple[int, dict[str, Any] | str]]:
    """Line numbers with rows; a string in place of a row says what is wrong with it."""
    for number, line in enumerate(file, 1):
        raw = line.removeprefix(_BOM) if number == 1 else line
        if raw.strip():
            yield number, _row(raw)


def _row(raw: bytes) -> dict[str, Any] | str:
    try:
        row = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        return "not JSON that can be read: nested too deeply"
    if not isinstance(row, dict):
        return "not a JSON object"
    row_id, text = row.get("id"), row.get("text")
    if not isinstance(row_id, str | int) or isinstance(row_id, bool) or row_id == "":
        return "no id: it must be a text or a whole number"
    if not isinstance(text, str):
        return "no text: it must be a string"
    if not text.strip():
        return "the text is empty"
    return _encodable(row, text)


def _encodable(row: dict[str, Any], text: str) -> dict[str, Any] | str:
    """JSON may hold half a surrogate pair, which is no text and cannot be written."""
    try:
        text.encode("utf-8")
        str(row["id"]).encode("utf-8")
    except UnicodeEncodeError:
        return "the text or the id holds a lone surrogate, which is not Unicode text"
    return row
