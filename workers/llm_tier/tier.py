"""Asking the LLM about messages: pack, admit, call, stream, retry, split what came back wrong.

Every call is recorded the moment it ends, paid or failed. An answer is handed on the moment its
entry is complete, not when the whole batch is. Nothing here touches messages: callers claim
before and settle after.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared import metrics
from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.taxonomy import Taxonomy
from workers.llm_tier.answer import Answer
from workers.llm_tier.call import Call, CallLog, OnResult
from workers.llm_tier.chat import ChatModel
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Prompt
from workers.llm_tier.retry import NOT_ASKED, OUT_OF_TIME, RetryPolicy
from workers.seams import Clock

logger = logging.getLogger(__name__)

#: A prompt takes at most so many characters of messages; about 6,000 tokens.
_MOST_CHARS = 24_000


class Admission(Protocol):
    """The gate before every call."""

    def admit(self, tokens: int, longest_wait_s: float) -> float:
        """Seconds to wait before the call; raises LanguageModelUnavailable to turn it away."""
        ...

    def withdrawn(self) -> None:
        """The call that was let pass is not made after all."""
        ...

    def succeeded(self) -> None:
        """A call was answered."""
        ...

    def failed(self, error: LanguageModelError) -> None:
        """A call failed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Question:
    """One message to ask about."""

    text: str  # de-identified
    alone: bool = False  # never in a prompt with others


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one caller wants to know, and for how long."""

    questions: Sequence[Question]
    on_result: OnResult  # hears of each question, by its place, as soon as it is known
    budget_s: float  # no call starts after it
    still_ours: Callable[[], bool]  # no call starts once this says that the claim is lost
    break_off: bool = False  # then a call that answers is broken off too


@dataclass(frozen=True, kw_only=True)
class LlmTier:
    """A language model with our prompt, prices and patience."""

    model: ChatModel
    prompt: Prompt
    taxonomy: Taxonomy
    codes: Mapping[str, Answer]
    prices: Prices
    calls: CallLog
    gate: Admission
    clock: Clock
    timeout_s: float
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    batch_messages: int = 8

    def ask(self, request: Request) -> None:
        """Ask about each question and say what became of it, once.

        An entry that came twice with different labels is heard of twice: the second time with
        the error, which counts.
        """
        run, questions = _Run(self, request), request.questions
        for batch in pack(questions, most_messages=self.batch_messages):
            run.batch({place: questions[place].text for place in batch})


def pack(
    questions: Sequence[Question], *, most_messages: int, most_chars: int = _MOST_CHARS
) -> list[list[int]]:
    """The places of questions that share a prompt: neighbours, as long as they fit."""
    batches: list[list[int]] = []
    shared: list[int] = []
    room = most_chars
    for place, each in enumerate(questions):
        if each.alone:
            batches.append([place])
            continue
        if shared and (len(shared) == most_messages or len(each.text) > room):
            batches.append(shared)
            shared, room = [], most_chars
        shared.append(place)
        room -= len(each.text)
    return [*batches, shared] if shared else batches


class _Run:
    """The calls for one chunk."""

    def __init__(self, tier: LlmTier, request: Request) -> None:
        self._tier = tier
        self._until_s = tier.clock.monotonic_s() + request.budget_s
        self._still_ours = request.still_ours
        self._wanted = request.still_ours if request.break_off else lambda: True
        self._on_result = request.on_result
        self._sent: set[int] = set()  # places whose text has left
        self._dice = random.Random()  # noqa: S311  jitter

    def batch(self, texts: Mapping[int, str]) -> None:
        """One prompt for all; what it leaves open is asked again, each alone."""
        left = dict(texts)
        try:
            self._call(left)
        except (LanguageModelBadAnswer, LanguageModelRefused) as error:
            if len(texts) > 1:
                logger.warning(
                    "answer not usable, asking singly",
                    extra={"reason": error.reason, "messages": len(texts), "left": len(left)},
                )
                for place in list(left):
                    self.batch({place: left[place]})
            elif isinstance(error, LanguageModelRefused):
                self._fail(left, error)
            else:
                self._once_more(left)
        except LanguageModelError as error:
            self._fail(left, error)

    def _once_more(self, left: dict[int, str]) -> None:
        """A second try for a single message whose answer could not be used."""
        try:
            self._call(left)
        except LanguageModelError as error:
            self._fail(left, error)

    def _fail(self, left: Mapping[int, str], error: LanguageModelError) -> None:
        for place in left:
            self._on_result(place, error)

    def _call(self, left: dict[int, str]) -> None:
        """One prompt, with retries of transient errors; takes out of `left` what is answered."""
        tier, tried = self._tier, 0
        while left:
            left_s = self._until_s - tier.clock.monotonic_s()
            if left_s <= 1 or not self._still_ours():
                raise self._too_late(left)
            tried += 1
            try:
                call = Call(tier, left, self._on_result, self._wanted)
                tier.clock.sleep(tier.gate.admit(call.tokens, left_s - 1))
                if not self._still_ours():
                    tier.gate.withdrawn()
                    raise self._too_late(left)
                self._sent.update(left)
                call.run(min(tier.timeout_s, self._until_s - tier.clock.monotonic_s()))
            except LanguageModelError as error:
                left_s = self._until_s - tier.clock.monotonic_s()
                pause_s = tier.retry.pause_s(error, tried, left_s, self._dice)
                if pause_s is None:
                    raise
                metrics.LLM_RETRIES.inc(reason=error.reason)
                logger.warning(
                    "LLM call failed, trying again",
                    extra={"reason": error.reason, "tried": tried, "pause_s": round(pause_s, 2)},
                )
                tier.clock.sleep(pause_s)

    def _too_late(self, left: Mapping[int, str]) -> LanguageModelUnavailable:
        reason = OUT_OF_TIME if self._sent.issuperset(left) else NOT_ASKED
        return LanguageModelUnavailable(reason, "the lease ended before an answer")
