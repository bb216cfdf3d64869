"""The LLM's part in a run: one place that asks, whatever engine labels, so that limits hold.

Executors on other machines need no key, and nothing but masked text comes to this module.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.bulk.job import Job, Part
from workers.bulk.places import Folder
from workers.bulk.questions import CALLS, Asked, OpenPart, Resolution, Spending, open_parts
from workers.llm_tier.answer import Answer, label_codes
from workers.llm_tier.batcher import Batcher, Pace
from workers.llm_tier.call import Answered, CallRecord, Result
from workers.llm_tier.chat import ChatModel
from workers.llm_tier.gate import BREAKER_OPEN, OVER_BUDGET, RATE_LIMIT, Limits, next_slot, pause_s
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Prompt, load_examples, make_prompt
from workers.llm_tier.tier import LlmTier, Question
from workers.seams import Clock

logger = logging.getLogger(__name__)

#: Parts asked about at once: while one waits for its last answers the next fills the prompts.
_PARTS_AT_ONCE: Final = 2
#: Calls about a part start within this time; a provider's limits can make it long.
_PART_BUDGET_S: Final = 6 * 3600.0
#: Answers remembered for equal messages of later parts.
_REMEMBERED: Final = 100_000
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The live tier's prompt, codes and prices."""

    taxonomy: Taxonomy
    prompt: Prompt
    codes: dict[str, Answer]
    prices: Prices

    @classmethod
    def load(cls, settings: Settings) -> Wording:
        """As an LLM worker has them."""
        taxonomy = Taxonomy.load(settings.taxonomy_path)
        return cls(
            taxonomy=taxonomy,
            prompt=make_prompt(taxonomy, load_examples(taxonomy)),
            codes=label_codes(taxonomy),
            prices=Prices.from_settings(settings),
        )

    def asked(self, model: str) -> Asked:
        """What labels say about how they came."""
        return Asked(
            model=model,
            prompt_version=self.prompt.version,
            taxonomy_version=self.taxonomy.version,
        )


class RunGate:
    """The gate before every call of one run: the live gate's rules, in this process's memory."""

    def __init__(self, clock: Clock, limits: Limits, most_usd: Decimal, spent: Spending) -> None:
        self._clock = clock
        self._limits = limits
        self._most_usd = most_usd  # 0: no limit
        self._spent = spent
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: datetime | None = None
        self._requests_until: datetime | None = None
        self._tokens_until: datetime | None = None

    def admit(self, tokens: int, longest_wait_s: float) -> float:
        """Let one call pass; returns the seconds to wait before it."""
        with self._lock:
            now = self._clock.now()
            if self._open_until is not None and now < self._open_until:
                raise LanguageModelUnavailable(BREAKER_OPEN, "the LLM is taken to be down")
            if self._most_usd and self._spent.cost_usd >= self._most_usd:
                raise LanguageModelUnavailable(OVER_BUDGET, f"{self._most_usd} USD are spent")
            return self._take_slots(now, tokens, longest_wait_s)

    def _take_slots(self, now: datetime, tokens: int, longest_wait_s: float) -> float:
        wait_s, requests, used = 0.0, self._requests_until, self._tokens_until
        if self._limits.requests_per_minute:
            wait_s, requests = next_slot(now, requests, 1, self._limits.requests_per_minute)
        if self._limits.tokens_per_minute:
            tokens_s, used = next_slot(now, used, tokens, self._limits.tokens_per_minute)
            wait_s = max(wait_s, tokens_s)
        if wait_s > longest_wait_s:
            raise LanguageModelUnavailable(RATE_LIMIT, f"no room for {wait_s:.0f} s")
        self._requests_until, self._tokens_until = requests, used
        return wait_s

    def succeeded(self) -> None:
        """A call was answered: the breaker closes."""
        with self._lock:
            self._failures, self._open_until = 0, None

    def failed(self, error: LanguageModelError) -> None:
        """A call failed; errors about one message say nothing about the LLM."""
        if isinstance(error, LanguageModelRefused | LanguageModelBadAnswer):
            self.succeeded()
            return
        with self._lock:
            self._failures += 1
            hold_s = pause_s(self._failures)
            if hold_s:
                self._open_until = self._clock.now() + timedelta(seconds=hold_s)

    def opens_in_s(self) -> float:
        """Seconds until a call may be tried."""
        with self._lock:
            if self._open_until is None:
                return 0.0
            return max(0.0, (self._open_until - self._clock.now()).total_seconds())


class RunCalls:
    """Every call of the run, written down when it ends, and their sum."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._next = 0
        self.total = Spending.read(folder)

    def start(self, model: str, prompt_version: str, messages: int) -> int:  # noqa: ARG002
        """A call is about to be made."""
        with self._lock:
            self._next += 1
            return self._next

    def end(self, call_id: int, record: CallRecord) -> None:  # noqa: ARG002  a seam's signature
        """The call has ended."""
        usage = record.usage
        line = {
            "outcome": record.outcome,
            "messages": record.messages,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": str(record.cost_usd),
            "latency_ms": round(record.latency_ms),
        }
        with self._lock:
            self.total.add(line)
            self._folder.append(CALLS, [json.dumps(line)])


class Asker:
    """Asks about the questions of parts, a few calls at a time."""

    def __init__(
        self,
        settings: Settings,
        model: ChatModel,
        clock: Clock,
        folder: Folder,
        *,
        concurrency: int,
        most_usd: Decimal,
    ) -> None:
        self._wording = Wording.load(settings)
        self._clock = clock
        self.folder = folder
        self._longest_wait_s = settings.llm_wait_s
        self.calls = RunCalls(folder)
        self._gate = RunGate(clock, Limits.from_settings(settings), most_usd, self.calls.total)
        tier = LlmTier(
            model=model,
            prompt=self._wording.prompt,
            taxonomy=self._wording.taxonomy,
            codes=self._wording.codes,
            prices=self._wording.prices,
            calls=self.calls,
            gate=self._gate,
            clock=clock,
            timeout_s=settings.llm_timeout_s,
            batch_messages=settings.llm_batch_messages,
        )
        pace = Pace(
            most_messages=settings.llm_batch_messages,
            quick_calls=min(settings.llm_quick_calls, concurrency),
            most_calls=concurrency,
        )
        self._batcher = Batcher(tier, clock, pace)
        self._asked = self._wording.asked(model.name)
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, Answer] = OrderedDict()
        self._fatal: LanguageModelError | None = None
        self._answered_s = clock.monotonic_s()

    def ask(self, job: Job, parts: Sequence[Part], on_rows: Callable[[int], object]) -> None:
        """Ask about all questions of `parts`; raises LanguageModelError when the LLM stays away.

        What is answered stays answered: the same command goes on with the rest.
        """
        waiting = open_parts(self.folder, job, parts)
        with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
            running: set[Future[None]] = set()
            for opened in _until_fatal(waiting, lambda: self._fatal):
                running.add(pool.submit(self._part, opened, on_rows))
                if len(running) >= _PARTS_AT_ONCE:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
            for each in running:
                each.result()
        if self._fatal is not None:
            raise self._fatal

    def _part(self, opened: Callable[[], OpenPart], on_rows: Callable[[int], object]) -> None:
        part = opened()
        total = len(part.open)
        self._from_memory(part)
        while part.open and self._fatal is None:
            self._round(part)
            if part.open and self._fatal is None:
                self._wait(len(part.open))
        part.finish(self._asked)
        on_rows(total - len(part.open))

    def _from_memory(self, part: OpenPart) -> None:
        found = {}
        for place in part.open:
            key = part.rows[place].same_as
            answer = None if key is None else self._remembered.get(key)
            if answer is not None:
                found[place] = Resolution(answer=answer, equal=True)
        if found:
            part.resolve(found)

    def _round(self, part: OpenPart) -> None:
        groups = part.groups()
        sheets = [part.sheet(group[0]) for group in groups]

        def on_result(place: int, result: Result) -> None:
            resolution = self._heard(result)
            if resolution is None:
                return
            group = groups[place]
            if isinstance(result, LanguageModelError) and group[0] in part.resolved:
                # Labelled twice, differently: neither label can be believed.
                resolution = replace(part.resolved[group[0]], reason=resolution.reason)
            part.resolve(shared(group, resolution))
            self._remember(part.rows[group[0]].same_as, resolution)

        self._batcher.ask(
            [Question(text=sheet.text, alone=sheet.alone) for sheet in sheets],
            on_result,
            budget_s=_PART_BUDGET_S,
            still_ours=lambda: self._fatal is None,
        )

    def _remember(self, key: str | None, found: Resolution) -> None:
        if key is None:
            return
        with self._lock:
            if found.answer is None or found.reason is not None:
                self._remembered.pop(key, None)
                return
            self._remembered[key] = found.answer
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)

    def _heard(self, result: Result) -> Resolution | None:
        """What a result settles; None where the message is to be asked about again."""
        if isinstance(result, Answered):
            self._answered_s = self._clock.monotonic_s()
            return Resolution(answer=result.answer, cost_usd=result.cost_usd)
        if isinstance(result, LanguageModelMisconfigured):
            self._fatal = result
            return None
        if isinstance(result, LanguageModelUnavailable) and result.reason != OVER_BUDGET:
            return None
        return Resolution(reason=f"llm_{result.reason}")

    def _wait(self, left: int) -> None:
        """Wait for an LLM that is away, but not for ever."""
        if self._clock.monotonic_s() - self._answered_s > self._longest_wait_s:
            self._fatal = LanguageModelUnavailable(
                "away",
                f"the LLM has not answered for {self._longest_wait_s:.0f} s "
                f"(CARELANE_LLM_WAIT_S); {left} messages of a part still wait for it. The same "
                "command goes on with them.",
            )
            return
        logger.warning("the LLM is away, waiting", extra={"messages": left})
        self._clock.sleep(max(self._gate.opens_in_s(), _LOOK_EVERY_S))


def shared(group: Sequence[int], found: Resolution) -> dict[int, Resolution]:
    """One answer for equal messages; the first of them bears its cost."""
    equal = replace(found, equal=True, cost_usd=None)
    return {place: equal if place != group[0] else found for place in group}


def _until_fatal(
    waiting: Iterator[Callable[[], OpenPart]], fatal: Callable[[], object]
) -> Iterator[Callable[[], OpenPart]]:
    for each in waiting:
        if fatal() is not None:
            return
        yield each
