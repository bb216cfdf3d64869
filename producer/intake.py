"""Takes checked messages in: red flags at the door, then one transaction for row and outbox.

When this returns, what it calls accepted is committed. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy import Engine

from producer import store
from producer.validation import Draft, Refusal
from shared.database import transaction
from shared.ids import new_message_id
from shared.red_flags import RedFlag


class FindsRedFlags(Protocol):
    """The seam to the red-flag rules."""

    def find(self, text: str) -> tuple[RedFlag, ...]:
        """The flags of a message; pure."""
        ...


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A message that is in the database, at its place in the call."""

    index: int
    external_id: str
    id: UUID
    new: bool  # False: it was there before


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a call's drafts."""

    kept: tuple[Kept, ...]
    conflicts: tuple[Refusal, ...]


class Intake:
    """Takes messages into the database."""

    def __init__(self, engine: Engine, red_flags: FindsRedFlags) -> None:
        self._engine = engine
        self._red_flags = red_flags

    def is_flagged(self, text: str) -> bool:
        """Whether a red-flag rule fires on `text`."""
        return bool(self._red_flags.find(text))

    def take(self, source: str, drafts: Sequence[Draft]) -> Result:
        """Keep what is new; recognise what is there; refuse ids re-used for other content.

        Raises:
            StoreUnavailable: nothing was kept; the same call may be made again.
        """
        candidates = [
            store.Candidate(
                id=new_message_id(), draft=draft, red_flags=self._red_flags.find(draft.text)
            )
            for draft in drafts
        ]
        with transaction(self._engine) as connection:
            inserted = store.insert(connection, source, candidates)
            known = store.find_known(
                connection,
                source,
                [c.draft.external_id for c in candidates if c.id not in inserted],
            )
        return _settle(candidates, inserted, known)


def _settle(
    candidates: Sequence[store.Candidate],
    inserted: frozenset[UUID],
    known: dict[str, store.Known],
) -> Result:
    kept: list[Kept] = []
    conflicts: list[Refusal] = []
    for candidate in candidates:
        draft = candidate.draft
        if candidate.id in inserted:
            kept.append(_kept(draft, candidate.id, new=True))
            continue
        there = known[draft.external_id]
        other = there.differs_in(draft)
        if other is None:
            kept.append(_kept(draft, there.id, new=False))
        else:
            conflicts.append(_conflict(draft, other))
    return Result(kept=tuple(kept), conflicts=tuple(conflicts))


def _kept(draft: Draft, message_id: UUID, *, new: bool) -> Kept:
    return Kept(index=draft.index, external_id=draft.external_id, id=message_id, new=new)


def _conflict(draft: Draft, field: str) -> Refusal:
    return Refusal(
        index=draft.index,
        field="external_id",
        reason="conflict",
        detail=f"`external_id` was used before for a message with another `{field}`; "
        "the earlier one stands. A new message needs an id of its own",
        external_id=draft.external_id,
    )
