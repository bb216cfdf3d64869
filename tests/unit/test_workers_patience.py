"""Waiting for the database inside a task ends in time."""

from __future__ import annotations

import pytest

from shared.errors import StoreError, StoreUnavailable
from tests.unit.test_llm_tier import HandClock
from workers.patience import Patience


class Away:
    """Fails so many times, then answers."""

    def __init__(self, times: int, error: type[Exception] = StoreUnavailable) -> None:
        self.left = times
        self._error = error

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self._error("away")
        return "there"


def test_work_is_tried_until_the_database_is_back() -> None:
    assert Patience(HandClock(), 40.0).call(Away(10)) == "there"


def test_waiting_ends_below_its_bound() -> None:
    clock = HandClock()

    with pytest.raises(StoreUnavailable):
        Patience(clock, 20.0).call(Away(10_000))

    assert 15 < clock.at_s <= 20


def test_an_error_that_is_not_about_reaching_the_database_is_not_waited_for() -> None:
    clock = HandClock()

    with pytest.raises(StoreError):
        Patience(clock, 20.0).call(Away(1, StoreError))

    assert clock.at_s == 0
