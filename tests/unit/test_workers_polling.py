"""Polling: what counts as a sign of life, and how a worker behaves that lacks one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.contracts import Lane
from shared.errors import QueueMisconfigured, QueueUnavailable
from shared.queues import QueueState
from shared.settings import Settings
from workers.celery_app import make_app
from workers.chunk import read_ids
from workers.lease import ProcessName
from workers.liveness import Identity, Liveness
from workers.queue_check import check_visibility
from workers.sqs_guard import Polls


def _liveness(polls: Polls, answers: bool | Exception) -> Liveness:
    def broker_answers() -> bool:
        if isinstance(answers, Exception):
            raise answers
        return answers

    return Liveness(
        Identity(process=ProcessName("host", "1", 1, "1"), lane="fast", model_version=None),
        polls,
        None,  # type: ignore[arg-type]  # is_silent needs no database
        broker_answers=broker_answers,
        silent_after_s=60.0,
        end=lambda _: None,
    )


def _silent_for(seconds: float) -> Polls:
    at = time.monotonic() - seconds
    return Polls(alive_at_by_queue={"priority": at, "fast": at}, started_at=at)


def test_a_worker_that_has_not_polled_for_long_while_the_broker_answers_is_silent() -> None:
    assert _liveness(_silent_for(61), True).is_silent()


def test_a_worker_that_polled_a_moment_ago_is_not_silent() -> None:
    assert not _liveness(_silent_for(5), True).is_silent()


def test_a_worker_whose_broker_is_away_is_not_silent() -> None:
    assert not _liveness(_silent_for(600), QueueUnavailable("away")).is_silent()


def test_a_worker_with_every_slot_taken_is_alive() -> None:
    polls = _silent_for(600)

    polls.alive("priority")
    polls.alive("fast")

    assert not _liveness(polls, True).is_silent()


def test_a_queue_whose_polling_stopped_is_noticed_though_the_other_is_polled() -> None:
    polls = _silent_for(61)

    polls.answered("fast")

    assert _liveness(polls, True).is_silent()


def test_a_queue_that_was_asked_and_never_answered_is_noticed() -> None:
    polls = Polls(alive_at_by_queue={"fast": time.monotonic()})

    polls.begin("priority")

    assert set(polls.alive_at_by_queue) == {"fast", "priority"}


def test_the_time_to_give_a_sign_of_life_begins_with_the_watch() -> None:
    polls = _silent_for(600)

    polls.start()

    assert not _liveness(polls, True).is_silent()


def test_polls_back_off_while_sqs_fails_and_come_at_once_when_it_answers() -> None:
    polls = Polls()
    pauses = []
    for _ in range(8):
        polls.failed("HTTP 503")
        pauses.append(polls.pause_s)

    polls.answered("fast")

    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < 0.5
    assert pauses[-1] == 2.0
    assert polls.pause_s == 0


def test_a_queue_that_delivers_again_within_the_lease_is_refused_by_name() -> None:
    state = QueueState(
        lane=Lane.LLM,
        url="",
        visibility_s=30,
        max_receives=5,
        waiting=0,
        in_flight=0,
        dead=0,
    )

    with pytest.raises(QueueMisconfigured, match=r"carelane-llm.*30 s.*CARELANE_LLM_LEASE_S"):
        check_visibility(state, Settings())


def test_ids_that_are_none_are_left_out_and_doubles_count_once() -> None:
    good = "0190a000-0000-7000-8000-000000000001"

    assert [str(id_) for id_ in read_ids([good, "x", good, ""])] == [good]


def test_the_celery_app_has_the_settings_that_measured_faults_call_for() -> None:
    conf: Any = make_app(
        Settings(), "fast", {Lane.PRIORITY: "http://p", Lane.FAST: "http://f"}
    ).conf

    assert conf.task_acks_late
    assert conf.task_acks_on_failure_or_timeout is False
    assert conf.task_reject_on_worker_lost
    assert conf.accept_content == ["json"]
    assert conf.result_backend is None
    assert conf.worker_prefetch_multiplier == 2
    assert [queue.name for queue in conf.task_queues] == ["carelane-priority", "carelane-fast"]


def test_a_child_of_the_fast_lane_is_ended_before_its_chunk_is_visible_again() -> None:
    conf: Any = make_app(Settings(), "fast", {}).conf

    assert 0 < conf.task_soft_time_limit < conf.task_time_limit < 30
    assert conf.task_time_limit >= Settings().fast_lease_s
    assert make_app(Settings(), "llm", {}).conf.task_time_limit is None


def test_another_broker_is_taken_by_its_url() -> None:
    app = make_app(Settings(broker_url="memory://"), "llm", {})

    assert app.conf.broker_url == "memory://"
    assert app.conf.broker_transport is None
