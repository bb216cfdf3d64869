"""`carelane export corrections`: what people decided, de-identified, as training data.

Each row is a message whose current label is a person's, with its text masked; a text that
de-identification cannot vouch for, or that no key given here opens, is left out and counted. The
reasons that people typed stay here: they are free text too. How far people agree is told beside it,
because a model cannot be better than the people it learns from agree with one another.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TextIO

import click
from sqlalchemy import Connection, RowMapping, text

from shared.database import make_engine, transaction
from shared.errors import DeidError
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened
from shared.settings import Settings
from workers.deid import Deidentifier

_DECIDED = text(
    """
    SELECT m.text, m.sender, now.categories, now.urgency, now.reasons, now.taxonomy_version,
           was.categories AS was_categories, was.urgency AS was_urgency, was.tier AS was_tier,
           was.model_version AS was_model_version
    FROM messages m
    JOIN labels now ON now.id = m.current_label_id AND now.tier = 'human'
    LEFT JOIN LATERAL (
        SELECT * FROM labels l
        WHERE l.message_id = m.id AND l.tier <> 'human' AND l.id < now.id
        ORDER BY l.id DESC LIMIT 1
    ) was ON true
    ORDER BY now.id
    """
).columns(text=TriedText(MESSAGE_TEXT))

#: The last word of each person on each message; decisions that were undone do not count.
_OPINIONS = text(
    """
    SELECT DISTINCT ON (l.message_id, l.author) l.message_id, l.author, l.categories, l.urgency
    FROM labels l
    WHERE l.tier = 'human' AND l.author IS NOT NULL AND l.id NOT IN (
        SELECT (done.detail -> 'after' ->> 'current_label_id')::bigint
        FROM audit_log undone JOIN audit_log done ON done.id = (undone.detail ->> 'of')::bigint
        WHERE undone.action = 'undone' AND done.action IN ('corrected', 'accepted')
    )
    ORDER BY l.message_id, l.author, l.id DESC
    """
)


#: Beside the reasons of de-identification: the text opens with no key given here.
CLOSED: Final = "text_sealed"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often two people who labelled the same message said the same."""

    pairs: int
    category: float | None  # share of pairs with the same primary category; None without a pair
    urgency: float | None


def agreement(opinions: Sequence[Mapping[str, Any]]) -> Agreement:
    """Agreement over all pairs of people on the same message. Pure."""
    by_message: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for opinion in opinions:
        by_message[opinion["message_id"]].append(opinion)
    pairs = [pair for each in by_message.values() for pair in combinations(each, 2)]
    if not pairs:
        return Agreement(pairs=0, category=None, urgency=None)
    category = sum(a["categories"][0] == b["categories"][0] for a, b in pairs) / len(pairs)
    urgency = sum(a["urgency"] == b["urgency"] for a, b in pairs) / len(pairs)
    return Agreement(pairs=len(pairs), category=category, urgency=urgency)


def rows(connection: Connection, masker: Deidentifier, refused: Counter[str]) -> Iterator[str]:
    """One JSON object a line; others are counted in `refused` by reason."""
    for number, row in enumerate(connection.execute(_DECIDED).mappings(), start=1):
        if isinstance(row["text"], Unopened):
            refused[CLOSED] += 1
            continue
        try:
            masked = masker.mask(row["text"]).text
        except DeidError as error:
            refused[error.reason] += 1
            continue
        yield json.dumps(_row(number, row, masked), ensure_ascii=False)


def _row(number: int, row: RowMapping, masked: str) -> dict[str, Any]:
    return {
        # Not the message's id: nothing here leads back to a patient.
        "id": f"R-{number:05}",
        "text": masked,
        "categories": list(row["categories"]),
        "urgency": row["urgency"],
        "sender": row["sender"],
        "decision": (row["reasons"] or ["corrected"])[0],
        "taxonomy_version": row["taxonomy_version"],
        "was": {
            "categories": list(row["was_categories"]),
            "urgency": row["was_urgency"],
            "tier": row["was_tier"],
            "model_version": row["was_model_version"],
        }
        if row["was_tier"]
        else None,
    }


@click.group()
def export() -> None:
    """Take data out of Carelane, without names."""


@export.command("corrections")
@click.option("--output", type=click.File("w", encoding="utf-8"), default="-", show_default=True)
def corrections(output: TextIO) -> None:
    """What people decided, as JSONL with masked texts; a summary goes to standard error."""
    settings = Settings.from_env(os.environ)
    masker = Deidentifier.load(settings.deid_bundle_path, settings.deid_budget_ms)
    refused: Counter[str] = Counter()
    written = 0
    with transaction(make_engine(settings, "carelane export", pool_size=1)) as connection:
        for line in rows(connection, masker, refused):
            output.write(line + "\n")
            written += 1
        opinions = [dict(row) for row in connection.execute(_OPINIONS).mappings()]
    found = agreement(opinions)
    click.echo(f"{written} rows written", err=True)
    if closed := refused.pop(CLOSED, 0):
        click.echo(
            f"{closed} left out: their texts open with no key given here; `carelane doctor` names "
            "the keys",
            err=True,
        )
    for reason, count in refused.most_common():
        click.echo(f"{count} left out: de-identification refused them ({reason})", err=True)
    if found.pairs:
        click.echo(
            f"{found.pairs} pairs of people labelled the same message: same primary category "
            f"{found.category:.1%}, same urgency {found.urgency:.1%}",
            err=True,
        )
    else:
        click.echo("no message was labelled by two people, so agreement is not known", err=True)
