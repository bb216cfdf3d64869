"""Questions of several deliveries share calls: none waits when it is quiet, all gather when not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.errors import LanguageModelError, LanguageModelUnavailable, StoreError
from workers.llm_tier.batcher import Batcher, Pace, due
from workers.llm_tier.call import OnResult, Result
from workers.llm_tier.tier import Question, Request
from workers.patience import SystemClock

PACE = Pace(most_messages=3, quick_calls=1, most_calls=9, hold_s=0.35)


def test_a_quiet_process_starts_a_call_at_once() -> None:
    assert due(1, 0.0, 0, PACE)


def test_a_busy_one_gathers_until_a_prompt_is_full_or_the_oldest_has_waited() -> None:
    assert not due(2, 0.05, 1, PACE)
    assert due(3, 0.0, 1, PACE)
    assert due(1, 0.1, 1, PACE)
    assert due(1, 0.0, 1, PACE, alone=True)


def test_the_more_calls_are_in_flight_the_longer_questions_gather_up_to_a_bound() -> None:
    assert due(1, 0.2, 2, PACE)
    assert not due(1, 0.2, 3, PACE)
    assert due(1, 0.35, 8, PACE)


def test_no_more_calls_than_allowed_are_in_flight() -> None:
    assert not due(9, 9.0, 9, PACE)
    assert not due(0, 0.0, 0, PACE)


@dataclass
class HeldTier:
    """Answers each batch when the test lets it."""

    batches: list[list[str]] = field(default_factory=list)
    break_off: list[bool] = field(default_factory=list)
    let: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    breaks: bool = False

    def ask(self, request: Request) -> None:
        assert request.budget_s > 0
        assert request.still_ours()
        self.batches.append([each.text for each in request.questions])
        self.break_off.append(request.break_off)
        self.begun.release()
        assert self.let.acquire(timeout=10)
        if self.breaks:
            raise ValueError("a bug")
        for place, each in enumerate(request.questions):
            request.on_result(place, LanguageModelUnavailable(each.text, ""))


def _request(questions: Sequence[Question], on_result: OnResult, *, ours: bool = True) -> Request:
    return Request(questions=questions, on_result=on_result, budget_s=60.0, still_ours=lambda: ours)


def _ask_in_thread(
    batcher: Batcher, *texts: str, heard: dict[str, list[str]], ours: bool = True
) -> threading.Thread:
    def on_result(place: int, result: Result) -> None:
        assert isinstance(result, LanguageModelError)
        heard.setdefault(texts[place], []).append(result.reason)

    def run() -> None:
        questions = [Question(text=text) for text in texts]
        batcher.ask(_request(questions, on_result, ours=ours))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_comes_while_a_call_runs_shares_the_next_and_each_hears_its_own_answer() -> None:
    tier = HeldTier()
    batcher = Batcher(
        tier, SystemClock(), Pace(most_messages=3, quick_calls=1, hold_s=60.0, hold_per_call_s=60.0)
    )
    heard: dict[str, list[str]] = {}
    threads = [_ask_in_thread(batcher, "a", heard=heard)]
    assert tier.begun.acquire(timeout=10)

    threads += [_ask_in_thread(batcher, text, heard=heard) for text in "bcd"]
    assert tier.begun.acquire(timeout=10)
    tier.let.release(2)
    for thread in threads:
        thread.join(timeout=10)

    assert tier.batches[0] == ["a"]
    assert sorted(tier.batches[1]) == ["b", "c", "d"]
    assert heard == {text: [text] for text in "abcd"}


def test_a_claim_that_was_lost_while_it_gathered_is_not_asked_about() -> None:
    tier = HeldTier()
    heard: dict[str, list[str]] = {}

    thread = _ask_in_thread(Batcher(tier, SystemClock(), PACE), "a", heard=heard, ours=False)
    thread.join(timeout=10)

    assert heard == {"a": ["not_asked_in_time"]}
    assert tier.batches == []


def test_a_call_is_broken_off_only_where_all_that_share_it_allow_it() -> None:
    tier = HeldTier()
    batcher = Batcher(
        tier, SystemClock(), Pace(most_messages=2, quick_calls=1, hold_s=60.0, hold_per_call_s=60.0)
    )
    ordinary = [_request([Question(text=text)], lambda *_: None) for text in "abc"]
    ahead = [replace(each, break_off=True) for each in ordinary]

    waits = batcher.begin(ahead[0])
    assert tier.begun.acquire(timeout=10)
    waits += batcher.begin(ahead[1]) + batcher.begin(ordinary[2])
    tier.let.release(2)
    assert all(done.wait(10) for done in waits)

    assert tier.break_off == [True, False]


def test_a_failing_batch_frees_those_who_wait_for_it() -> None:
    tier = HeldTier(breaks=True)
    tier.let.release(2)
    batcher = Batcher(tier, SystemClock(), PACE)

    for _ in range(2):
        thread = _ask_in_thread(batcher, "a", heard={})
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_one_deliverys_trouble_with_its_result_does_not_cost_the_others_theirs() -> None:
    tier = HeldTier()
    tier.let.release()
    batcher = Batcher(tier, SystemClock(), PACE)
    heard: list[str] = []

    def on_result(place: int, result: Result) -> None:
        assert isinstance(result, LanguageModelError)
        if place == 0:
            raise StoreError("no")
        heard.append(result.reason)

    batcher.ask(_request([Question(text=text) for text in "abc"], on_result))

    assert heard == ["b", "c"]
