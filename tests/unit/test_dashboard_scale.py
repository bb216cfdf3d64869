"""How many workers are advised."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dashboard.scale import Load, advise

_QUIET = Load(
    tier="fast",
    arrival_per_s=0.0,
    backlog=0,
    in_hand=0,
    oldest_s=0.0,
    alive=1,
    per_worker_per_s=100.0,
)


def test_a_quiet_tier_keeps_one_worker() -> None:
    assert advise(_QUIET).wanted == 1


def test_what_comes_in_is_served_with_room_to_spare() -> None:
    assert advise(replace(_QUIET, arrival_per_s=70.0)).wanted == 1
    assert advise(replace(_QUIET, arrival_per_s=71.0)).wanted == 2


def test_a_backlog_is_to_be_gone_within_a_minute_and_sooner_once_it_is_late() -> None:
    waiting = replace(_QUIET, backlog=12_000, oldest_s=10.0)

    assert advise(waiting).wanted == 3
    late = advise(replace(waiting, oldest_s=90.0))
    assert late.wanted == 6
    assert "the oldest waits 90 s" in late.why


def test_more_than_the_rate_limit_feeds_is_not_advised() -> None:
    limited = replace(_QUIET, tier="llm", backlog=90_000, per_worker_per_s=20.0, most=2)

    found = advise(limited)

    assert found.wanted == 2
    assert "rate limit" in found.why


@given(st.floats(0, 1e4), st.integers(0, 10**6), st.floats(0, 1e6), st.floats(0.01, 1e4))
def test_more_work_never_wants_fewer_workers(
    arrival: float, backlog: int, oldest_s: float, speed: float
) -> None:
    less = Load(
        tier="llm",
        arrival_per_s=arrival,
        backlog=backlog,
        in_hand=0,
        oldest_s=oldest_s,
        alive=0,
        per_worker_per_s=speed,
    )
    more = replace(less, arrival_per_s=arrival + 1, backlog=backlog + 10, oldest_s=oldest_s * 2)

    assert 1 <= advise(less).wanted <= advise(more).wanted
