"""Asking the LLM about a chunk: pack, call, retry, split what came back wrong.

Every call is recorded the moment it ends, paid or failed. Nothing here touches messages: callers
claim before and settle after.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.taxonomy import Taxonomy
from workers.llm_tier import answer
from workers.llm_tier.answer import Answer
from workers.llm_tier.chat import ChatModel, ChatReply, ChatRequest, Usage
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Asked, Prompt, new_ids, question
from workers.llm_tier.retry import RetryPolicy
from workers.seams import Clock

logger = logging.getLogger(__name__)

#: A prompt takes at most so many characters of messages; about 6,000 tokens.
_MOST_CHARS = 24_000


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One call as `llm_calls` keeps it."""

    model: str
    prompt_version: str
    outcome: str  # ok, or the reason of a LanguageModelError
    messages: int
    usage: Usage
    cost_usd: Decimal
    latency_ms: float


class CallLog(Protocol):
    """Where calls are recorded."""

    def add(self, record: CallRecord) -> int:
        """Keep it; returns its id."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The LLM's answer about one message, and what it took."""

    answer: Answer
    call_id: int
    model: str
    cost_usd: Decimal  # this message's share
    latency_ms: float


Result = Answered | LanguageModelError


@dataclass(frozen=True, kw_only=True)
class LlmTier:
    """A language model with our prompt, prices and patience."""

    model: ChatModel
    prompt: Prompt
    taxonomy: Taxonomy
    prices: Prices
    calls: CallLog
    clock: Clock
    timeout_s: float
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def ask(
        self, texts: Sequence[str], *, budget_s: float, still_ours: Callable[[], bool]
    ) -> list[Result]:
        """The answer or the error for each de-identified text, in order.

        No call starts after `budget_s` or when `still_ours` says that the claim is lost.
        """
        run = _Run(self, self.clock.monotonic_s() + budget_s, still_ours)
        results: list[Result] = []
        for batch in pack(texts):
            results.extend(run.batch(batch))
        return results


def pack(texts: Sequence[str], most_chars: int = _MOST_CHARS) -> list[list[str]]:
    """Neighbouring texts together, as long as they fit one prompt."""
    batches: list[list[str]] = []
    room = 0
    for text in texts:
        if not batches or len(text) > room:
            batches.append([])
            room = most_chars
        batches[-1].append(text)
        room -= len(text)
    return batches


class _Run:
    """The calls for one chunk."""

    def __init__(self, tier: LlmTier, until_s: float, still_ours: Callable[[], bool]) -> None:
        self._tier = tier
        self._until_s = until_s
        self._still_ours = still_ours
        self._dice = random.Random()  # noqa: S311  jitter

    def batch(self, texts: Sequence[str]) -> list[Result]:
        """One prompt for all; whatever is wrong with the answer, each is asked again alone."""
        try:
            return list(self._call(texts))
        except (LanguageModelBadAnswer, LanguageModelRefused) as error:
            if len(texts) > 1:
                logger.warning(
                    "answer not usable, asking singly",
                    extra={"reason": error.reason, "messages": len(texts)},
                )
                return [result for text in texts for result in self.batch([text])]
            if isinstance(error, LanguageModelRefused):
                return [error]
        except LanguageModelError as error:
            return [error] * len(texts)
        return self._once_more(texts)

    def _once_more(self, texts: Sequence[str]) -> list[Result]:
        """A second try for a single message whose answer could not be used."""
        try:
            return list(self._call(texts))
        except LanguageModelError as error:
            return [error]

    def _call(self, texts: Sequence[str]) -> list[Answered]:
        """One prompt, with retries of transient errors."""
        tried = 0
        while True:
            left_s = self._until_s - self._tier.clock.monotonic_s()
            if left_s <= 1 or not self._still_ours():
                raise LanguageModelUnavailable("out_of_time", "the lease ended before an answer")
            tried += 1
            try:
                return self._once(texts, min(self._tier.timeout_s, left_s))
            except LanguageModelError as error:
                left_s = self._until_s - self._tier.clock.monotonic_s()
                pause_s = self._tier.retry.pause_s(error, tried, left_s, self._dice)
                if pause_s is None:
                    raise
                logger.warning(
                    "LLM call failed, trying again",
                    extra={"reason": error.reason, "tried": tried, "pause_s": round(pause_s, 2)},
                )
            self._tier.clock.sleep(pause_s)

    def _once(self, texts: Sequence[str], timeout_s: float) -> list[Answered]:
        tier = self._tier
        asked = [
            Asked(id=id_, text=text) for id_, text in zip(new_ids(len(texts)), texts, strict=True)
        ]
        request = ChatRequest(
            system=tier.prompt.prefix,
            user=question(asked),
            schema=answer.schema(tier.taxonomy),
            schema_name=answer.SCHEMA_NAME,
            max_tokens=answer.max_tokens(len(asked)),
        )
        started_s = tier.clock.monotonic_s()
        try:
            reply = tier.model.ask(request, timeout_s=timeout_s)
        except LanguageModelError as error:
            self._record(error.reason, len(asked), started_s, None)
            raise
        try:
            answers = answer.read(reply.text, [each.id for each in asked], tier.taxonomy)
        except LanguageModelBadAnswer as error:
            self._record(error.reason, len(asked), started_s, reply)
            raise
        call_id = self._record("ok", len(asked), started_s, reply)
        share_usd = tier.prices.cost_usd(reply.usage) / len(asked)
        return [
            Answered(
                answer=answers[each.id],
                call_id=call_id,
                model=reply.model,
                cost_usd=share_usd,
                latency_ms=reply.latency_ms,
            )
            for each in asked
        ]

    def _record(
        self, outcome: str, messages: int, started_s: float, reply: ChatReply | None
    ) -> int:
        tier = self._tier
        usage = reply.usage if reply else Usage()
        return tier.calls.add(
            CallRecord(
                model=reply.model if reply else tier.model.name,
                prompt_version=tier.prompt.version,
                outcome=outcome,
                messages=messages,
                usage=usage,
                cost_usd=tier.prices.cost_usd(usage),
                latency_ms=(tier.clock.monotonic_s() - started_s) * 1000,
            )
        )
