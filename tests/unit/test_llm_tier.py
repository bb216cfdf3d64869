"""Asking about a chunk: retries, splitting, what is recorded and paid."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.taxonomy import Taxonomy
from workers.llm_tier.chat import ChatReply, ChatRequest, Usage
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import make_prompt
from workers.llm_tier.retry import RetryPolicy
from workers.llm_tier.tier import Answered, CallRecord, LlmTier, pack

TAXONOMY = Taxonomy.load()
USAGE = Usage(prompt_tokens=1000, cached_tokens=400, completion_tokens=10)


@dataclass
class HandClock:
    """Time that passes only by sleeping."""

    at_s: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)

    def monotonic_s(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


@dataclass
class ScriptedModel:
    """Answers every message with A3, unless the script says otherwise for this call."""

    script: list[LanguageModelError | Callable[[list[dict[str, str]]], str] | None]
    asked: list[list[str]] = field(default_factory=list)
    name: str = "scripted"

    def ask(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:  # noqa: ARG002
        items = json.loads(request.user)["items"]
        self.asked.append([item["text"] for item in items])
        step = self.script.pop(0) if self.script else None
        if isinstance(step, LanguageModelError):
            raise step
        text = step(items) if step else good(items)
        return ChatReply(text=text, usage=USAGE, latency_ms=5.0, model="scripted-1")


def good(items: list[dict[str, str]]) -> str:
    return json.dumps({"items": [{"id": i["id"], "c": ["A"], "u": "3"} for i in items]})


@dataclass
class ListedCalls:
    """Keeps records in a list."""

    records: list[CallRecord] = field(default_factory=list)

    def add(self, record: CallRecord) -> int:
        self.records.append(record)
        return len(self.records)


def make(*script: object) -> tuple[LlmTier, ScriptedModel, ListedCalls, HandClock]:
    model, calls, clock = ScriptedModel(list(script)), ListedCalls(), HandClock()  # type: ignore[arg-type]
    tier = LlmTier(
        model=model,
        prompt=make_prompt(TAXONOMY),
        taxonomy=TAXONOMY,
        prices=Prices(input_usd=Decimal(1), cached_usd=Decimal("0.5"), output_usd=Decimal(4)),
        calls=calls,
        clock=clock,
        timeout_s=30.0,
    )
    return tier, model, calls, clock


def ask(tier: LlmTier, *texts: str) -> list[Answered | LanguageModelError]:
    return tier.ask(texts, budget_s=90.0, still_ours=lambda: True)


def test_several_messages_share_one_call_and_its_cost() -> None:
    tier, model, calls, _ = make()

    results = ask(tier, "one", "two")

    assert model.asked == [["one", "two"]]
    assert [record.outcome for record in calls.records] == ["ok"]
    assert calls.records[0].cost_usd == Decimal("0.00084")  # 600 + 400 / 2 + 10 * 4 millionths
    assert [r.cost_usd for r in results if isinstance(r, Answered)] == [Decimal("0.00042")] * 2


def test_a_transient_error_is_tried_again_and_waits_as_long_as_the_server_asks() -> None:
    limit = LanguageModelUnavailable("rate_limit", "429", retry_after_s=7.0)
    tier, _, calls, clock = make(limit)

    results = ask(tier, "one")

    assert isinstance(results[0], Answered)
    assert clock.at_s >= 7.0
    assert [record.outcome for record in calls.records] == ["rate_limit", "ok"]


def test_a_wait_that_outlasts_the_budget_is_not_begun() -> None:
    limit = LanguageModelUnavailable("rate_limit", "429", retry_after_s=3600.0)
    tier, model, _, clock = make(limit)

    results = ask(tier, "one")

    assert results == [limit]
    assert clock.at_s == 0.0
    assert len(model.asked) == 1


def test_transient_errors_end_after_the_last_try() -> None:
    errors = [LanguageModelUnavailable("server_error", "500") for _ in range(9)]
    tier, model, _, _ = make(*errors)

    results = ask(tier, "one", "two")

    assert len(model.asked) == RetryPolicy().tries
    assert all(isinstance(result, LanguageModelUnavailable) for result in results)


def test_a_batch_with_a_wrong_answer_is_asked_again_singly() -> None:
    def foreign(items: list[dict[str, str]]) -> str:
        return good([*items, {"id": "x9x"}])

    tier, model, calls, _ = make(foreign)

    results = ask(tier, "one", "two", "three")

    assert model.asked == [["one", "two", "three"], ["one"], ["two"], ["three"]]
    assert [record.outcome for record in calls.records] == ["foreign_id", "ok", "ok", "ok"]
    assert all(isinstance(result, Answered) for result in results)


def test_a_refusal_stays_with_the_message_that_caused_it() -> None:
    refusal = LanguageModelRefused("content_filter", "filtered")
    tier, model, _, _ = make(refusal, None, refusal)

    results = ask(tier, "one", "two")

    assert isinstance(results[0], Answered)
    assert results[1] is refusal
    assert len(model.asked) == 3


def test_a_single_message_with_a_wrong_answer_is_asked_once_more_and_then_given_up() -> None:
    tier, model, _, _ = make(lambda _: "{}", lambda _: "{}")

    results = ask(tier, "one")

    assert isinstance(results[0], LanguageModelBadAnswer)
    assert len(model.asked) == 2


def test_a_bad_key_is_asked_once_and_never_again() -> None:
    bad_key = LanguageModelMisconfigured("bad_key", "401")
    tier, model, _, _ = make(bad_key)

    results = ask(tier, "one", "two")

    assert results == [bad_key, bad_key]
    assert len(model.asked) == 1


def test_nothing_is_paid_for_a_claim_that_was_lost() -> None:
    tier, model, _, _ = make()

    results = tier.ask(["one"], budget_s=90.0, still_ours=lambda: False)

    assert isinstance(results[0], LanguageModelUnavailable)
    assert model.asked == []


def test_long_texts_get_prompts_of_their_own() -> None:
    assert pack(["a" * 5, "b" * 5, "c" * 20, "d"], most_chars=10) == [
        ["a" * 5, "b" * 5],
        ["c" * 20],
        ["d"],
    ]


def test_pauses_grow_and_are_jittered() -> None:
    error = LanguageModelUnavailable("timeout", "slow")
    policy = RetryPolicy(tries=10, first_pause_s=1.0, longest_pause_s=8.0)
    dice = random.Random(1)

    pauses = [policy.pause_s(error, tried, 1000.0, dice) or 0.0 for tried in range(1, 9)]

    assert len(set(pauses)) == 8
    assert max(pauses) <= 8.0
