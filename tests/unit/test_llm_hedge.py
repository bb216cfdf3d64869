"""A slow call gets a second request, within a budget; the first to begin wins, both are charged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelUnavailable,
    LanguageModelUnwanted,
)
from workers.llm_tier.chat import ChatReply, ChatRequest, OnText, Usage
from workers.llm_tier.hedge import HedgedModel, Latencies
from workers.patience import SystemClock

REQUEST = ChatRequest(system="s" * 400, user="u", max_tokens=10)
Step = Callable[[OnText], ChatReply]


@dataclass
class StepModel:
    """Runs one step per request, in the order in which they start."""

    steps: list[Step]
    name: str = "steps"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: ChatRequest, *, timeout_s: float, on_text: OnText) -> ChatReply:  # noqa: ARG002
        with self.lock:
            step = self.steps.pop(0)
        return step(on_text)


def _says(text: str, after: threading.Event | None = None) -> Step:
    def step(on_text: OnText) -> ChatReply:
        if after is not None:
            assert after.wait(10)
        on_text(text)
        return ChatReply(text=text, usage=Usage(), model="m")

    return step


def _fails(on_text: OnText) -> ChatReply:
    raise LanguageModelUnavailable("server_error", "500")


def _latencies(share: float = 0.5) -> Latencies:
    made = Latencies(share, calls=100)
    made.seen_s.extend([0.001] * 50)
    return made


def _ask(model: HedgedModel) -> tuple[str, list[str]]:
    heard: list[str] = []
    reply = model.ask(REQUEST, timeout_s=10.0, on_text=heard.append)
    return reply.text, heard


def test_the_second_request_wins_over_a_silent_one_and_the_loser_is_charged() -> None:
    late, charged, lost = threading.Event(), [], threading.Event()

    def on_lost(usage: Usage, latency_ms: float) -> None:
        charged.append(usage.prompt_tokens)
        lost.set()

    model = HedgedModel(
        StepModel([_says("slow", late), _says("quick")]), SystemClock(), _latencies(), on_lost
    )

    text, heard = _ask(model)
    late.set()

    assert (text, heard) == ("quick", ["quick"])
    assert lost.wait(10)
    assert charged[0] > 100


def test_a_call_that_begins_in_time_is_asked_once() -> None:
    model = HedgedModel(StepModel([_says("quick")]), SystemClock(), _latencies(), lambda *_: None)

    assert _ask(model) == ("quick", ["quick"])


def test_without_budget_a_slow_call_is_waited_for() -> None:
    late = threading.Event()
    threading.Timer(0.8, late.set).start()
    model = HedgedModel(
        StepModel([_says("slow", late)]), SystemClock(), _latencies(0.0001), lambda *_: None
    )

    assert _ask(model) == ("slow", ["slow"])


def test_when_one_of_two_fails_the_other_s_answer_counts() -> None:
    late = threading.Event()
    threading.Timer(0.8, late.set).start()
    model = HedgedModel(
        StepModel([_says("slow", late), _fails]), SystemClock(), _latencies(), lambda *_: None
    )

    assert _ask(model)[0] == "slow"


def test_when_all_fail_the_error_comes_through() -> None:
    model = HedgedModel(StepModel([_fails]), SystemClock(), _latencies(), lambda *_: None)

    with pytest.raises(LanguageModelUnavailable):
        _ask(model)


def test_a_request_whose_caller_leaves_stops_reading_and_is_not_charged_as_a_lost_hedge() -> None:
    ended, charged = threading.Event(), []

    def goes_on(on_text: OnText) -> ChatReply:
        try:
            while not ended.wait(0.01):
                on_text("more")
        finally:
            ended.set()
        raise AssertionError("never stopped")

    def leaves(piece: str) -> None:
        raise LanguageModelUnwanted("speculation_lost", piece)

    model = HedgedModel(
        StepModel([goes_on]), SystemClock(), _latencies(), lambda *_: charged.append(1)
    )

    with pytest.raises(LanguageModelUnwanted):
        model.ask(REQUEST, timeout_s=10.0, on_text=leaves)

    assert ended.wait(10)
    for thread in threading.enumerate():
        if thread.name == "llm-request":
            thread.join(10)
    assert charged == []


def test_a_request_whose_answer_is_bad_is_read_to_its_end() -> None:
    heard, read = threading.Event(), threading.Event()

    def goes_on(on_text: OnText) -> ChatReply:
        on_text("bad")
        assert heard.wait(10)
        on_text("more")
        read.set()
        return ChatReply(text="badmore", usage=Usage(), model="m")

    def finds_it_bad(piece: str) -> None:
        raise LanguageModelBadAnswer("schema", piece)

    model = HedgedModel(StepModel([goes_on]), SystemClock(), _latencies(), lambda *_: None)

    with pytest.raises(LanguageModelBadAnswer):
        model.ask(REQUEST, timeout_s=10.0, on_text=finds_it_bad)
    heard.set()

    assert read.wait(10)


def test_no_more_than_the_share_of_calls_is_hedged() -> None:
    latencies = Latencies(0.05)
    taken = 0
    for _ in range(1000):
        latencies.begin()
        taken += latencies.take()

    assert taken == 50
