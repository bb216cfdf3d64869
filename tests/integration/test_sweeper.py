"""The sweeper against the real Postgres: nothing waits for ever, nothing is sent without need."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine

from producer.sweeper import Sweep, forget_texts, sweep
from shared.contracts import CHANNEL_MESSAGES, CHANNEL_OUTBOX
from shared.ids import new_message_id
from shared.notify import Listener
from shared.settings import Settings
from tests.integration.intake_parts import change, outbox, rows

pytestmark = pytest.mark.integration


def _message(
    engine: Engine,
    *,
    status: str = "queued",
    enqueued_s_ago: float = 300,
    received_s_ago: float = 300,
    lease_in_s: float | None = None,
    flagged: bool = False,
) -> UUID:
    message_id = new_message_id()
    change(
        engine,
        """
        INSERT INTO messages (id, source, external_id, text, status, red_flags,
                              received_at, enqueued_at, lease_owner, lease_until)
        VALUES (:id, 's', :external_id, 'text', :status, CAST(:flags AS jsonb),
                now() - make_interval(secs => :received), now() - make_interval(secs => :enqueued),
                CASE WHEN CAST(:lease AS float8) IS NULL THEN NULL ELSE 'worker' END,
                now() + make_interval(secs => CAST(:lease AS float8)))
        """,
        id=message_id,
        external_id=str(message_id),
        status=status,
        flags=json.dumps([{"rule": "chest_pain"}] if flagged else []),
        received=received_s_ago,
        enqueued=enqueued_s_ago,
        lease=lease_in_s,
    )
    return message_id


def _sweep(engine: Engine) -> Sweep:
    return sweep(engine, sweep_after_s=120, give_up_after_s=3600)


@pytest.mark.parametrize(
    ("status", "flagged", "lane"),
    [
        ("queued", False, "fast"),
        ("queued", True, "priority"),
        ("escalated", False, "llm"),
        ("escalated", True, "llm"),
    ],
)
def test_what_waits_too_long_goes_out_again_by_its_own_lane(
    engine: Engine, status: str, flagged: bool, lane: str
) -> None:
    message_id = _message(engine, status=status, flagged=flagged)

    assert _sweep(engine).sent_again == (message_id,)
    assert outbox(engine) == {message_id: lane}


def test_what_makes_progress_is_left_alone(engine: Engine) -> None:
    _message(engine, enqueued_s_ago=60)  # not yet late
    _message(engine, lease_in_s=30)  # in a worker's hands
    for status in ("labelled", "needs_review", "done"):
        _message(engine, status=status, received_s_ago=9999)
    in_outbox = _message(engine)
    change(engine, "INSERT INTO outbox (message_id, lane) VALUES (:id, 'fast')", id=in_outbox)

    assert _sweep(engine) == Sweep(given_up=(), sent_again=())
    assert len(rows(engine, "SELECT 1 FROM outbox")) == 1


def test_a_dead_workers_lease_does_not_hold_a_message_for_ever(engine: Engine) -> None:
    message_id = _message(engine, lease_in_s=-1)

    assert _sweep(engine).sent_again == (message_id,)


def test_a_message_that_was_sent_again_gets_its_time_anew(engine: Engine) -> None:
    message_id = _message(engine)
    _sweep(engine)
    change(engine, "DELETE FROM outbox")  # the relay sent it

    assert _sweep(engine).sent_again == ()
    change(engine, "UPDATE messages SET enqueued_at = now() - interval '3 minutes'")
    assert _sweep(engine).sent_again == (message_id,)


@pytest.mark.parametrize("status", ["queued", "escalated"])
def test_what_no_tier_labelled_in_time_goes_to_a_person(engine: Engine, status: str) -> None:
    message_id = _message(engine, status=status, received_s_ago=3700, enqueued_s_ago=1)

    assert _sweep(engine).given_up == (message_id,)
    (row,) = rows(engine, "SELECT status, status_reason, settled_at FROM messages")
    assert (row.status, row.status_reason) == ("needs_review", "waited_too_long")
    assert row.settled_at is not None
    assert _sweep(engine) == Sweep(given_up=(), sent_again=())


def test_what_a_worker_holds_is_not_given_up(engine: Engine) -> None:
    _message(engine, received_s_ago=3700, lease_in_s=20)

    assert _sweep(engine) == Sweep(given_up=(), sent_again=())


def test_sweepers_at_the_same_time_send_each_message_once(engine: Engine) -> None:
    ids = {_message(engine) for _ in range(60)}

    with ThreadPoolExecutor(4) as pool:
        sweeps = list(pool.map(lambda _: _sweep(engine), range(8)))

    sent = [each for one in sweeps for each in one.sent_again]
    assert sorted(sent) == sorted(ids)
    assert len(rows(engine, "SELECT 1 FROM outbox")) == 60


def test_relays_and_dashboards_hear_of_it(engine: Engine, settings: Settings) -> None:
    listener = Listener(settings, "test", CHANNEL_OUTBOX, CHANNEL_MESSAGES)
    listener.connect()
    _message(engine)
    given_up = _message(engine, received_s_ago=3700)

    _sweep(engine)

    heard = {each.channel: each.payload for each in listener.wait(5)}
    listener.close()
    assert json.loads(heard[CHANNEL_MESSAGES])["ids"] == [str(given_up)]
    assert CHANNEL_OUTBOX in heard


def test_what_the_llm_was_sent_is_removed_after_its_days_and_not_before(engine: Engine) -> None:
    message_id = _message(engine)
    for days in (29, 31):
        change(
            engine,
            """
            INSERT INTO llm_exchanges (message_id, purpose, sent, outcome, created_at)
            VALUES (:id, 'label', :sent, 'ok', now() - make_interval(days => :days))
            """,
            id=message_id,
            sent=f"asked {days} days ago",
            days=days,
        )

    assert forget_texts(engine, 30) == 1
    assert [row.sent for row in rows(engine, "SELECT sent FROM llm_exchanges")] == [
        "asked 29 days ago"
    ]
    assert forget_texts(engine, 0) == 1
