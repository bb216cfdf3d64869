"""Workers do as they are told: pause, resume, drain."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, insert, select

from dashboard import steering
from shared.contracts import Lane
from shared.database import transaction
from shared.tables import worker_orders
from shared.tables import workers as worker_table
from tests.services import eventually
from tests.worker_process import SURE
from tests.worker_stack import Clinic, Workers, clinic, workers
from workers.lease import ProcessName
from workers.liveness import Identity, Liveness
from workers.sqs_guard import Polls

pytestmark = pytest.mark.integration
__all__ = ["clinic", "workers"]


def _liveness(engine: Engine, polls: Polls, in_hand: list[int], ended: list[int]) -> Liveness:
    process = ProcessName("box", "ns", 42, "7")
    return Liveness(
        Identity(process=process, lane="fast", model_version=None),
        polls,
        engine,
        broker_answers=lambda: True,
        silent_after_s=60,
        end=ended.append,
        in_hand=lambda: in_hand[0],
    )


def _state(engine: Engine) -> tuple[str, int]:
    with transaction(engine) as connection:
        row = connection.execute(select(worker_table)).one()
    return row.state, row.in_hand


def _order(engine: Engine, target: str, wanted: str) -> None:
    with transaction(engine) as connection:
        connection.execute(insert(worker_orders).values(target=target, wanted=wanted, actor="test"))


def _wait_until_it_polls_no_more(engine: Engine) -> None:
    """A long poll that was under way when the order came may still end."""
    seen: list[tuple[object, object]] = []

    def eight_beats_with_the_same_poll() -> bool:
        with transaction(engine) as connection:
            row = connection.execute(select(worker_table)).one_or_none()
        if row is None:  # it is up, and its first beat is yet to come
            return False
        beat = (row.heartbeat_at, row.polled_at)
        if row.state == "paused" and beat not in seen:
            seen.append(beat)
        return len(seen) > 8 and len({polled for _, polled in seen[-8:]}) == 1

    eventually(eight_beats_with_the_same_poll, what="a paused worker that polls no more")


def test_an_order_for_the_tier_holds_for_a_worker_of_it_and_ends_with_it(engine: Engine) -> None:
    polls = Polls()
    liveness = _liveness(engine, polls, [2], [])
    _order(engine, "llm", "paused")
    liveness.beat()
    others = polls.paused
    _order(engine, "fast", "paused")
    liveness.beat()
    state = _state(engine)
    paused = polls.paused
    with transaction(engine) as connection:
        steering.resume(connection, "fast", "test")
    liveness.beat()

    assert not others
    assert paused
    assert state == ("paused", 2)
    assert _state(engine) == ("running", 2)
    assert not polls.paused


def test_a_drained_worker_ends_when_its_hands_are_empty_and_takes_its_order_along(
    engine: Engine,
) -> None:
    polls, in_hand, ended = Polls(), [1], list[int]()
    liveness = _liveness(engine, polls, in_hand, ended)
    liveness.beat()
    _order(engine, "box:42:7", "drained")
    liveness.beat()
    busy = liveness.is_drained()
    in_hand[0] = 0
    free = liveness.is_drained()
    state = _state(engine)
    liveness.close()

    assert (busy, free) == (False, True)
    assert polls.paused
    assert state == ("draining", 1)
    with transaction(engine) as connection:
        assert connection.execute(select(worker_orders)).all() == []


def test_a_real_worker_pauses_resumes_and_drains(
    clinic: Clinic, workers: Workers, engine: Engine
) -> None:
    process = workers.start("fast", TESTS_BEAT_EVERY_S="0.5")
    with transaction(engine) as connection:
        steering.pause(connection, "fast", "test")
    _wait_until_it_polls_no_more(engine)
    ids = clinic.accept(f"{SURE} one")
    clinic.send(Lane.FAST, ids)

    eventually(lambda: clinic.queue(Lane.FAST).waiting == 1, what="the chunk left in the queue")
    waited = clinic.statuses(ids)
    with transaction(engine) as connection:
        steering.resume(connection, "fast", "test")
    eventually(clinic.all_are(ids, "labelled"), what="labelled once resumed")
    with transaction(engine) as connection:
        steering.drain(connection, "fast", "test")
    code = process.wait(timeout=30)

    assert waited == ["queued"]
    assert code == 0
