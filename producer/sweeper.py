"""Finds messages that wait too long and sends them again, or to a person.

This is what makes "accepted means kept" true whatever a broker forgets: a message without a
label, a lease or an outbox row has been lost on the way, and Postgres still has it. Each round is
two conditional statements, so any number of sweepers may run.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from shared import logs, metrics
from shared.contracts import Lane, Status
from shared.database import transaction
from shared.errors import StoreError
from shared.notify import notify_messages, notify_outbox
from shared.settings import Settings

logger = logging.getLogger(__name__)

#: The status_reason of a message that no tier labelled in time.
WAITED_TOO_LONG: Final = "waited_too_long"
#: So long a rationale stays where no text is kept.
_READING_S: Final = 3600
#: Most messages of one round. It bounds the double work when the queue is merely long: a copy of
#: a message that is still queued costs its worker one look at the status.
_PER_ROUND: Final = 1000

_GIVE_UP = text(
    """
    UPDATE messages
    SET status = :needs_review, status_reason = :reason, settled_at = now(),
        lease_owner = NULL, lease_until = NULL
    WHERE id IN (
        SELECT id FROM messages
        WHERE status IN ('queued', 'escalated')
          AND greatest(received_at, rerun_at) < now() - make_interval(secs => :give_up_after_s)
          AND (lease_until IS NULL OR lease_until < now())
        ORDER BY received_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id
    """
)

# The lane follows from the status: what the fast tier passed on goes on to the LLM tier, whose
# provisional label it has; the rest starts where it started at the door.
_SEND_AGAIN = text(
    """
    WITH waiting AS (
        SELECT id FROM messages m
        WHERE status IN ('queued', 'escalated')
          AND enqueued_at < now() - make_interval(secs => :sweep_after_s)
          AND (lease_until IS NULL OR lease_until < now())
          -- A queued one's row of the LLM lane is for asking ahead; that does not settle it.
          AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message_id = m.id
                          AND (o.lane <> 'llm' OR m.status = 'escalated'))
          -- A tier that is told to pause would only be sent copies.
          AND NOT EXISTS (
              SELECT FROM worker_orders w WHERE w.wanted = 'paused'
              AND w.target = CASE m.status WHEN 'escalated' THEN 'llm' ELSE 'fast' END)
        ORDER BY enqueued_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), stamped AS (
        UPDATE messages SET enqueued_at = now() FROM waiting WHERE messages.id = waiting.id
        RETURNING messages.id, status, red_flags
    )
    INSERT INTO outbox (message_id, lane)
    SELECT id, CASE WHEN status = 'escalated' THEN :llm
                    WHEN red_flags = '[]' THEN :fast ELSE :priority END
    FROM stamped ORDER BY id
    RETURNING message_id
    """
)

_FORGET = text(
    """
    DELETE FROM llm_exchanges WHERE id IN (
        SELECT id FROM llm_exchanges WHERE created_at < now() - make_interval(secs => :older_s)
        ORDER BY created_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    """
)
# What an LLM wrote from such a text goes with it.
_FORGET_RATIONALES = text(
    """
    DELETE FROM explanations
    WHERE kind = 'rationale' AND asked_at < now() - make_interval(secs => :older_s)
    """
)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What one round did."""

    given_up: tuple[UUID, ...]  # now a person's
    sent_again: tuple[UUID, ...]


def sweep(engine: Engine, *, sweep_after_s: float, give_up_after_s: float) -> Sweep:
    """One round, bounded; call again for the rest.

    Raises:
        StoreError: the database failed; nothing was changed.
    """
    with transaction(engine) as connection:
        given_up = _ids(
            connection,
            _GIVE_UP,
            give_up_after_s=give_up_after_s,
            needs_review=Status.NEEDS_REVIEW.value,
            reason=WAITED_TOO_LONG,
        )
        notify_messages(connection, given_up)
        sent_again = _ids(
            connection,
            _SEND_AGAIN,
            sweep_after_s=sweep_after_s,
            llm=Lane.LLM.value,
            fast=Lane.FAST.value,
            priority=Lane.PRIORITY.value,
        )
        if sent_again:
            notify_outbox(connection)
    return Sweep(given_up=given_up, sent_again=sent_again)


def forget_texts(engine: Engine, days: float) -> int:
    """Remove what the LLM was sent and answered longer ago than this; returns how many, bounded.

    Raises:
        StoreError: the database failed; nothing was changed.
    """
    with transaction(engine) as connection:
        older_s = days * 86_400
        # Also where nothing is kept, whoever asked must have time to read the answer.
        connection.execute(_FORGET_RATIONALES, {"older_s": max(older_s, _READING_S)})
        return connection.execute(_FORGET, {"older_s": older_s, "most": _PER_ROUND}).rowcount


def _ids(connection: Connection, statement: object, **parameters: object) -> tuple[UUID, ...]:
    rows = connection.execute(statement, {**parameters, "most": _PER_ROUND})  # type: ignore[call-overload]
    return tuple(row[0] for row in rows)


def run(engine: Engine, settings: Settings, stop: threading.Event) -> None:
    """Sweep every `sweep_every_s` until `stop`; at once again while rounds come out full."""
    logger.info("sweeper started")
    while not stop.is_set():
        full = _round(engine, settings)
        stop.wait(0 if full else settings.sweep_every_s)
    logger.info("sweeper stopped")


def _round(engine: Engine, settings: Settings) -> bool:
    try:
        done = sweep(
            engine,
            sweep_after_s=settings.sweep_after_s,
            give_up_after_s=settings.give_up_after_s,
        )
    except StoreError as error:
        logger.warning("sweep failed; next round tries again", extra={"error_text": str(error)})
        return False
    metrics.SENT_AGAIN.inc(len(done.sent_again))
    metrics.GIVEN_UP.inc(len(done.given_up))
    if done.given_up or done.sent_again:
        logger.warning(
            "messages had waited too long",
            extra={"sent_again": len(done.sent_again), "given_up": len(done.given_up)},
        )
        logs.with_ids(logger, "sent again", done.sent_again)
        logs.with_ids(logger, "given up", done.given_up)
    try:  # by itself: what was swept stands, and is counted, whatever becomes of this
        forget_texts(engine, settings.llm_text_days)
    except StoreError as error:
        logger.warning("old texts not removed", extra={"error_text": str(error)})
    # Given up are few and final; full rounds of them follow each other. Sent again are not
    # hurried: see _PER_ROUND.
    return len(done.given_up) == _PER_ROUND
