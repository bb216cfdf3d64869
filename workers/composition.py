"""The composition root of a worker process: settings in, runtime out. Called after the fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from celery.signals import task_postrun, task_prerun
from sqlalchemy import Engine

from shared.contracts import Explain, Lane
from shared.database import make_engine
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.call_log import StoredCalls
from workers.carrying_words import Scorer, answerer
from workers.checks import Checker
from workers.deid.deidentifier import Deidentifier
from workers.escalation import LlmLane
from workers.explainer import Explainer, Quiet
from workers.fast_tier.watch import LiveTier
from workers.heartbeat import Heartbeat
from workers.holding import extender
from workers.in_hand import Notes
from workers.label_cache import LabelCache
from workers.lease import ProcessName
from workers.llm_tier.agreement import Sampler
from workers.llm_tier.answer import label_codes
from workers.llm_tier.batcher import Batcher, Pace
from workers.llm_tier.call import CallRecord
from workers.llm_tier.chat import ChatModel, Usage
from workers.llm_tier.client import OpenAIChat
from workers.llm_tier.gate import Gate, Limits
from workers.llm_tier.hedge import HedgedModel, Latencies
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import Prompt, load_examples, make_prompt
from workers.llm_tier.tier import LlmTier
from workers.llm_tier.wording import Keys
from workers.patience import SystemClock
from workers.rationale import Rationales
from workers.runtime import Build, Runtime
from workers.seams import Clock, FastLabeller
from workers.speculation import Speculator

#: So many people of one worker process get their rationale at the same time.
_RATIONALES_AT_ONCE: Final = 2


def build_fast(settings: Settings, queue_urls: Mapping[Lane, str]) -> Runtime:  # noqa: ARG001
    """A pool child that runs the fast tier with the bundle that is set."""
    taxonomy = Taxonomy.load(settings.taxonomy_path)
    labeller = LiveTier(settings.bundle_path, shadow=settings.shadow_bundle_path, taxonomy=taxonomy)
    runtime = fast_runtime(settings, taxonomy, labeller)
    return replace(runtime, explainers=(words_explainer(settings, lambda: labeller.tier),))


def words_explainer(settings: Settings, live: Callable[[], Scorer]) -> Explainer:
    """Answers, beside the lanes, which words carried a decision."""
    quiet = Quiet()
    # In a pool child these come around each chunk.
    task_prerun.connect(quiet.enter, weak=False)
    task_postrun.connect(quiet.leave, weak=False)
    engine = make_engine(settings, "carelane-fast explain", pool_size=1)
    return Explainer(settings, engine, Explain.WORDS, answerer(live, quiet))


def fast_runtime(settings: Settings, taxonomy: Taxonomy, labeller: FastLabeller) -> Runtime:
    """A pool child around a labeller: one thread, so one connection."""
    engine, clock = make_engine(settings, "carelane-fast", pool_size=1), SystemClock()
    process = ProcessName.of_pid(os.getpid())
    prompt = make_prompt(taxonomy, load_examples(taxonomy))
    return Runtime(
        settings=settings,
        engine=engine,
        process=process,
        notes=Notes(process),
        clock=clock,
        labeller=labeller,
        cache=label_cache(settings, engine, clock, taxonomy, prompt),
        sampler=Sampler(settings.llm_check_share) if settings.openai_api_key else None,
    )


def build_llm(settings: Settings, queue_urls: Mapping[Lane, str]) -> Runtime:
    """A process whose threads wait for the LLM."""
    clock = SystemClock()
    # Calls and deliveries take a connection for moments only; one more is the heartbeat's.
    engine = make_engine(settings, "carelane-llm", pool_size=settings.llm_concurrency // 2 + 5)
    taxonomy = Taxonomy.load(settings.taxonomy_path)
    prompt = make_prompt(taxonomy, load_examples(taxonomy))
    prices = Prices.from_settings(settings)
    calls = StoredCalls(
        engine,
        clock,
        simulated=settings.llm_simulated,
        longest_wait_s=settings.llm_lease_s * 0.7,
    )
    chat = OpenAIChat.from_settings(settings)
    gate = Gate(engine, Limits.from_settings(settings), probe_s=settings.llm_timeout_s * 2)
    tier = LlmTier(
        model=hedged(chat, settings, calls, prompt, prices, clock),
        prompt=prompt,
        taxonomy=taxonomy,
        codes=label_codes(taxonomy),
        prices=prices,
        calls=calls,
        gate=gate,
        clock=clock,
        timeout_s=settings.llm_timeout_s,
        batch_messages=settings.llm_batch_messages,
    )
    pace = Pace(
        most_messages=settings.llm_batch_messages,
        quick_calls=settings.llm_quick_calls,
        most_calls=settings.llm_concurrency,
    )
    batcher = Batcher(tier, clock, pace)
    masker = Deidentifier.load(settings.deid_bundle_path, settings.deid_budget_ms)
    Checker(
        engine, batcher, masker, bundle=settings.bundle_path, text_days=settings.llm_text_days
    ).start()
    rationales = Rationales(
        model=chat,
        masker=masker,
        gate=gate,
        calls=calls,
        prices=prices,
        clock=clock,
        engine=engine,
        taxonomy=taxonomy,
        timeout_s=settings.llm_timeout_s,
        text_days=settings.llm_text_days,
    )
    process = ProcessName.of_pid(os.getpid())
    budget_s = settings.llm_timeout_s * 3
    heartbeat = Heartbeat(engine, extender(settings, queue_urls), settings.llm_lease_s)
    speculator = Speculator(
        engine=engine,
        process=process,
        clock=clock,
        batcher=batcher,
        masker=masker,
        heartbeat=heartbeat,
        # The other half of the deliveries stays for what the fast tier has passed on: of one, all.
        slots=threading.BoundedSemaphore(settings.llm_concurrency // 2),
        fence_s=settings.llm_lease_s,
        budget_s=budget_s,
    )
    lane = LlmLane(
        tier=tier,
        batcher=batcher,
        masker=masker,
        heartbeat=heartbeat,
        cache=label_cache(settings, engine, clock, taxonomy, prompt),
        budget_s=budget_s,
        speculator=speculator if settings.llm_speculate else None,
    )
    return Runtime(
        settings=settings,
        engine=engine,
        process=process,
        notes=Notes(process),
        clock=clock,
        llm=lane,
        explainers=tuple(
            Explainer(settings, engine, Explain.RATIONALE, rationales.answer)
            for _ in range(_RATIONALES_AT_ONCE)
        ),
    )


def hedged(
    model: ChatModel,
    settings: Settings,
    calls: StoredCalls,
    prompt: Prompt,
    prices: Prices,
    clock: Clock,
) -> ChatModel:
    """The model with second requests for slow ones, those that lost charged too."""
    if not settings.llm_hedge_share:
        return model

    def on_lost(usage: Usage, latency_ms: float) -> None:
        call_id = calls.start(model.name, prompt.version, 0)
        record = CallRecord(
            model=model.name,
            prompt_version=prompt.version,
            outcome="hedge_lost",
            messages=0,
            usage=usage,
            cost_usd=prices.cost_usd(usage),
            latency_ms=latency_ms,
        )
        calls.end(call_id, record)

    return HedgedModel(model, clock, Latencies(settings.llm_hedge_share), on_lost)


def label_cache(
    settings: Settings, engine: Engine, clock: Clock, taxonomy: Taxonomy, prompt: Prompt
) -> LabelCache:
    """The label cache; off without a key for its hashes, and without an LLM to save calls of."""
    keys = None
    if settings.hmac_key and settings.llm_cache_days and settings.openai_api_key:
        keys = Keys(settings.hmac_key, taxonomy.version, settings.llm_model, prompt.version)
    return LabelCache(
        engine=engine,
        clock=clock,
        keys=keys,
        days=settings.llm_cache_days,
        most_entries=settings.llm_cache_entries,
    )


#: Who builds the runtime of a kind of worker.
BUILDERS: Final[Mapping[str, Build]] = {"fast": build_fast, "llm": build_llm}
