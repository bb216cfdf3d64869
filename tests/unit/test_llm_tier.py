"""Asking about a chunk: retries, splitting, what is recorded and paid."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelError,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.taxonomy import Taxonomy
from tests.hand_clock import HandClock
from workers.exchanges import exchange_of
from workers.llm_tier.answer import label_codes
from workers.llm_tier.call import Answered, CallRecord, Result
from workers.llm_tier.chat import ChatReply, ChatRequest, OnText, Usage
from workers.llm_tier.price import Prices
from workers.llm_tier.prompt import make_prompt
from workers.llm_tier.retry import RetryPolicy
from workers.llm_tier.tier import LlmTier, Question, Request, pack

TAXONOMY = Taxonomy.load()
USAGE = Usage(prompt_tokens=1000, cached_tokens=400, completion_tokens=10)


@dataclass
class ScriptedModel:
    """Answers every message with A3, unless the script says otherwise for this call."""

    script: list[LanguageModelError | Callable[[list[dict[str, str]]], str] | None]
    asked: list[list[str]] = field(default_factory=list)
    name: str = "scripted"

    def ask(self, request: ChatRequest, *, timeout_s: float, on_text: OnText) -> ChatReply:  # noqa: ARG002
        items = json.loads(request.user)["items"]
        self.asked.append([item["text"] for item in items])
        step = self.script.pop(0) if self.script else None
        if isinstance(step, LanguageModelError):
            raise step
        text = step(items) if step else good(items)
        for start in range(0, len(text), 7):
            on_text(text[start : start + 7])
        return ChatReply(text=text, usage=USAGE, model="scripted-1")


def good(items: list[dict[str, str]]) -> str:
    return json.dumps({"items": [{"i": i["i"], "l": "A3"} for i in items]})


@dataclass
class ListedCalls:
    """Keeps records in a list."""

    records: list[CallRecord] = field(default_factory=list)
    started: int = 0

    def start(self, model: str, prompt_version: str, messages: int) -> int:  # noqa: ARG002
        self.started += 1
        return self.started

    def end(self, call_id: int, record: CallRecord) -> None:  # noqa: ARG002
        self.records.append(record)


@dataclass
class OpenGate:
    """Lets everything pass, or turns away with `closed`."""

    closed: LanguageModelUnavailable | None = None
    failures: list[str] = field(default_factory=list)
    wait_s: float = 0.0

    def admit(self, tokens: int, longest_wait_s: float) -> float:  # noqa: ARG002
        if self.closed:
            raise self.closed
        return self.wait_s

    def withdrawn(self) -> None:
        self.failures.append("withdrawn")

    def succeeded(self) -> None:
        self.failures.append("ok")

    def failed(self, error: LanguageModelError) -> None:
        self.failures.append(error.reason)


@dataclass
class Bench:
    """A tier with everything around it in hand."""

    tier: LlmTier
    model: ScriptedModel
    calls: ListedCalls
    clock: HandClock
    gate: OpenGate

    def ask(
        self,
        *texts: str,
        alone: bool = False,
        ours: bool = True,
        lost_at_call: bool = False,
        lost_after_s: float = 1e9,
        break_off: bool = False,
    ) -> list[Result]:
        """The last result heard of for each text."""

        def still_ours() -> bool:
            in_time = self.clock.at_s < lost_after_s
            return ours and in_time and not (lost_at_call and self.model.asked)

        heard: dict[int, Result] = {}
        self.tier.ask(
            Request(
                questions=[Question(text=text, alone=alone) for text in texts],
                on_result=heard.__setitem__,
                budget_s=90.0,
                still_ours=still_ours,
                break_off=break_off,
            )
        )
        return [heard[place] for place in range(len(texts))]


def make(*script: object) -> Bench:
    model, calls, clock, gate = (
        ScriptedModel(list(script)),  # type: ignore[arg-type]
        ListedCalls(),
        HandClock(),
        OpenGate(),
    )
    tier = LlmTier(
        model=model,
        prompt=make_prompt(TAXONOMY),
        taxonomy=TAXONOMY,
        codes=label_codes(TAXONOMY),
        prices=Prices(input_usd=Decimal(1), cached_usd=Decimal("0.5"), output_usd=Decimal(4)),
        calls=calls,
        gate=gate,
        clock=clock,
        timeout_s=30.0,
    )
    return Bench(tier, model, calls, clock, gate)


def test_several_messages_share_one_call_and_its_cost() -> None:
    bench = make()

    results = bench.ask("one", "two")

    assert bench.model.asked == [["one", "two"]]
    assert [record.outcome for record in bench.calls.records] == ["ok"]
    assert bench.calls.records[0].cost_usd == Decimal(
        "0.00084"
    )  # 600 + 400 / 2 + 10 * 4 millionths
    assert all(isinstance(result, Answered) and result.cost_usd > 0 for result in results)


def test_a_call_that_nobody_wants_any_more_is_broken_off_and_charged_for_what_came() -> None:
    bench = make()

    (result,) = bench.ask("one", lost_at_call=True, break_off=True)

    assert isinstance(result, LanguageModelError)
    assert result.reason == "speculation_lost"
    (record,) = bench.calls.records
    assert (record.outcome, len(bench.model.asked)) == ("speculation_lost", 1)
    assert 0 < record.usage.completion_tokens < 7
    assert record.cost_usd > 0


def test_a_call_whose_claim_was_lost_is_read_to_its_end_unless_that_was_asked_for() -> None:
    bench = make()

    (result,) = bench.ask("one", lost_at_call=True)

    assert isinstance(result, Answered)
    assert [record.outcome for record in bench.calls.records] == ["ok"]


def test_a_transient_error_is_tried_again_and_waits_as_long_as_the_server_asks() -> None:
    limit = LanguageModelUnavailable("rate_limit", "429", retry_after_s=7.0)
    bench = make(limit)

    results = bench.ask("one")

    assert isinstance(results[0], Answered)
    assert bench.clock.at_s >= 7.0
    assert [record.outcome for record in bench.calls.records] == ["rate_limit", "ok"]


def test_a_wait_that_outlasts_the_budget_is_not_begun() -> None:
    limit = LanguageModelUnavailable("rate_limit", "429", retry_after_s=3600.0)
    bench = make(limit)

    results = bench.ask("one")

    assert results == [limit]
    assert bench.clock.at_s == 0.0
    assert len(bench.model.asked) == 1


def test_transient_errors_end_after_the_last_try() -> None:
    errors = [LanguageModelUnavailable("server_error", "500") for _ in range(9)]
    bench = make(*errors)

    results = bench.ask("one", "two")

    assert len(bench.model.asked) == RetryPolicy().tries
    assert all(isinstance(result, LanguageModelUnavailable) for result in results)


def test_a_batch_with_a_wrong_answer_is_asked_again_singly() -> None:
    def foreign(items: list[dict[str, str]]) -> str:
        return good([{"i": "xyz"}, *items[1:]])

    bench = make(foreign)

    results = bench.ask("one", "two", "three")

    assert bench.model.asked == [["one", "two", "three"], ["one"], ["two"], ["three"]]
    assert [record.outcome for record in bench.calls.records] == ["foreign_id", "ok", "ok", "ok"]
    assert all(isinstance(result, Answered) for result in results)


def test_a_refusal_stays_with_the_message_that_caused_it() -> None:
    refusal = LanguageModelRefused("content_filter", "filtered")
    bench = make(refusal, None, refusal)

    results = bench.ask("one", "two")

    assert isinstance(results[0], Answered)
    assert results[1] is refusal
    assert len(bench.model.asked) == 3


def test_a_single_message_with_a_wrong_answer_is_asked_once_more_and_then_given_up() -> None:
    bench = make(lambda _: "{}", lambda _: "{}")

    results = bench.ask("one")

    assert isinstance(results[0], LanguageModelBadAnswer)
    assert len(bench.model.asked) == 2


def test_a_bad_key_is_asked_once_and_never_again() -> None:
    bad_key = LanguageModelMisconfigured("bad_key", "401")
    bench = make(bad_key)

    results = bench.ask("one", "two")

    assert results == [bad_key, bad_key]
    assert len(bench.model.asked) == 1


def test_nothing_is_paid_for_a_claim_that_was_lost() -> None:
    bench = make()

    results = bench.ask("one", ours=False)

    assert isinstance(results[0], LanguageModelUnavailable)
    assert bench.model.asked == []
    assert exchange_of("label", "one", results[0], days=1) is None  # no page says it was sent


def test_a_claim_lost_while_its_call_waits_for_the_rate_limit_is_not_paid_for() -> None:
    bench = make()
    bench.gate.wait_s = 20.0

    results = bench.ask("one", lost_after_s=10.0)

    assert isinstance(results[0], LanguageModelUnavailable)
    assert results[0].reason == "not_asked_in_time"
    assert (bench.model.asked, bench.calls.started) == ([], 0)
    assert bench.gate.failures == ["withdrawn"]


def test_long_texts_and_doubtful_ones_get_prompts_of_their_own() -> None:
    questions = [Question(text="a" * 5), Question(text="?", alone=True)]
    questions += [Question(text=letter * 5) for letter in "bcde"]

    assert pack(questions, most_messages=8, most_chars=10) == [[1], [0, 2], [3, 4], [5]]
    assert pack(questions, most_messages=3, most_chars=99) == [[1], [0, 2, 3], [4, 5]]


def test_what_an_answer_said_before_it_broke_off_is_kept_and_only_the_rest_is_asked_again() -> None:
    def cut(items: list[dict[str, str]]) -> str:
        return good(items)[: len(good(items)) * 2 // 3]

    bench = make(cut)

    results = bench.ask("one", "two", "three")

    assert all(isinstance(result, Answered) for result in results)
    assert bench.model.asked[0] == ["one", "two", "three"]
    assert [len(asked) for asked in bench.model.asked[1:]] == [1] * len(bench.model.asked[1:])
    assert ["one"] not in bench.model.asked


def test_a_message_labelled_twice_differently_is_reported_as_such() -> None:
    def doubled(items: list[dict[str, str]]) -> str:
        rows = [{"i": i["i"], "l": "A3"} for i in items]
        return json.dumps({"items": [*rows, {"i": items[0]["i"], "l": "J3"}]})

    bench = make(doubled)

    results = bench.ask("one", "two")

    assert isinstance(results[0], LanguageModelBadAnswer)
    assert isinstance(results[1], Answered)


def test_a_call_that_the_gate_turns_away_is_neither_made_nor_tried_again() -> None:
    bench = make()
    bench.gate.closed = LanguageModelUnavailable("breaker_open", "down")

    results = bench.ask("one", "two")

    assert results == [bench.gate.closed] * 2
    assert bench.model.asked == []
    assert bench.calls.started == 0


def test_the_gate_hears_how_every_call_ended() -> None:
    bench = make(LanguageModelUnavailable("timeout", "slow"))

    bench.ask("one")

    assert bench.gate.failures == ["timeout", "ok"]


def test_pauses_grow_and_are_jittered() -> None:
    error = LanguageModelUnavailable("timeout", "slow")
    policy = RetryPolicy(tries=10, first_pause_s=1.0, longest_pause_s=8.0)
    dice = random.Random(1)

    pauses = [policy.pause_s(error, tried, 1000.0, dice) or 0.0 for tried in range(1, 9)]

    assert len(set(pauses)) == 8
    assert max(pauses) <= 8.0


def test_a_call_that_breaks_in_our_own_code_is_recorded_as_ended() -> None:
    def breaks(_: list[dict[str, str]]) -> str:
        raise ValueError("a bug")

    bench = make(breaks)

    with pytest.raises(ValueError, match="a bug"):
        bench.ask("one")

    assert [record.outcome for record in bench.calls.records] == ["broken"]
