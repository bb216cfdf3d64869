"""Gathers questions of all deliveries that a process has in hand into few calls.

A call starts at once while few are in flight, so that a quiet hour has no waiting. Beyond that,
questions gather while the calls before them run: until a prompt is full, enough calls come back,
or the oldest has waited long enough, the longer the more calls are in flight. So the busier it
is, the fuller the prompts, and nobody waits long while calls are free.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.errors import LanguageModelUnavailable
from workers.llm_tier.call import Result
from workers.llm_tier.retry import NOT_ASKED
from workers.llm_tier.tier import Question, Request
from workers.seams import Clock

logger = logging.getLogger(__name__)


class Asks(Protocol):
    """What answers a batch; `LlmTier` does."""

    def ask(self, request: Request) -> None:
        """See `LlmTier.ask`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How calls are started."""

    most_messages: int = 8  # in one prompt
    quick_calls: int = 2  # so many start without gathering
    most_calls: int = 16  # in flight at once
    hold_s: float = 1.0  # a question gathers company no longer than this
    hold_per_call_s: float = 0.1  # and no longer than this for each call in flight

    def hold(self, in_flight: int) -> float:
        """How long the oldest question may gather company now, in seconds."""
        return min(self.hold_s, self.hold_per_call_s * in_flight)


@dataclass(eq=False)
class _Pending:
    question: Question
    on_result: Callable[[Result], None]
    still_ours: Callable[[], bool]
    break_off: bool
    since_s: float
    until_s: float
    done: threading.Event = field(default_factory=threading.Event)


def due(
    waiting: int, oldest_waited_s: float, in_flight: int, pace: Pace, *, alone: bool = False
) -> bool:
    """Whether a call should start now. Pure."""
    if not waiting or in_flight >= pace.most_calls:
        return False
    held = oldest_waited_s >= pace.hold(in_flight)
    gathered = waiting >= pace.most_messages or held or alone
    return gathered or in_flight < pace.quick_calls


class Batcher:
    """One per process, shared by the threads that hold deliveries."""

    def __init__(self, tier: Asks, clock: Clock, pace: Pace) -> None:
        self._tier = tier
        self._clock = clock
        self._pace = pace
        self._changed = threading.Condition()
        self._waiting: list[_Pending] = []
        self._in_flight = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"llm-call-{n}", daemon=True)
            for n in range(pace.most_calls)
        ]
        self._started = False

    def ask(self, request: Request) -> None:
        """Like `LlmTier.ask`, in company; returns when every question has its result.

        `on_result` is called from another thread, one call at a time for these questions.
        """
        for done in self.begin(request):
            done.wait()

    def begin(self, request: Request) -> list[threading.Event]:
        """Like `ask`, without waiting: an event for each question, set when no more comes."""
        lock = threading.Lock()
        now_s = self._clock.monotonic_s()

        def heard(place: int) -> Callable[[Result], None]:
            def hear(result: Result) -> None:
                with lock:
                    request.on_result(place, result)

            return hear

        mine = [
            _Pending(
                each,
                heard(place),
                request.still_ours,
                request.break_off,
                now_s,
                now_s + request.budget_s,
            )
            for place, each in enumerate(request.questions)
        ]
        with self._changed:
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            self._waiting.extend(mine)
            self._changed.notify_all()
        return [each.done for each in mine]

    @property
    def idle(self) -> bool:
        """Whether nothing is asked and nothing waits."""
        with self._changed:
            return not self._waiting and not self._in_flight

    def _work(self) -> None:
        while True:
            batch = self._next()
            try:
                self._run(batch)
            except Exception as error:
                logger.exception("a batch failed", extra={"error": type(error).__name__})
            finally:
                with self._changed:
                    self._in_flight -= 1
                    self._changed.notify_all()
                for each in batch:
                    each.done.set()

    def _next(self) -> list[_Pending]:
        """Wait until a call is due; take what belongs in it."""
        with self._changed:
            while True:
                now_s = self._clock.monotonic_s()
                oldest_s = now_s - self._waiting[0].since_s if self._waiting else 0.0
                alone = bool(self._waiting) and self._waiting[0].question.alone
                if due(len(self._waiting), oldest_s, self._in_flight, self._pace, alone=alone):
                    self._in_flight += 1
                    return self._take()
                hold_s = self._pace.hold(self._in_flight) - oldest_s
                self._changed.wait(max(hold_s, 0.01) if self._waiting else None)

    def _take(self) -> list[_Pending]:
        first = self._waiting[0]
        if first.question.alone:
            batch = [first]
        else:
            batch = [each for each in self._waiting if not each.question.alone]
            batch = batch[: self._pace.most_messages]
        self._waiting = [each for each in self._waiting if each not in batch]
        return batch

    def _run(self, batch: Sequence[_Pending]) -> None:
        ours = [each for each in batch if each.still_ours()]
        lost = LanguageModelUnavailable(NOT_ASKED, "the claim was lost before the call")
        for each in batch:
            if each not in ours:
                _tell(each, lost)
        if not ours:
            return

        def on_result(place: int, result: Result) -> None:
            _tell(ours[place], result)

        self._tier.ask(
            Request(
                questions=[each.question for each in ours],
                on_result=on_result,
                budget_s=min(each.until_s for each in ours) - self._clock.monotonic_s(),
                still_ours=lambda: any(each.still_ours() for each in ours),
                break_off=all(each.break_off for each in ours),
            )
        )


def _tell(pending: _Pending, result: Result) -> None:
    """Hand a result to the delivery that asked; its trouble must not cost the others theirs."""
    try:
        pending.on_result(result)
    except Exception as error:
        logger.exception("a result was not taken", extra={"error": type(error).__name__})
