"""The order of polls: the first queue's flagged work before the others' backlog."""

from __future__ import annotations

from itertools import pairwise

from workers.polling_order import PollingOrder


def test_other_queues_are_polled_freely_before_the_first_has_answered() -> None:
    assert PollingOrder().others_may_poll(0.0)


def test_other_queues_wait_while_the_first_has_something() -> None:
    order = PollingOrder()

    order.asked(0.0)
    order.answered(10)

    assert not order.others_may_poll(0.01)  # its slots are taken: it is not even asked
    order.asked(1.0)
    assert not order.others_may_poll(1.3)  # asked, and the answer is on its way


def test_other_queues_are_polled_once_the_first_is_empty() -> None:
    order = PollingOrder()

    order.asked(0.0)
    order.answered(3)
    order.asked(0.5)
    order.answered(0)

    assert order.others_may_poll(0.6)


def test_a_receive_that_waits_for_something_to_come_holds_nobody_back() -> None:
    order = PollingOrder()

    order.asked(0.0)
    order.answered(3)
    order.asked(0.5)

    assert order.others_may_poll(1.0)


def test_a_flood_in_the_first_queue_does_not_starve_the_others() -> None:
    order = PollingOrder()
    polls = []

    for tenth in range(300):  # half a minute of answers that always bring something
        now_s = tenth / 10
        order.asked(now_s)
        order.answered(1)
        if order.others_may_poll(now_s):
            polls.append(now_s)

    assert len(polls) == 5
    assert max(later - sooner for sooner, later in pairwise(polls)) < 6
