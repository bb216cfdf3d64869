"""One claim of the LLM lane, from the rows in hand to the last one settled or given back."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from shared import logs
from shared.contracts import Label, Status, Urgency
from shared.database import transaction
from shared.errors import (
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelUnavailable,
    StoreError,
)
from workers import counting, store
from workers.cache import Entry
from workers.chunk import Claim, settle
from workers.exchanges import Exchange, exchange_of
from workers.heartbeat import Held
from workers.label_cache import label_of
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.gate import BREAKER_OPEN, OVER_BUDGET, RATE_LIMIT
from workers.llm_tier.sheet import INSTRUCTIONS, Sheet, label_of_answer, prepare
from workers.llm_tier.tier import Question, Request
from workers.patience import Patience
from workers.runtime import Runtime
from workers.settlement import Outcome
from workers.store import Claimed

if TYPE_CHECKING:
    from workers.escalation import LlmLane

logger = logging.getLogger(__name__)

#: Reasons with which nothing was asked: no attempt of the message's.
_NOTHING_TRIED = frozenset({BREAKER_OPEN, RATE_LIMIT})


@dataclass(frozen=True, kw_only=True)
class RowSheet:
    """A row that is ready to be asked about."""

    row: Claimed
    text: str  # de-identified, compressed
    key: str | None
    alone: bool


class Desk:
    """Settles the rows of one claim, each as soon as its label is known."""

    def __init__(self, claim: Claim, held: Held, lane: LlmLane, runtime: Runtime) -> None:
        self._claim = claim
        self._held = held
        self._lane = lane
        self._runtime = runtime
        self._open = {row.id: row for row in claim.rows}
        self._uncounted: set[UUID] = set()  # given back though nothing was tried
        self._calls: dict[UUID, int] = {}
        self.counts: Counter[str] = Counter()  # what became of the rows, for the log

    def run(self) -> None:
        """All of it; what stays open is given back to the sweeper at the end."""
        try:
            sheets = [sheet for row in self._claim.rows if (sheet := self._sheet(row))]
            self._ask_and_wait(self._from_cache(sheets))
        finally:
            try:
                self._lane.cache.stop_asking(self._claim.owner)
            except StoreError as error:  # the note that we ask runs out by itself
                logger.warning("note of asking not removed", extra={"reason": str(error)})
            finally:
                self._give_back()

    def _sheet(self, row: Claimed) -> RowSheet | None:
        """Make a row ready; None when it went to a person."""
        sheet: Sheet | str | None = self._lane.sheets.get(row.id)
        if sheet is None:
            with logs.about(row.id), self._runtime.at(row.id):
                sheet = prepare(row.text, self._lane.masker)
        if isinstance(sheet, str):
            self._to_person(row, sheet)
            return None
        key = self._lane.cache.key(row, sheet.masked)
        return RowSheet(row=row, text=sheet.text, key=key, alone=sheet.alone)

    def _from_cache(self, sheets: Sequence[RowSheet]) -> list[RowSheet]:
        """Settle what an equal message answers; returns the rest."""
        found = self._lane.cache.find(sheet.key for sheet in sheets)
        left: list[RowSheet] = []
        for sheet in sheets:
            cached = found.get(sheet.key or "")
            if cached is None:
                left.append(sheet)
                continue
            label = label_of(cached, sheet.row, self._lane.tier.taxonomy.version)
            self._settle(sheet.row, Status.LABELLED, label=label, key=sheet.key)
            self.counts["cached"] += 1
        return left

    def _ask_and_wait(self, sheets: Sequence[RowSheet]) -> None:
        """Ask what nobody else is asking, then take over what the others found out."""
        cache, owner, budget_s = self._lane.cache, self._claim.owner, self._lane.budget_s
        keys = list(dict.fromkeys(sheet.key for sheet in sheets if sheet.key))
        mine = cache.start_asking(keys, owner, budget_s)
        self._ask([s for s in sheets if s.key is None or s.key in mine])
        theirs = [s for s in sheets if s.key is not None and s.key not in mine]
        if not theirs:
            return
        waiting = list(dict.fromkeys(s.key for s in theirs if s.key))
        mine = cache.wait(waiting, owner, budget_s, self._held.still_ours)
        unknown = self._from_cache([s for s in theirs if s.key not in mine])
        self._uncounted.update(sheet.row.id for sheet in unknown)
        self._ask([s for s in theirs if s.key in mine])

    def _ask(self, sheets: Sequence[RowSheet]) -> None:
        """Ask once about equal texts."""
        groups: dict[object, list[RowSheet]] = {}
        for sheet in sheets:
            groups.setdefault(sheet.key or sheet.row.id, []).append(sheet)
        asked = list(groups.values())

        def on_result(place: int, result: Result) -> None:
            for sheet in asked[place]:
                self._take(sheet, result)

        with ExitStack() as at_them:
            # Asked about and settled: a death from here on may be the doing of any of them.
            for sheet in sheets:
                at_them.enter_context(self._runtime.at(sheet.row.id))
            self._lane.batcher.ask(
                Request(
                    questions=[Question(text=each[0].text, alone=each[0].alone) for each in asked],
                    on_result=on_result,
                    budget_s=self._lane.budget_s,
                    still_ours=self._held.still_ours,
                )
            )

    def _take(self, sheet: RowSheet, result: Result) -> None:
        """What becomes of a row now that its answer, or its lack, is known."""
        row = sheet.row
        if isinstance(result, Answered):
            self._answered(sheet, result)
        elif row.id not in self._open:
            self._doubt(row, result)
        elif result.reason in _NOTHING_TRIED or isinstance(result, LanguageModelMisconfigured):
            self._wait_for_llm(row, result)
        elif isinstance(result, LanguageModelUnavailable) and result.reason != OVER_BUDGET:
            if row.attempts >= self._runtime.settings.max_attempts:
                self._to_person(row, f"llm_{result.reason}", self._exchange(sheet, result))
        else:
            self._to_person(row, f"llm_{result.reason}", self._exchange(sheet, result))

    def _exchange(self, sheet: RowSheet, result: Result) -> Exchange | None:
        days = self._runtime.settings.llm_text_days
        return exchange_of("label", sheet.text, result, days=days)

    def _answered(self, sheet: RowSheet, answered: Answered) -> None:
        row, exchange = sheet.row, self._exchange(sheet, answered)
        self._calls[row.id] = answered.call_id
        if sheet.alone and not self._small_model_agrees(row, answered):
            # Whichever of the two is the graver decides where it waits for a person.
            self._to_person(row, INSTRUCTIONS, exchange, heard=answered.answer.urgency)
            return
        label = self._label(row, answered)
        self._settle(row, Status.LABELLED, label=label, key=sheet.key, exchange=exchange)
        self.counts["labelled"] += 1
        if sheet.key is not None:
            self._keep(sheet.key, answered)

    def _keep(self, key: str, answered: Answered) -> None:
        """Keep an answer for equal messages; its own message has it already."""
        tier = self._lane.tier
        entry = Entry(
            key=key,
            categories=answered.answer.categories,
            urgency=answered.answer.urgency,
            model_version=answered.model,
            prompt_version=tier.prompt.version,
            taxonomy_version=tier.taxonomy.version,
        )
        try:
            self._lane.cache.store(self._claim.owner, entry)
        except StoreError as error:
            logger.warning("answer not kept in the cache", extra={"reason": str(error)})

    def _label(self, row: Claimed, answered: Answered) -> Label:
        tier = self._lane.tier
        label = label_of_answer(
            answered.answer,
            row.red_flags,
            taxonomy_version=tier.taxonomy.version,
            model=answered.model,
            prompt_version=tier.prompt.version,
        )
        return replace(
            label,
            latency_ms=answered.latency_ms,
            cost_usd=answered.cost_usd,
            llm_call_id=answered.call_id,
        )

    def _small_model_agrees(self, row: Claimed, answered: Answered) -> bool:
        """Whether the model that cannot be talked to says the same."""
        with transaction(self._runtime.engine) as connection:
            before = store.provisional(connection, [row.id]).get(row.id)
        return before == (answered.answer.categories[0], answered.answer.urgency)

    def _doubt(self, row: Claimed, error: LanguageModelError) -> None:
        logger.warning(
            "answer contradicts itself", extra={"message_id": row.id, "reason": error.reason}
        )
        with transaction(self._runtime.engine) as connection:
            store.doubt(connection, row.id, self._calls[row.id], f"llm_{error.reason}")

    def _wait_for_llm(self, row: Claimed, error: LanguageModelError) -> None:
        """The LLM is taken to be down: the message waits, but not for ever."""
        longest = timedelta(seconds=self._runtime.settings.llm_wait_s)
        if self._runtime.clock.now() - row.received_at > longest:
            self._to_person(row, f"llm_{error.reason}")
        else:
            self._uncounted.add(row.id)

    def _to_person(
        self,
        row: Claimed,
        reason: str,
        exchange: Exchange | None = None,
        *,
        heard: Urgency | None = None,
    ) -> None:
        logger.warning("to a person", extra={"message_id": row.id, "reason": reason})
        self._settle(row, Status.NEEDS_REVIEW, reason=reason, exchange=exchange, heard=heard)
        self.counts["to_people"] += 1

    def _settle(
        self,
        row: Claimed,
        status: Status,
        *,
        label: Label | None = None,
        reason: str | None = None,
        key: str | None = None,
        exchange: Exchange | None = None,
        heard: Urgency | None = None,
    ) -> None:
        outcome = Outcome(
            id=row.id,
            status=status,
            label=label,
            reason=reason,
            cache_key=key,
            exchange=exchange,
            heard=heard,
        )
        with self._runtime.at(row.id):
            written = settle(
                self._runtime.engine,
                self._patience(),
                self._claim.owner,
                Status.ESCALATED,
                [outcome],
            )
        now = self._runtime.clock.now()
        counting.settled([row], [outcome], written, now, Status.ESCALATED)
        self._open.pop(row.id, None)

    def _give_back(self) -> None:
        """Let go of what is open: the sweeper sends it again when the LLM had time to recover."""
        tried = [id_ for id_ in self._open if id_ not in self._uncounted]
        untried = [id_ for id_ in self._open if id_ in self._uncounted]
        self.counts["unanswered"] = len(tried) + len(untried)
        if not self._open:
            return

        def work() -> None:
            with transaction(self._runtime.engine) as connection:
                store.give_back(connection, self._claim.owner, tried, None)
                store.give_back(connection, self._claim.owner, untried, None, uncounted=True)

        self._patience().call(work)

    def _patience(self) -> Patience:
        # A new wait each time: the calls took their time, and what they cost must not be lost.
        return self._runtime.patience(self._runtime.settings.llm_lease_s * 0.7)
