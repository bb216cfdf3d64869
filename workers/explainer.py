"""Explanations for people who look at a message, worked out beside the lanes and never before them.

The dashboard puts a row into `explanations` and notifies; a thread of a worker takes it, answers,
and writes the answer into the row, where the page finds it. A thread of a fast worker pauses while
its process has a chunk in hand: what is asked for a page must not cost the hot path more than a
single run of the model.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Engine, func, or_, select, type_coerce, update

from shared.contracts import CHANNEL_EXPLANATIONS, EXPLAIN_WITHIN_S, Explain
from shared.database import transaction
from shared.errors import CarelaneError, StoreUnavailable
from shared.notify import Listener
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened, seal_answer
from shared.settings import Settings
from shared.tables import explanations, labels, messages

logger = logging.getLogger(__name__)

#: As long as a question can be taken at all: nobody takes it a second time, and pays for it twice.
_CLAIM_S: Final = EXPLAIN_WITHIN_S
_LOOK_EVERY_S: Final = 10.0
_RECONNECT_S: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question about one message."""

    id: int
    message_id: UUID
    label_id: int  # of the label that is to be explained
    claimed_until: datetime  # with the label: this claim and no other
    text: str
    categories: tuple[str, ...]
    urgency: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The answer, or the stable code for why there is none."""

    outcome: str = "ok"
    model_version: str | None = None
    result: Mapping[str, Any] | None = None


class Quiet:
    """Whether the process has nothing more important in hand."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = 0

    def enter(self, **_: object) -> None:
        """A chunk begins."""
        with self._changed:
            self._busy += 1

    def leave(self, **_: object) -> None:
        """A chunk has ended."""
        with self._changed:
            self._busy = max(0, self._busy - 1)
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a quiet moment; False when none came."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout_s)


class Explainer:
    """One thread that answers one kind of question."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        kind: Explain,
        answer: Callable[[Asked], Explanation],
    ) -> None:
        self._engine = engine
        self._kind = kind
        self._answer = answer
        self._listener = Listener(settings, f"carelane explain {kind}", CHANNEL_EXPLANATIONS)
        self._stop = threading.Event()

    def start(self) -> None:
        """Answer until `close`."""
        threading.Thread(target=self._run, name=f"explain-{self._kind}", daemon=True).start()

    def close(self) -> None:
        """Stop after the answer in hand."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listener.connect()
                while not self._stop.is_set():
                    while self.round():
                        pass
                    list(self._listener.wait(_LOOK_EVERY_S))
            except CarelaneError as error:
                logger.warning("explanations interrupted", extra={"reason": str(error)})
                self._stop.wait(_RECONNECT_S)
            except Exception as error:
                # Nobody restarts this thread, and no page must wait for ever for one odd text.
                logger.exception("an explanation failed", extra={"error": type(error).__name__})
        self._listener.close()

    def round(self) -> bool:
        """Answer the oldest open question; False when there is none.

        Raises:
            StoreError: the database failed. Where it may succeed later the question stays
                claimed, and the page says at the end that no answer came.
        """
        asked = self._take()
        if asked is None:
            return False
        started_s = time.monotonic()
        try:
            closed = isinstance(asked.text, Unopened)
            found = Explanation(outcome="text_sealed") if closed else self._answer(asked)
            self._write(asked, found)
        except StoreUnavailable:
            raise
        except Exception:  # an answer that the database refuses among them
            self._write(asked, Explanation(outcome="failed"))
            raise
        logger.info(
            "explained",
            extra={
                "message_id": asked.message_id,
                "kind": self._kind,
                "outcome": found.outcome,
                "duration_ms": round((time.monotonic() - started_s) * 1000),
            },
        )
        return True

    def _take(self) -> Asked | None:
        e = explanations.c
        free = or_(e.claimed_until.is_(None), e.claimed_until < func.now())
        fresh = e.asked_at > func.now() - timedelta(seconds=EXPLAIN_WITHIN_S)
        oldest = (
            select(e.id)
            .where(e.kind == self._kind.value, e.outcome.is_(None), free, fresh)
            .order_by(e.asked_at)
            .limit(1)
            .with_for_update(skip_locked=True)
            .cte("oldest")
        )
        statement = (
            update(explanations)
            .where(
                e.id.in_(select(oldest.c.id)),
                messages.c.id == e.message_id,
                labels.c.id == e.label_id,
            )
            .values(claimed_until=func.now() + timedelta(seconds=_CLAIM_S))
            .returning(
                e.id,
                e.message_id,
                e.label_id,
                e.claimed_until,
                type_coerce(messages.c.text, TriedText(MESSAGE_TEXT)).label("text"),
                labels.c.categories,
                labels.c.urgency,
            )
        )
        with transaction(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return Asked(
            id=row.id,
            message_id=row.message_id,
            label_id=row.label_id,
            claimed_until=row.claimed_until,
            text=row.text,
            categories=tuple(row.categories),
            urgency=row.urgency,
        )

    def _write(self, asked: Asked, found: Explanation) -> None:
        e = explanations.c
        with transaction(self._engine) as connection:
            connection.execute(
                update(explanations)
                # Asked anew meanwhile, after another label: then that question is still open, and
                # whoever has taken it answers it.
                .where(
                    e.id == asked.id,
                    e.outcome.is_(None),
                    e.label_id == asked.label_id,
                    e.claimed_until == asked.claimed_until,
                )
                .values(
                    outcome=found.outcome,
                    model_version=found.model_version,
                    result=found.result and seal_answer(connection, dict(found.result)),
                    answered_at=func.now(),
                )
            )
