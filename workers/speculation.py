"""The LLM's call for a red-flagged message, begun while the fast tier has yet to decide.

With CARELANE_LLM_SPECULATE the intake sends such an id to the LLM lane too. A worker that gets it
in time asks at once and watches the row: passed on by the fast tier, the row is claimed and settled
as always, by the answer that is on its way; decided otherwise, the call is broken off and its cost
stands. Nothing is written about the message before it is claimed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final
from uuid import UUID

from sqlalchemy import Engine

from shared import metrics
from shared.contracts import Status
from shared.database import transaction
from shared.errors import (
    CarelaneError,
    LanguageModelBadAnswer,
    LanguageModelRefused,
    StoreUnavailable,
)
from workers import fences
from workers.chunk import Delivery, HeldElsewhere
from workers.heartbeat import Heartbeat
from workers.lease import ProcessName, is_dead
from workers.llm_tier.batcher import Asks, Batcher
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.sheet import Sheet, prepare
from workers.llm_tier.tier import Question, Request
from workers.seams import Clock, Masker

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 0.1
#: So much of the fence's time may pass before the fast tier decides; the rest is for the claim.
_PATIENCE: Final = 0.8

#: Claims and settles messages that were passed on, asked about as these sheets say; their questions
#: are answered by what is handed over.
Settle = Callable[[Mapping[UUID, Sheet], Asks], None]


class Fate(Enum):
    """What to do about a message that the LLM is asked about ahead of time."""

    WAIT = auto()  # the fast tier has not decided
    SETTLE = auto()  # it was not sure: ours to claim
    LOST = auto()  # it, or a person, has labelled it
    FAILED = auto()  # there will be no answer; whoever is next may ask again


def fate_of(status: Status | None, *, failed: bool) -> Fate:
    """The fate of a message that stands so; None: it is gone. Pure."""
    if status is Status.ESCALATED:
        return Fate.SETTLE
    if status is not Status.QUEUED:
        return Fate.LOST
    return Fate.FAILED if failed else Fate.WAIT


@dataclass
class Ahead:
    """A question asked ahead of time."""

    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None

    @property
    def failed(self) -> bool:
        """Whether it came back with nothing that says anything about the message."""
        told = Answered | LanguageModelRefused | LanguageModelBadAnswer
        return self.done.is_set() and not isinstance(self.result, told)


class AnswersAhead:
    """Answers what was asked ahead of time, and has the batcher ask the rest."""

    def __init__(self, ahead: dict[str, Ahead], batcher: Asks) -> None:
        self._ahead = ahead  # by the question's text
        self._batcher = batcher
        self.used: set[str] = set()  # of the questions' texts

    def ask(self, request: Request) -> None:
        """Like `Batcher.ask`."""
        texts = [each.text for each in request.questions]
        new = [place for place, text in enumerate(texts) if text not in self._ahead]
        if new:
            self._batcher.ask(
                replace(
                    request,
                    questions=[request.questions[place] for place in new],
                    on_result=lambda n, result: request.on_result(new[n], result),
                )
            )
        for place, text in enumerate(texts):
            if (known := self._ahead.get(text)) is not None:
                # Its end, not its first entry: an answer can still contradict itself.
                known.done.wait()
                if known.result is not None:
                    self.used.add(text)
                    request.on_result(place, known.result)


@dataclass(frozen=True, kw_only=True)
class Speculator:
    """One per LLM worker process."""

    engine: Engine
    process: ProcessName
    clock: Clock
    batcher: Batcher
    masker: Masker
    heartbeat: Heartbeat
    slots: threading.BoundedSemaphore  # deliveries that wait for the fast tier at once
    fence_s: float
    budget_s: float  # calls start within this time

    def begin(self, ids: Sequence[UUID], delivery: Delivery, settle: Settle) -> Speculation | None:
        """Ask about those of `ids` that are red-flagged and not decided; None without such.

        Raises:
            StoreError: nothing was asked.
        """
        if not self.slots.acquire(blocking=False):
            return None
        begun = False
        try:
            owner = self.process.new_claim()
            texts = self._fence(ids, owner)
            if not texts:
                return None
            sheets = {id_: prepare(text, self.masker) for id_, text in texts.items()}
            speculation = Speculation(self, owner, delivery, sheets, settle)
            speculation.start()
            begun = True
            return speculation
        finally:
            if not begun:
                self.slots.release()

    def _fence(self, ids: Sequence[UUID], owner: str) -> dict[UUID, str]:
        """The texts of those that may be asked about, behind fences that everybody sees."""
        with transaction(self.engine) as connection:
            texts = fences.take(connection, ids, owner, self.fence_s)
        if not texts:
            return {}
        # What was passed on before its fence was to be seen may be in another worker's hands.
        with transaction(self.engine) as connection:
            statuses = fences.statuses(connection, list(texts))
            late = [id_ for id_ in texts if statuses.get(id_) is not Status.QUEUED]
            fences.remove(connection, owner, late)
        return {id_: text for id_, text in texts.items() if id_ not in late}

    def fenced(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """Those of `ids` that a living process speculates on, with the fence's owner."""
        with transaction(self.engine) as connection:
            found = fences.standing(connection, ids)
        return {id_: owner for id_, owner in found.items() if not is_dead(owner, self.process)}


class Speculation:
    """One delivery's messages that are asked about ahead of time, watched until decided."""

    def __init__(
        self,
        speculator: Speculator,
        owner: str,
        delivery: Delivery,
        sheets: dict[UUID, Sheet | str],
        settle: Settle,
    ) -> None:
        self.owner = owner
        self._speculator = speculator
        self._delivery = delivery
        self._settle = settle
        self._sheets = {id_: each for id_, each in sheets.items() if isinstance(each, Sheet)}
        self._ahead = {id_: Ahead() for id_ in self._sheets}
        self._open = set(sheets)  # not decided, and fenced
        self._decided: set[UUID] = set()  # and still fenced
        self._thread = threading.Thread(target=self._run, name="llm-speculation", daemon=True)

    def start(self) -> None:
        """Ask, and watch from another thread."""
        self._let_go([id_ for id_ in self._open if id_ not in self._sheets], "not_made")
        ids = list(self._sheets)

        def on_result(place: int, result: Result) -> None:
            self._ahead[ids[place]].result = result

        waits = self._speculator.batcher.begin(
            Request(
                questions=[Question(text=s.text, alone=s.alone) for s in self._sheets.values()],
                on_result=on_result,
                budget_s=self._speculator.budget_s,
                still_ours=lambda: bool(self._open),
                break_off=True,
            )
        )
        for id_, done in zip(ids, waits, strict=True):
            self._ahead[id_].done = done
        self._thread.start()

    def join(self) -> None:
        """Wait until each message is decided."""
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._speculator.heartbeat.keep(self.owner, self._delivery, fences.extend):
                self._watch()
        except CarelaneError as error:  # the fence runs out; whoever is next asks
            logger.warning("speculation given up", extra={"reason": str(error)})
        finally:
            self._open.clear()
            self._speculator.slots.release()

    def _watch(self) -> None:
        clock = self._speculator.clock
        until_s = clock.monotonic_s() + self._speculator.fence_s * _PATIENCE
        while self._open or self._decided:
            waited = clock.monotonic_s() >= until_s  # before the look: what it finds still counts
            try:
                self._look(last=waited)
            except StoreUnavailable as error:
                if waited:
                    raise
                logger.warning("database away, waiting", extra={"reason": str(error)})
                clock.sleep(_LOOK_EVERY_S)
            else:
                if self._open:
                    clock.sleep(_LOOK_EVERY_S)

    def _look(self, *, last: bool) -> None:
        """Do what is to be done about each message that is open."""
        with transaction(self._speculator.engine) as connection:
            fences.remove(connection, self.owner, sorted(self._decided))
            statuses = fences.statuses(connection, sorted(self._open))
        self._decided.clear()
        by_fate: dict[Fate, list[UUID]] = {fate: [] for fate in Fate}
        for id_ in sorted(self._open):
            fate = fate_of(statuses.get(id_), failed=self._ahead[id_].failed)
            by_fate[fate].append(id_)
        self._let_go(by_fate[Fate.LOST], "lost")
        self._let_go(by_fate[Fate.FAILED], "not_made")
        if last:
            self._let_go(by_fate[Fate.WAIT], "timed_out")
        self._use(by_fate[Fate.SETTLE])

    def _use(self, ids: Sequence[UUID]) -> None:
        if not ids:
            return
        sheets = {id_: self._sheets[id_] for id_ in ids}
        by_text = {sheets[id_].text: self._ahead[id_] for id_ in ids}
        answers = AnswersAhead(by_text, self._speculator.batcher)
        try:
            self._settle(sheets, answers)
        except HeldElsewhere:
            logger.debug("passed on, and held by another delivery")
        self._let_go([id_ for id_ in ids if sheets[id_].text in answers.used], "used")
        self._let_go([id_ for id_ in ids if sheets[id_].text not in answers.used], "lost")

    def _let_go(self, ids: Sequence[UUID], result: str) -> None:
        """These are decided: nobody waits for their answers; the next look takes their fences."""
        if not ids:
            return
        self._decided.update(ids)
        self._open.difference_update(ids)
        metrics.LLM_SPECULATIONS.inc(len(ids), result=result)
        logger.info(
            "speculation over",
            extra={"message_ids": [str(id_) for id_ in ids], "result": result},
        )
