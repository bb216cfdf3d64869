"""The rate of a source, and the time that a body may take."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st

from producer.limits import Rates, deadline


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_source_gets_its_minute_at_once_and_then_waits_for_the_refill() -> None:
    clock = _Clock()
    rates = Rates(60, largest_call=10, clock=clock)

    assert rates.wait_s("a", 60) == 0
    wait_s = rates.wait_s("a", 5)

    assert wait_s == 5
    clock.now += wait_s
    assert rates.wait_s("a", 5) == 0


def test_one_source_does_not_use_up_anothers_rate() -> None:
    rates = Rates(60, largest_call=10, clock=_Clock())

    assert rates.wait_s("a", 60) == 0
    assert rates.wait_s("a", 1) > 0
    assert rates.wait_s("b", 60) == 0


def test_the_largest_call_fits_however_small_the_rate() -> None:
    rates = Rates(1, largest_call=500, clock=_Clock())

    assert rates.wait_s("a", 500) == 0
    assert rates.wait_s("a", 1) > 0


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 100)), max_size=30))
def test_never_more_than_the_rate_allows_goes_through(calls: list[tuple[int, float]]) -> None:
    clock = _Clock()
    rates = Rates(60, largest_call=100, clock=clock)
    started, through = clock.now, 0

    for messages, pause_s in calls:
        if rates.wait_s("a", messages) == 0:
            through += messages
        assert through <= 100 + (clock.now - started) * 1.0 + 1e-6
        clock.now += pause_s


def test_a_body_that_does_not_come_in_time_ends_the_reading() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"{")  # and nothing more, with the connection left open
        with deadline(ours, 0.05) as late:
            assert ours.recv(10) == b"{"
            assert ours.recv(10) == b"", "would wait for ever"

    assert late.is_set()


def test_a_body_in_time_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadline(ours, 60) as late:
            theirs.sendall(b"{}")
            assert ours.recv(10) == b"{}"
        theirs.sendall(b"x")
        assert ours.recv(10) == b"x"

    assert not late.is_set()
