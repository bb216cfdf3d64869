"""A line of the worklist: what is known of one message, in the terms of the page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping

from dashboard.words import reason_words, span_words
from shared.contracts import Status, Tier, Urgency
from shared.taxonomy import Category, Taxonomy

#: After this long without a label a line says "delayed" instead of showing a busy sign.
DELAYED_AFTER: Final = timedelta(minutes=2)

EXCERPT_CHARS: Final = 220


class State(StrEnum):
    """Where a message stands, as the page says it."""

    PROCESSING = "processing"  # no label yet
    SECOND_OPINION = "second_opinion"  # the fast tier was not sure; the LLM has it
    LABELLED = "labelled"
    NEEDS_REVIEW = "needs_review"
    DONE = "done"


_STATES: Final = {
    Status.QUEUED: State.PROCESSING,
    Status.ESCALATED: State.SECOND_OPINION,
    Status.LABELLED: State.LABELLED,
    Status.NEEDS_REVIEW: State.NEEDS_REVIEW,
    Status.DONE: State.DONE,
}


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A red flag as stored with the message."""

    rule: str
    title: str
    urgency: Urgency
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """One message on the worklist."""

    id: UUID
    received_at: datetime
    state: State
    rank: int  # the urgency that the list is sorted by
    urgency: Urgency | None  # None while nobody said anything
    categories: tuple[Category, ...]
    unknown_category: str | None  # a label from a taxonomy that is no longer in use
    pool: str | None
    tier: Tier | None
    confidence: float | None
    provisional: bool  # the label shown is not final
    flags: tuple[Flag, ...]
    reason: str | None  # why it needs a person, in words
    excerpt: str
    patient_ref: str | None
    sender: str | None
    assignee: str | None
    first_read_at: datetime | None
    reviewed_at: datetime | None
    target_minutes: int | None

    @property
    def processing(self) -> bool:
        """Whether the machine still works on it."""
        return self.state in (State.PROCESSING, State.SECOND_OPINION)

    @property
    def emergency(self) -> bool:
        """Whether it may be an emergency, by label or by rule."""
        return self.urgency is Urgency.EMERGENT

    def delayed(self, now: datetime) -> bool:
        """Whether it waits for its label longer than it should."""
        return self.processing and now - self.received_at > DELAYED_AFTER

    def age(self, now: datetime) -> str:
        """How long ago it came, in words."""
        return span_words(now - self.received_at)

    def due(self, now: datetime) -> str | None:
        """How the age stands against the target time; None once somebody has read it."""
        if self.first_read_at or self.state is State.DONE or self.target_minutes is None:
            return None
        left = self.received_at + timedelta(minutes=self.target_minutes) - now
        if left < timedelta(0):
            return f"{span_words(-left)} overdue"
        return f"due in {span_words(left)}"

    def overdue(self, now: datetime) -> bool:
        """Whether nobody has read it within the target time."""
        due = self.due(now)
        return due is not None and due.endswith("overdue")


def flags_of(stored: Sequence[Mapping[str, Any]] | None) -> tuple[Flag, ...]:
    """The stored red flags, most urgent first."""
    flags = [
        Flag(
            rule=str(each["rule"]),
            title=str(each.get("title") or each["rule"]),
            urgency=Urgency(each["urgency"]),
            start=int(each["start"]),
            end=int(each["end"]),
        )
        for each in stored or ()
    ]
    return tuple(sorted(flags, key=lambda flag: (flag.urgency.rank, flag.start)))


def line_of(row: RowMapping, taxonomy: Taxonomy) -> Line:
    """A row of queries.LINE_COLUMNS as a line of the page."""
    flags = flags_of(row["red_flags"])
    urgency = _urgency(row, flags)
    known = {category.name: category for category in taxonomy.categories}
    names = tuple(row["categories"] or ())
    categories = tuple(known[name] for name in names if name in known)
    status = Status(row["status"])
    return Line(
        id=row["id"],
        received_at=row["received_at"],
        state=_STATES[status],
        rank=row["urgency_rank"],
        urgency=urgency,
        categories=categories,
        unknown_category=next((name for name in names if name not in known), None),
        pool=row["pool"] or (categories[0].pool if categories else None),
        tier=Tier(row["tier"]) if row["tier"] else None,
        confidence=row["category_confidence"],
        provisional=bool(names) and not row["final"],
        flags=flags,
        reason=reason_words(row["status_reason"]) if status is Status.NEEDS_REVIEW else None,
        # A sealed text came whole.
        excerpt=" ".join(row["excerpt"][:EXCERPT_CHARS].split()),
        patient_ref=row["patient_ref"],
        sender=row["sender"],
        assignee=row["assignee"],
        first_read_at=row["first_read_at"],
        reviewed_at=row["reviewed_at"],
        target_minutes=taxonomy.level(urgency).target_minutes if urgency else None,
    )


def _urgency(row: RowMapping, flags: Sequence[Flag]) -> Urgency | None:
    """The label's urgency, never below a flag's while no person has decided."""
    said = [Urgency(row["urgency"])] if row["urgency"] else []
    if row["tier"] != Tier.HUMAN:
        said += [flag.urgency for flag in flags]
    return min(said, key=lambda urgency: urgency.rank, default=None)


def utc_now() -> datetime:
    """The time that ages are counted from."""
    return datetime.now(UTC)
