"""What one writes first: every message to the LLM, one call each."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.cascade_table import Row, row_of
from bench.cascade_texts import Case
from bench.ground import Ground
from shared.errors import LanguageModelError
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.llm_tier import answer
from workers.llm_tier.chat import ChatRequest, Usage
from workers.llm_tier.client import OpenAIChat
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Asked, load_examples, make_prompt, new_ids, question

NAME = "a: LLM alone"


class LlmAlone:
    """What one writes first: one call per message, as many at once as there are threads."""

    def __init__(self, ground: Ground, threads: int) -> None:
        self._taxonomy = Taxonomy.load()
        self._prompt = make_prompt(self._taxonomy, load_examples(self._taxonomy))
        self._codes = answer.label_codes(self._taxonomy)
        settings = Settings(
            openai_api_key="standin",
            openai_base_url=ground.llm_base_url,
            llm_concurrency=threads,
            llm_timeout_s=120.0,
            llm_stream=False,
        )
        self._prices = Prices.from_settings(settings)
        self._model = OpenAIChat.from_settings(settings)
        self._threads = threads
        self._lock = threading.Lock()

    def measure(self, load: str, messages: Sequence[Case], rate_per_s: float) -> Row:
        """Run the load; latency counts from the moment at which a message arrives."""
        times: list[float] = []
        took: list[float] = []
        right: list[tuple[bool, bool]] = []
        usages: list[Usage] = []
        started = time.perf_counter()

        def one(case: Case, due_s: float) -> None:
            asked = time.perf_counter()
            said, usage = self._ask(case.text)
            with self._lock:
                took.append((time.perf_counter() - asked) * 1000)
                times.append((time.perf_counter() - started - due_s) * 1000)
                usages.append(usage)
                if said is not None:
                    right.append(
                        (said.categories[0] == case.category, said.urgency.value == case.urgency)
                    )

        with ThreadPoolExecutor(self._threads) as pool:
            for place, case in enumerate(messages):
                due_s = place / rate_per_s if load == "steady" else 0.0
                time.sleep(max(0.0, due_s - (time.perf_counter() - started)))
                pool.submit(one, case, due_s)
        return row_of(
            NAME,
            load,
            times,
            to_llm=len(messages),
            calls=len(messages),
            tokens_in=sum(u.prompt_tokens for u in usages),
            tokens_cached=sum(u.cached_tokens for u in usages),
            tokens_out=sum(u.completion_tokens for u in usages),
            cost_usd=float(sum(self._prices.cost_usd(u) for u in usages)),
            shown_ms=statistics.fmean(times),
            shown_p95_ms=sorted(times)[int(len(times) * 0.95)],
            first_label_ms=statistics.median(took),
            before_call_ms=statistics.fmean(times) - statistics.fmean(took),
            right_category=statistics.fmean(c for c, _ in right),
            right_urgency=statistics.fmean(u for _, u in right),
            to_people=len(messages) - len(right),
            took_s=time.perf_counter() - started,
        )

    def _ask(self, text_: str) -> tuple[answer.Answer | None, Usage]:
        (id_,) = new_ids(1)
        request = ChatRequest(
            system=self._prompt.prefix,
            user=question([Asked(id=id_, text=text_)]),
            schema=answer.schema(self._codes),
            max_tokens=answer.max_tokens(1),
        )
        try:
            reply = self._model.ask(request, timeout_s=120.0, on_text=lambda _: None)
            return answer.read(reply.text, [id_], self._codes)[id_], reply.usage
        except LanguageModelError:
            return None, Usage()
