"""The capacity model: its fits, its rules, and what it says of loads whose answer is known."""

from __future__ import annotations

from random import Random

import pytest

pytest.importorskip("simpy", reason="the model's simulator is in the environment bench-tools")

from bench.capacity.fit import Line, LogNormal, ServiceTimes
from bench.capacity.model import Deployment, Model
from bench.capacity.plan import Day, arrivals_ms, costs, feel, limited_day, limits, sized
from bench.generated import put

EXACT = LogNormal(shift_ms=0.0, mu=0.0, sigma=0.0)
WRITES = (
    {"clients": 1, "notify": True, "commits_per_s": 500.0},
    {"clients": 1, "notify": False, "commits_per_s": 3000.0},
)


def times(**changes: object) -> ServiceTimes:
    """Every step takes a millisecond, the small model five, an LLM call two seconds."""
    values: dict[str, object] = {
        "wake": EXACT,
        "relay": Line(base_ms=1.0, each_ms=0.0),
        "pickup": EXACT,
        "model": LogNormal(shift_ms=4.0, mu=0.0, sigma=0.0),
        "chunk": Line(base_ms=1.0, each_ms=0.0),
        "write": Line(base_ms=1.0, each_ms=0.0),
        "gap_ms": 1.0,
        "stretch": 1.0,
        "llm_call": LogNormal(shift_ms=1999.0, mu=0.0, sigma=0.0),
        "llm_cpu_ms": 1.0,
        "side_one_ms": 1.0,
        "side_full_ms": 1.0,
        "intake_one_ms": 1.0,
        "idle_cores": 0.0,
        "escalated": 0.0,
        "flagged": 0.0,
        "tokens_in": Line(base_ms=2500.0, each_ms=100.0),
        "tokens_out": 11.0,
        "cpu_ms": {"Postgres": 1.0, "fast": 6.0},
        "cached_share": 0.75,
        "commits": 0.5,
        "wal_bytes": 5000.0,
        "table_bytes": 4000.0,
    }
    return ServiceTimes(**{**values, **changes})  # type: ignore[arg-type]


def test_a_message_on_an_empty_system_takes_the_sum_of_its_steps() -> None:
    out = Model(times(), Deployment(), [100.0], seed=1).run()

    (message,) = out.messages
    # Wake, relay, pickup, model, chunk: a millisecond each, five for the model.
    assert message.labelled_ms - message.came_ms == pytest.approx(9.0)
    assert message.settled_ms - message.labelled_ms == pytest.approx(1.0)


def test_an_ambiguous_message_is_settled_by_the_llm_after_its_first_label() -> None:
    out = Model(times(escalated=1.0), Deployment(), [0.0], seed=1).run()

    (message,) = out.messages
    assert message.settled_ms - message.labelled_ms > 2000
    assert out.llm_calls == 1


def test_a_burst_fills_chunks_and_prompts() -> None:
    out = Model(times(escalated=1.0), Deployment(), [0.0] * 640, seed=1).run()

    assert out.chunks["fast"] <= 640 / 32 + 2
    assert out.llm_messages / out.llm_calls > 5
    assert all(message.settled_ms > 0 for message in out.messages)


def test_messages_with_red_flags_pass_those_without() -> None:
    out = Model(times(flagged=0.2), Deployment(), [0.0] * 960, seed=1).run()

    waits = {
        flagged: max(m.labelled_ms for m in out.messages if m.flagged is flagged)
        for flagged in (True, False)
    }
    assert waits[True] < waits[False]


def test_throughput_is_that_of_the_small_model_and_doubles_with_a_second_process() -> None:
    def rate(processes: int) -> float:
        out = Model(times(), Deployment(fast_processes=processes), [0.0] * 3200, seed=1).run()
        return 3200 * 1000 / max(m.labelled_ms for m in out.messages)

    # 32 messages of 5 ms and 3 ms around them.
    assert rate(1) == pytest.approx(32 * 1000 / 163, rel=0.03)
    assert rate(2) == pytest.approx(2 * rate(1), rel=0.05)


def test_other_programs_on_the_machine_slow_everything_down() -> None:
    quiet = Model(times(), Deployment(cores=2), [0.0] * 320, seed=1).run()
    busy = Model(times(), Deployment(cores=2, others=5), [0.0] * 320, seed=1).run()

    assert max(m.labelled_ms for m in busy.messages) > 2.5 * max(
        m.labelled_ms for m in quiet.messages
    )


def test_a_rate_limit_of_the_llm_holds_calls_back() -> None:
    limited = Deployment(llm_requests_per_minute=60)

    free = Model(times(escalated=1.0), Deployment(), [0.0] * 160, seed=1).run()
    held = Model(times(escalated=1.0), limited, [0.0] * 160, seed=1).run()

    # One call a second after a burst of five.
    assert max(m.settled_ms for m in held.messages) > 10_000
    assert max(m.settled_ms for m in free.messages) < 10_000


def test_a_fit_finds_the_distribution_that_values_were_drawn_from() -> None:
    random = Random(1)
    drawn = [random.lognormvariate(2.0, 0.5) for _ in range(4000)]

    fit = LogNormal.of(drawn)

    assert fit.mean_ms == pytest.approx(sum(drawn) / len(drawn), rel=0.02)
    assert fit.ks < 0.05
    with pytest.raises(ValueError, match="recorded no values"):
        LogNormal.of([])


def test_limits_name_the_lowest_first_and_what_to_change() -> None:
    found = limits(times(escalated=0.4), Day(), WRITES)

    assert [each.per_s for each in found] == sorted(each.per_s for each in found)
    by_part = {each.part: each for each in found}
    assert by_part["Postgres commits that NOTIFY"].per_s == pytest.approx(500 / 1.43, rel=0.01)
    assert by_part["fast worker"].needed(2 * by_part["fast worker"].per_s) == pytest.approx(2)
    assert all(each.then for each in found)


def test_a_plan_carries_its_peak_and_costs_less_than_the_llm_alone() -> None:
    day, some = Day(messages=1_000_000), times(escalated=0.4)
    deployment = sized(some, day, day.peak_per_s)

    felt = feel(some, deployment, day.peak_per_s)
    ours, alone = costs(some, day, felt, deployment)

    assert felt.label_p95_ms < 1000
    assert ours.whole < 0.5 * alone.whole


def test_an_account_that_is_too_small_sends_messages_to_people_and_a_large_one_does_not() -> None:
    some = times(escalated=0.4)

    small = limited_day(some, Day(tokens_per_minute=1_000_000))
    large = limited_day(some, Day(tokens_per_minute=100_000_000, requests_per_minute=100_000))

    assert sum(hour.to_people for hour in small) > 0
    assert sum(hour.to_people for hour in large) == 0


def test_arrivals_come_at_their_rate() -> None:
    found = arrivals_ms(100, 60, seed=1)

    assert len(found) == pytest.approx(6000, rel=0.05)
    assert found == sorted(found)


def test_only_what_stands_between_the_marks_of_a_page_is_replaced() -> None:
    page = "before\n<!-- sums: written by x -->\nold\n<!-- end sums -->\nafter\n"

    assert put(page, "sums", r"new \1") == (
        "before\n<!-- sums: written by x -->\nnew \\1\n<!-- end sums -->\nafter\n"
    )
    with pytest.raises(ValueError, match="no marks"):
        put(page, "other", "new")
