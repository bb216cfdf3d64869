"""What the two tasks have in common: reading a chunk's ids, claiming rows in the right order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection, Engine

from shared.contracts import Status
from shared.database import transaction
from shared.errors import QueueError
from workers import counting, in_hand, settlement, store
from workers.lease import ProcessName, is_dead
from workers.patience import Patience
from workers.settlement import Outcome
from workers.store import Claimed

logger = logging.getLogger(__name__)


class HeldElsewhere(QueueError):
    """Some of the chunk is in another process's hands, so this delivery must not be deleted."""


@dataclass(frozen=True)
class Delivery:
    """How a chunk came, for prolonging its invisibility."""

    queue: str | None
    receipt: str | None  # SQS's receipt handle

    @classmethod
    def of(cls, request: Any) -> Self:
        """From a Celery request."""
        properties = request.properties or {}
        info = request.delivery_info or {}
        return cls(queue=info.get("routing_key"), receipt=properties.get("delivery_tag"))


def read_ids(ids: Sequence[str]) -> list[UUID]:
    """The chunk's ids; what is no id is logged and left out, so that the others go on."""
    good, bad = [], 0
    for each in ids:
        try:
            good.append(UUID(each))
        except (ValueError, TypeError, AttributeError):
            bad += 1
    if bad:
        logger.error("chunk with unreadable ids", extra={"bad_ids": bad, "messages": len(ids)})
    return list(dict.fromkeys(good))


@dataclass(frozen=True)
class Claim:
    """Rows held under one owner."""

    owner: str
    rows: list[Claimed]


class Claims:
    """Claims the rows of one chunk: fresh ones together, each suspect alone.

    A suspect was claimed `suspect_after` times and not settled, and nothing shows that it was no
    fault of its own (`workers.in_hand`): it, or a neighbour, may have killed its process. Taken one
    at a time, least often and then longest ago tried first, only the guilty one keeps failing.
    """

    def __init__(
        self,
        engine: Engine,
        patience: Patience,
        process: ProcessName,
        *,
        status: Status,
        lease_s: float,
        max_attempts: int,
        suspect_after: int = 1,
    ) -> None:
        self._engine = engine
        self._patience = patience
        self._process = process
        self._status = status
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._suspect_after = suspect_after

    def of(self, ids: Sequence[UUID]) -> Iterator[Claim]:
        """One claim after the other, the next when the one before is settled.

        Raises:
            HeldElsewhere: at the end, when another living process holds some of `ids`.
        """
        if not ids:
            return
        taken: set[UUID] = set()
        # A second time for those that a dead process held through no fault of theirs.
        for again in (True, False):
            left = [id_ for id_ in ids if id_ not in taken]
            if not left:
                return
            fresh = self._claim(left, tried_below=self._suspect_after)
            if fresh.rows:
                taken.update(row.id for row in fresh.rows)
                yield fresh
            suspects = self._waiting([id_ for id_ in left if id_ not in taken])
            if not (again and self._free_the_dead(suspects)):
                break
        yield from self._one_by_one(suspects)

    def _one_by_one(self, suspects: Sequence[store.Waiting]) -> Iterator[Claim]:
        missed = 0
        for each in suspects:
            claim = self._claim([each.id])
            if not claim.rows:
                missed += each.held
            elif claim.rows[0].attempts > self._max_attempts:
                self._give_up(claim)
            else:
                yield claim
        if missed:
            raise HeldElsewhere(f"{missed} of these messages are held by another worker")

    def _waiting(self, ids: Sequence[UUID]) -> list[store.Waiting]:
        if not ids:
            return []

        def work() -> list[store.Waiting]:
            with transaction(self._engine) as connection:
                return store.waiting(connection, ids, self._status)

        return self._patience.call(work)

    def _free_the_dead(self, suspects: Sequence[store.Waiting]) -> bool:
        """Free what dead processes held; True when there were such."""
        owners = {each.lease_owner for each in suspects if each.lease_owner}
        dead = [owner for owner in sorted(owners) if is_dead(owner, self._process)]
        if dead:
            logger.warning("taking over from dead processes", extra={"claims": len(dead)})
            self._patience.call(lambda: self._end(dead))
        return bool(dead)

    def _end(self, owners: Sequence[str]) -> None:
        with transaction(self._engine) as connection:
            for owner in owners:
                store.end_lease(connection, owner, in_hand.noted(owner, self._process))

    def _claim(self, ids: Sequence[UUID], *, tried_below: int | None = None) -> Claim:
        owner = self._process.new_claim()

        def work() -> list[Claimed]:
            with transaction(self._engine) as connection:
                claimed = store.claim(
                    connection,
                    ids,
                    status=self._status,
                    owner=owner,
                    lease_s=self._lease_s,
                    tried_below=tried_below,
                )
                return self._without_blameless_attempts(connection, owner, claimed)

        rows = self._patience.call(work)
        counting.claimed(rows, self._status)
        return Claim(owner, rows)

    def _without_blameless_attempts(
        self, connection: Connection, owner: str, rows: Sequence[Claimed]
    ) -> list[Claimed]:
        """Uncount the earlier claim where it ended while its process was not at the message."""
        blameless = set()
        for row in rows:
            at = in_hand.noted(row.before, self._process) if row.before else None
            if at is not None and row.id not in at:
                blameless.add(row.id)
        if blameless:
            store.uncount(connection, owner, sorted(blameless))
        return [
            replace(row, attempts=row.attempts - 1) if row.id in blameless else row for row in rows
        ]

    def _give_up(self, claim: Claim) -> None:
        """Settle what was claimed too often: each claim ended without an answer."""
        outcomes = [
            Outcome(id=row.id, status=Status.NEEDS_REVIEW, reason="crashed_worker")
            for row in claim.rows
        ]
        logger.error("message given up", extra={"message_id": claim.rows[0].id})
        written = settle(self._engine, self._patience, claim.owner, self._status, outcomes)
        counting.settled(claim.rows, outcomes, written, datetime.now(UTC), self._status)


def settle(
    engine: Engine, patience: Patience, owner: str, status: Status, outcomes: Sequence[Outcome]
) -> list[UUID]:
    """`settlement.settle` in a transaction of its own, waiting for the database if need be."""

    def work() -> list[UUID]:
        with transaction(engine) as connection:
            return settlement.settle(connection, owner, status, outcomes)

    return patience.call(work)
