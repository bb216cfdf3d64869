"""Asks the LLM about some of the small model's sure labels, and looks at what comes out.

The fast lane notes which labels to check; a thread of the LLM worker asks about them when nothing
else waits, and once an hour compares. A check changes no label: what it finds is for people.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    delete,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from shared import metrics
from shared.contracts import Status, Tier
from shared.database import transaction
from shared.errors import (
    CarelaneError,
    LanguageModelMisconfigured,
    LanguageModelUnavailable,
)
from shared.sealed_columns import MESSAGE_TEXT, TriedText, Unopened
from shared.tables import label_checks, labels, messages
from workers.drift import BINS, Mix, Reference, bundle_reference, stability_index
from workers.exchanges import Exchange, exchange_of, keep
from workers.fast_tier import SHIPPED
from workers.llm_tier.agreement import (
    FEWEST_CHECKS,
    FEWEST_LABELS,
    Check,
    Sampler,
    alarms,
)
from workers.llm_tier.batcher import Batcher
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.sheet import Sheet, prepare
from workers.llm_tier.tier import Question, Request
from workers.seams import Masker
from workers.settlement import Outcome

logger = logging.getLogger(__name__)

_EVERY_S: Final = 20.0
_COMPARE_EVERY: Final = 180  # rounds: an hour
_BUDGET_S: Final = 60.0
_MOST: Final = 8
#: A check that nobody answered for so long is dropped.
_FORGET_AFTER: Final = timedelta(days=1)
_RECENT: Final = timedelta(days=7)
_REFERENCE: Final = timedelta(days=28)


def note(
    connection: Connection, outcomes: Sequence[Outcome], ids: Collection[UUID], sampler: Sampler
) -> None:
    """Choose, of the fast lane's outcomes, sure labels of `ids` that the LLM is to check."""
    rows = [
        {
            "message_id": each.id,
            "category": each.label.categories[0],
            "urgency": each.label.urgency.value,
            "model_version": each.label.model_version or "",
        }
        for each in outcomes
        if each.id in ids
        and each.label is not None
        and each.status is Status.LABELLED
        and each.label.tier is Tier.FAST
        and sampler.take(each.label.categories[0])
    ]
    if rows:
        connection.execute(insert(label_checks), rows)


@dataclass(frozen=True, kw_only=True)
class _Due:
    id: int
    message_id: UUID
    text: str


class Checker:
    """One thread of an LLM worker."""

    def __init__(
        self,
        engine: Engine,
        batcher: Batcher,
        masker: Masker,
        *,
        bundle: Path | None = None,
        text_days: float = 0.0,
    ) -> None:
        self._engine = engine
        self._bundle = bundle or SHIPPED  # the small model's, for its reference
        self._text_days = text_days  # 0: what was sent is not kept
        self._batcher = batcher
        self._masker = masker
        self._stop = threading.Event()

    def start(self) -> None:
        """Check until `close`."""
        threading.Thread(target=self._run, name="checks", daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()

    def _run(self) -> None:
        rounds = 0
        while not self._stop.wait(_EVERY_S):
            rounds += 1
            try:
                if self._batcher.idle:
                    self.round()
                if rounds % _COMPARE_EVERY == 1:
                    self.compare()
            except CarelaneError as error:
                logger.warning("checks interrupted", extra={"reason": str(error)})

    def round(self) -> int:
        """Ask about some labels; returns how many were answered."""
        due = self._due()
        ready = [(each, text) for each in due if (text := self._prepared(each)) is not None]
        answered = 0

        def on_result(place: int, result: Result) -> None:
            nonlocal answered
            each, sent = ready[place]
            exchange = exchange_of("check", sent, result, days=self._text_days)
            if isinstance(result, Answered):
                answered += 1
                self._write(each, result, exchange)
            elif not isinstance(result, LanguageModelUnavailable | LanguageModelMisconfigured):
                # Refused, or an answer that cannot be used: another call is paid for nothing.
                self._drop(each, exchange)

        self._batcher.ask(
            Request(
                questions=[Question(text=text) for _, text in ready],
                on_result=on_result,
                budget_s=_BUDGET_S,
                still_ours=lambda: not self._stop.is_set(),
            )
        )
        return answered

    def compare(self) -> list[str]:
        """Look at agreement and drift; what is alarming is logged as an alert."""
        reference = bundle_reference(self._bundle)  # each time: it may have been swapped
        with transaction(self._engine) as connection:
            recent = recent_checks(connection)
            before, now = _before_and_now(connection, reference)
        _show(recent, before, now)
        found = alarms(recent, before, now)
        for each in found:
            logger.error("the small model may be stale: %s", each, extra={"alert": "model_stale"})
        return found

    def _due(self) -> list[_Due]:
        c = label_checks.c
        with transaction(self._engine) as connection:
            connection.execute(
                delete(label_checks).where(
                    c.checked_at.is_(None), c.created_at < func.now() - _FORGET_AFTER
                )
            )
            free = or_(c.asked_until.is_(None), c.asked_until < func.now())
            wanted = (
                select(c.id)
                .where(c.checked_at.is_(None), free)
                .order_by(c.id)
                .limit(_MOST)
                .with_for_update(skip_locked=True)
                .cte("wanted")
            )
            rows = connection.execute(
                update(label_checks)
                .where(c.id.in_(select(wanted.c.id)), messages.c.id == c.message_id)
                .values(asked_until=func.now() + timedelta(seconds=2 * _BUDGET_S))
                .returning(
                    c.id,
                    c.message_id,
                    type_coerce(messages.c.text, TriedText(MESSAGE_TEXT)).label("text"),
                )
            ).all()
        return [_Due(id=row.id, message_id=row.message_id, text=row.text) for row in rows]

    def _prepared(self, each: _Due) -> str | None:
        """The text as the LLM may see it; None where it may not, and the check is dropped."""
        closed = isinstance(each.text, Unopened)
        sheet = None if closed else prepare(each.text, self._masker)
        if isinstance(sheet, Sheet) and sheet.masked and not sheet.alone:
            return sheet.text
        self._drop(each)
        return None

    def _drop(self, each: _Due, exchange: Exchange | None = None) -> None:
        with transaction(self._engine) as connection:
            connection.execute(delete(label_checks).where(label_checks.c.id == each.id))
            if exchange:
                keep(connection, [(each.message_id, exchange)])

    def _write(self, each: _Due, answered: Answered, exchange: Exchange | None) -> None:
        with transaction(self._engine) as connection:
            if exchange:
                keep(connection, [(each.message_id, exchange)])
            connection.execute(
                update(label_checks)
                .where(label_checks.c.id == each.id)
                .values(
                    llm_category=answered.answer.categories[0],
                    llm_urgency=answered.answer.urgency.value,
                    llm_call_id=answered.call_id,
                    checked_at=func.now(),
                )
            )


def _show(recent: Sequence[Check], before: Mix | None, now: Mix) -> None:
    """The same numbers for Prometheus, where there is enough to say something."""
    if len(recent) >= FEWEST_CHECKS:
        against = sum(not check.agrees for check in recent)
        metrics.DISAGREEMENT.set(against / len(recent))
    if before is not None and min(before.total, now.total) >= FEWEST_LABELS:
        metrics.STABILITY.set(stability_index(before.counts, now.counts))
        metrics.CONFIDENCE_FALL.set(before.mean_confidence - now.mean_confidence)


def recent_checks(connection: Connection) -> list[Check]:
    """The checks of the last weeks of the model that was checked last."""
    c = label_checks.c
    last = select(c.model_version).order_by(c.id.desc()).limit(1).scalar_subquery()
    rows = connection.execute(
        select(c.category, c.urgency, c.llm_category, c.llm_urgency).where(
            c.checked_at > func.now() - _REFERENCE, c.model_version == last
        )
    )
    return [
        Check(
            category=row.category,
            urgency=row.urgency,
            llm_category=row.llm_category,
            llm_urgency=row.llm_urgency,
        )
        for row in rows
    ]


def _before_and_now(connection: Connection, reference: Reference | None) -> tuple[Mix | None, Mix]:
    """The bundle's reference beside its recent labels; its own past where it carries none."""
    if reference is None:
        before, version = mix(connection, _REFERENCE, _RECENT), None
    else:
        before, version = reference.mix, reference.model_version
    now = mix(connection, _RECENT, timedelta(0), version)
    return before, now or Mix.of([])


def mix(
    connection: Connection, from_ago: timedelta, to_ago: timedelta, version: str | None = None
) -> Mix | None:
    """The small model's labels between two moments, of one version or all; None without any."""
    c = labels.c
    primary = c.categories[1]
    bar = func.least(func.width_bucket(c.category_confidence, 0, 1, BINS) - 1, BINS - 1)
    wanted = [
        c.tier == Tier.FAST.value,
        c.created_at > func.now() - from_ago,
        c.created_at <= func.now() - to_ago,
    ]
    if version is not None:
        wanted.append(c.model_version == version)
    rows = connection.execute(
        select(
            primary.label("category"),
            bar.label("bar"),
            func.count().label("labels"),
            func.sum(c.category_confidence).label("confidence"),
            func.count().filter(c.provisional).label("escalated"),
        )
        .where(*wanted)
        .group_by(primary, bar)
    ).all()
    counts, bars = Counter[str](), Counter[str]()
    for row in rows:
        counts[row.category] += row.labels
        bars[str(row.bar or 0)] += row.labels
    if not rows:
        return None
    return Mix(
        counts=counts,
        mean_confidence=float(sum(row.confidence or 0.0 for row in rows)) / counts.total(),
        confidence=bars,
        escalated=sum(row.escalated for row in rows),
    )
