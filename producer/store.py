"""The intake's SQL: a call's messages in one statement, and the reads behind status pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from producer.validation import Draft
from shared.contracts import Lane, Status, Urgency
from shared.notify import notify_messages, notify_outbox
from shared.red_flags import RedFlag
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened, sealing


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A draft with the id that it gets if it is new."""

    id: UUID
    draft: Draft
    red_flags: tuple[RedFlag, ...]

    @property
    def urgency(self) -> Urgency:
        """The floor that the red flags set; routine without any."""
        urgencies = (flag.urgency for flag in self.red_flags)
        return min(urgencies, key=lambda urgency: urgency.rank, default=Urgency.ROUTINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the database has under an external id."""

    id: UUID
    text: str  # may be Unopened
    patient_ref: str | None
    sender: str | None

    @property
    def closed(self) -> bool:
        """Whether nobody here can tell what its text is."""
        return isinstance(self.text, Unopened)

    def differs_in(self, draft: Draft) -> str | None:
        """The first field in which `draft` says something else; None for the same message."""
        for name in ("text", "patient_ref", "sender"):
            if getattr(self, name) != getattr(draft, name):
                return name
        return None


def _insert(indexed: str) -> TextClause:
    """One array per column: one round trip and one plan for 1 or 10,000 rows.

    A row that another transaction is inserting right now is waited for; that it then is there
    counts as a conflict.
    """
    return text(
        f"""
    WITH new AS (
        INSERT INTO messages
            (id, source, external_id, patient_ref, sender, text, red_flags, urgency_rank,
             trace_parent)
        SELECT id, :source, external_id, patient_ref, sender, text, red_flags::jsonb, urgency_rank,
               CAST(:trace_parent AS text)
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:external_ids AS text[]), CAST(:patient_refs AS text[]),
            CAST(:senders AS text[]), CAST(:texts AS text[]), CAST(:red_flags AS text[]),
            CAST(:urgency_ranks AS smallint[])
        ) AS row (id, external_id, patient_ref, sender, text, red_flags, urgency_rank)
        ON CONFLICT (source, external_id) DO NOTHING
        RETURNING id, red_flags
    ), sent AS (
        INSERT INTO outbox (message_id, lane)
        SELECT id, unnest(CASE WHEN red_flags = '[]' THEN ARRAY[:fast]
                               ELSE CAST(:flagged AS text[]) END)
        FROM new ORDER BY id
    ){indexed}
    SELECT id FROM new
    """  # noqa: S608  ours
    )


_INSERT = _insert("")
# What the trigger cannot do for texts that it cannot read.
_INSERT_SEALED = _insert(
    """, indexed AS (
        INSERT INTO message_words (message_id, words)
        SELECT id, CAST(row.words AS tsvector)
        FROM unnest(CAST(:ids AS uuid[]), CAST(:words AS text[])) AS row (id, words)
        JOIN new USING (id)
    )"""
)

_FIND_KNOWN = text(
    """
    SELECT external_id, id, text, patient_ref, sender FROM messages
    WHERE source = :source AND external_id = ANY(CAST(:external_ids AS text[]))
    """
).columns(text=TriedText(MESSAGE_TEXT))


def insert(
    connection: Connection,
    source: str,
    candidates: Sequence[Candidate],
    *,
    trace_parent: str | None = None,
    speculate: bool = False,
) -> frozenset[UUID]:
    """Insert those that are new, each with its outbox row; wake relays and dashboards.

    With `speculate` a flagged one goes to the LLM lane as well. Returns the ids of the new ones.
    """
    if not candidates:
        return frozenset()
    # One order for all: two calls with the same ids wait for each other, and never deadlock.
    rows = sorted(candidates, key=lambda candidate: candidate.draft.external_id)
    ours = sealing(connection)
    parameters: dict[str, Any] = {
        "source": source,
        "trace_parent": trace_parent,
        "fast": Lane.FAST.value,
        "flagged": [Lane.PRIORITY.value, *([Lane.LLM.value] if speculate else [])],
        "ids": [str(row.id) for row in rows],
        "external_ids": [row.draft.external_id for row in rows],
        "patient_refs": [row.draft.patient_ref for row in rows],
        "senders": [row.draft.sender for row in rows],
        "texts": [ours.keys.seal(row.draft.text, MESSAGE_TEXT) for row in rows],
        "red_flags": [json.dumps(flags_as_json(row.red_flags)) for row in rows],
        "urgency_ranks": [row.urgency.rank for row in rows],
    }
    statement = _INSERT
    if ours.keys.writes:
        index = ours.search_words().index
        statement, parameters["words"] = _INSERT_SEALED, [index(row.draft.text) for row in rows]
    new = [row.id for row in connection.execute(statement, parameters)]
    if new:
        notify_outbox(connection)
        notify_messages(connection, sorted(new))
    return frozenset(new)


def find_known(
    connection: Connection, source: str, external_ids: Sequence[str]
) -> dict[str, Known]:
    """What is there under these external ids of `source`."""
    if not external_ids:
        return {}
    found = connection.execute(
        _FIND_KNOWN, {"source": source, "external_ids": list(set(external_ids))}
    )
    return {
        row.external_id: Known(
            id=row.id, text=row.text, patient_ref=row.patient_ref, sender=row.sender
        )
        for row in found
    }


def flags_as_json(flags: Sequence[RedFlag]) -> list[dict[str, Any]]:
    """Red flags as `messages.red_flags` stores them."""
    return [
        {
            "rule": flag.rule,
            "title": flag.title,
            "urgency": flag.urgency.value,
            "start": flag.start,
            "end": flag.end,
        }
        for flag in flags
    ]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a message stands, with the label that counts now, if any."""

    id: UUID
    external_id: str
    received_at: datetime
    status: Status
    urgency_rank: int
    flagged: bool
    categories: tuple[str, ...] = ()
    urgency: Urgency | None = None
    provisional: bool = False
    pool: str | None = None  # where a person sent it; None: where its category goes
    text: str = field(repr=False)  # may be Unopened
    patient_ref: str | None = None
    sender: str | None = None
    settled_at: datetime | None = None  # first labelled, or given to a person
    reviewed_at: datetime | None = None


_STANDING = text(
    """
    SELECT m.id, m.external_id, m.received_at, m.status, m.urgency_rank,
           m.red_flags <> '[]' AS flagged, l.categories, l.urgency, l.pool,
           m.current_label_id IS NULL AS provisional,
           m.text, m.patient_ref, m.sender, m.settled_at, m.reviewed_at
    FROM messages m LEFT JOIN labels l
      ON l.id = COALESCE(m.current_label_id, m.provisional_label_id)
    WHERE m.id = :id AND m.source = :source
    """
).columns(text=TriedText(MESSAGE_TEXT))


def find_standing(connection: Connection, source: str, message_id: UUID) -> Standing | None:
    """How `message_id` stands, if `source` handed it in."""
    row = connection.execute(_STANDING, {"id": message_id, "source": source}).one_or_none()
    if row is None:
        return None
    return Standing(
        id=row.id,
        external_id=row.external_id,
        received_at=row.received_at,
        status=Status(row.status),
        urgency_rank=row.urgency_rank,
        flagged=row.flagged,
        categories=tuple(row.categories or ()),
        urgency=Urgency(row.urgency) if row.urgency else None,
        provisional=row.provisional and row.urgency is not None,
        pool=row.pool,
        text=row.text,
        patient_ref=row.patient_ref,
        sender=row.sender,
        settled_at=row.settled_at,
        reviewed_at=row.reviewed_at,
    )
