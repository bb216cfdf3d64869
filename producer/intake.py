"""Takes checked messages in: red flags at the door, then one transaction for row and outbox.

When this returns, what it calls accepted is committed. Nothing here knows HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import Engine

from producer import store
from producer.validation import Draft, Refusal
from shared import logs, metrics, tracing
from shared.database import transaction
from shared.ids import new_message_id
from shared.red_flags import RedFlag
from shared.sealed_columns import sealing

logger = logging.getLogger(__name__)

#: From so many messages on, a look at what is known first costs less than it saves.
_BULK: Final = 100


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
    conflicts: tuple[Refusal, ...]  # with what was kept before, or nobody can tell


class Intake:
    """Takes messages into the database.

    Raises:
        SettingsError: texts are to be sealed, and CARELANE_HMAC_KEY is missing.
    """

    def __init__(
        self, engine: Engine, red_flags: FindsRedFlags, *, speculate: bool = False
    ) -> None:
        if sealing(engine).keys.writes:
            sealing(engine).search_words()
        self._engine = engine
        self._red_flags = red_flags
        self._speculate = speculate  # CARELANE_LLM_SPECULATE

    def is_flagged(self, text: str) -> bool:
        """Whether a red-flag rule fires on `text`."""
        return bool(self._red_flags.find(text))

    def take(self, source: str, drafts: Sequence[Draft]) -> Result:
        """Keep what is new; recognise what is there; refuse ids re-used for other content.

        Raises:
            StoreUnavailable: nothing was kept; the same call may be made again.
        """
        known = self._known(source, drafts) if len(drafts) >= _BULK else {}
        candidates = [
            store.Candidate(
                id=new_message_id(), draft=draft, red_flags=self._red_flags.find(draft.text)
            )
            for draft in drafts
            if draft.external_id not in known
        ]
        with transaction(self._engine) as connection:
            parent = tracing.current() if len(candidates) <= tracing.MOST_TRACED else None
            inserted = store.insert(
                connection, source, candidates, trace_parent=parent, speculate=self._speculate
            )
            others = [c.draft.external_id for c in candidates if c.id not in inserted]
            known |= store.find_known(connection, source, others)
        flagged = sum(bool(c.red_flags) for c in candidates if c.id in inserted)
        metrics.ACCEPTED.inc(flagged, flagged="yes")
        metrics.ACCEPTED.inc(len(inserted) - flagged, flagged="no")
        ids = [c.id for c in candidates if c.id in inserted]
        logs.with_ids(logger, "accepted", ids, source=source)
        new = {c.draft.index: c.id for c in candidates if c.id in inserted}
        return _settle(drafts, new, known)

    def _known(self, source: str, drafts: Sequence[Draft]) -> dict[str, store.Known]:
        """What is there already: a file handed in again is not searched for red flags again."""
        with transaction(self._engine) as connection:
            return store.find_known(connection, source, [draft.external_id for draft in drafts])


def _settle(
    drafts: Sequence[Draft], new: Mapping[int, UUID], known: Mapping[str, store.Known]
) -> Result:
    kept: list[Kept] = []
    conflicts: list[Refusal] = []
    for draft in drafts:
        if draft.index in new:
            kept.append(_kept(draft, new[draft.index], new=True))
            continue
        there = known[draft.external_id]
        if there.closed:
            logger.error("repeat not compared", extra={"message_id": there.id})
            conflicts.append(_incomparable(draft))
        elif (other := there.differs_in(draft)) is None:
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


def _incomparable(draft: Draft) -> Refusal:
    return Refusal(
        index=draft.index,
        field="external_id",
        reason="not_comparable",
        detail="cannot be compared with what was kept before: the earlier text under this "
        "`external_id` is sealed under a key that the intake does not have. The earlier one "
        "stands. Tell whoever runs Carelane; where the text may be another one, send it under an "
        "id of its own",
        external_id=draft.external_id,
    )
