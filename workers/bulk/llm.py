"""The LLM's part in a run: one place that asks, whatever engine labels, so that limits hold.

Executors on other machines need no key, and nothing but masked text comes to this module.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from shared.errors import (
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelUnavailable,
)
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.bulk.gate import RunCalls, RunGate
from workers.bulk.job import Job, Part
from workers.bulk.places import Folder
from workers.bulk.questions import Asked, OpenPart, Resolution, open_parts
from workers.llm_tier.answer import Answer, label_codes
from workers.llm_tier.batcher import Batcher, Pace
from workers.llm_tier.call import Answered, Result
from workers.llm_tier.chat import ChatModel
from workers.llm_tier.gate import OVER_BUDGET, Limits
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Prompt, load_examples, make_prompt
from workers.llm_tier.tier import LlmTier, Question, Request
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
            Request(
                questions=[Question(text=sheet.text, alone=sheet.alone) for sheet in sheets],
                on_result=on_result,
                budget_s=_PART_BUDGET_S,
                still_ours=lambda: self._fatal is None,
            )
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
