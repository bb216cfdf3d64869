"""Pausing workers, running failed messages again, dead letters: from the page and by command."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import Engine, insert, select, text

from dashboard import dead_letters, operations_cli, rerun
from dashboard.app import create_app
from dashboard.permissions import Role
from producer.publisher import Envelopes
from producer.sweeper import sweep
from shared.contracts import Lane, Status, Urgency
from shared.database import transaction
from shared.queues import check_queues, sqs_client
from shared.settings import Settings
from shared.tables import audit_log, outbox, worker_orders, workers
from tests.dashboard_pages import Person, Store, add_user, text_of
from tests.services import environment

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]


@pytest.fixture
def worker(engine: Engine) -> str:
    """A worker that beats."""
    with transaction(engine) as connection:
        connection.execute(
            insert(workers).values(id="box:42:7", lane="fast", host="box", pid=42, in_hand=3)
        )
    return "box:42:7"


def _orders(engine: Engine) -> dict[str, str]:
    with transaction(engine) as connection:
        return {row.target: row.wanted for row in connection.execute(select(worker_orders))}


def _outbox(engine: Engine) -> set[tuple[object, str]]:
    with transaction(engine) as connection:
        return {(row.message_id, row.lane) for row in connection.execute(select(outbox))}


def _actions(engine: Engine) -> list[tuple[str, str]]:
    with transaction(engine) as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id))
        return [(row.actor, row.action) for row in rows if not row.action.startswith("signed")]


def test_a_tier_is_paused_and_resumed_from_the_page(
    signed_in: SignedIn, engine: Engine, worker: str
) -> None:
    person = signed_in(Role.OPERATIONS)

    person.post("/operations/workers", {"target": "llm", "wanted": "pause"})
    page = text_of(person.get("/operations").text)
    told = _orders(engine)
    person.post("/operations/workers", {"target": "llm", "wanted": "resume"})

    assert told == {"llm": "paused"}
    assert "The llm tier is paused by operations.one" in page
    assert _orders(engine) == {}
    assert _actions(engine) == [
        ("operations.one", "workers_paused"),
        ("operations.one", "workers_resumed"),
    ]


def test_draining_a_tier_tells_the_workers_that_it_has_now(
    signed_in: SignedIn, engine: Engine, worker: str
) -> None:
    signed_in(Role.LEAD).post("/operations/workers", {"target": "fast", "wanted": "drain"})

    assert _orders(engine) == {worker: "drained"}


def test_who_only_looks_cannot_steer(signed_in: SignedIn, worker: str, store: Store) -> None:
    store.status(store.message(), Status.NEEDS_REVIEW, "llm_timeout")
    auditor = signed_in(Role.AUDITOR)

    assert "Pause" not in auditor.get("/operations").text
    assert "Run all" not in auditor.get("/operations/failed").text
    for path in ("workers", "failed", "dead-letters/fast"):
        assert auditor.post(f"/operations/{path}", {"which": "all"}).status_code == 403


def test_a_target_that_is_none_is_refused(signed_in: SignedIn, engine: Engine) -> None:
    person = signed_in(Role.OPERATIONS)

    refused = person.post("/operations/workers", {"target": "box:1:1", "wanted": "drain"})

    assert refused.status_code == 400
    assert _orders(engine) == {}


def test_failed_messages_are_listed_without_their_text_and_run_again_by_reason(
    signed_in: SignedIn, store: Store, engine: Engine
) -> None:
    timed_out = store.message("a private matter", minutes_ago=300)
    store.label(timed_out, status=Status.ESCALATED)
    store.status(timed_out, Status.NEEDS_REVIEW, "llm_timeout")
    broke = store.message("a private matter")
    store.status(broke, Status.NEEDS_REVIEW, "fast_failed")
    person = signed_in(Role.OPERATIONS)

    page = person.get("/operations/failed").text
    done = person.post("/operations/failed", {"which": "all", "reason": "llm_timeout"})

    assert "private" not in page
    assert "The fast model failed on it." in page
    assert done.status_code == 302
    assert _outbox(engine) == {(timed_out, "llm")}
    row = store.read(timed_out)
    assert (row.status, row.status_reason, row.attempts, row.reruns) == ("escalated", None, 0, 1)
    assert store.read(broke).status == "needs_review"
    assert ("operations.one", "run_again") in _actions(engine)


def test_chosen_messages_go_back_to_the_queue_that_they_came_from(
    signed_in: SignedIn, store: Store, engine: Engine
) -> None:
    flagged = store.message(flags=[{"urgency": Urgency.EMERGENT.value}])
    store.status(flagged, Status.NEEDS_REVIEW, "crashed_worker")
    other = store.message()
    store.status(other, Status.NEEDS_REVIEW, "crashed_worker")

    signed_in(Role.OPERATIONS).post("/operations/failed", {"ids": [str(flagged)]})

    assert _outbox(engine) == {(flagged, "priority")}
    assert store.read(flagged).status == "queued"


def test_what_a_person_has_decided_is_not_run_again(store: Store, engine: Engine) -> None:
    decided = store.labelled()
    reopened = store.message(reviewed_at=datetime.now(UTC))
    store.status(reopened, Status.NEEDS_REVIEW, "llm_timeout")

    with transaction(engine) as connection:
        again = rerun.run_again(connection, "somebody", ids=[decided, reopened, uuid4()])

    assert again == []
    assert store.read(decided).status == "labelled"


def test_a_message_run_again_has_its_time_again(store: Store, engine: Engine) -> None:
    old = store.message(minutes_ago=600)
    store.status(old, Status.NEEDS_REVIEW, "waited_too_long")
    with transaction(engine) as connection:
        rerun.run_again(connection, "somebody")

    swept = sweep(engine, sweep_after_s=120, give_up_after_s=3600)

    assert swept.given_up == ()
    assert store.read(old).status == "queued"


def test_the_sweeper_sends_nothing_to_a_paused_tier(store: Store, engine: Engine) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    fast = store.message(enqueued_at=long_ago)
    llm = store.message(enqueued_at=long_ago, status=Status.ESCALATED)
    with transaction(engine) as connection:
        connection.execute(
            insert(worker_orders).values(target="llm", wanted="paused", actor="somebody")
        )

    swept = sweep(engine, sweep_after_s=120, give_up_after_s=3600)

    assert swept.sent_again == (fast,)
    assert llm not in swept.sent_again


# --- Dead letters ---------------------------------------------------------------------------------


@pytest.fixture
def queue_app(queue_settings: Settings) -> Iterator[Flask]:
    app = create_app(queue_settings)
    yield app
    app.extensions["carelane"].hub.stop()
    app.extensions["carelane"].engine.dispose()


def _bury(settings: Settings, queue: str, body: str, reason: str | None = None) -> None:
    sqs = sqs_client(settings)
    name = f"{settings.queue_prefix}-{queue}-dlq"
    attributes = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"],
        MessageBody=body,
        MessageAttributes=attributes,  # type: ignore[arg-type]  # a TypedDict
    )


def _dead(settings: Settings, lane: Lane) -> int:
    return next(state.dead for state in check_queues(settings) if state.lane is lane)


def test_dead_letters_are_explained_and_what_they_name_is_sent_again(
    queue_app: Flask, queue_settings: Settings, store: Store, engine: Engine
) -> None:
    waiting, settled = store.message(), store.labelled()
    failed = store.message()
    store.status(failed, Status.NEEDS_REVIEW, "crashed_worker")
    envelope = Envelopes(queue_settings).build(Lane.FAST, [waiting, settled, failed])
    _bury(queue_settings, "fast", envelope)
    _bury(queue_settings, "fast", "what is this?")
    add_user(engine, "ops", Role.OPERATIONS)
    person = Person(queue_app, "ops")
    person.sign_in()

    page = text_of(person.get("/operations/dead-letters/fast").text)
    still = _dead(queue_settings, Lane.FAST)
    person.post("/operations/dead-letters/fast", {"what": "again"})
    said = text_of(person.get("/operations/dead-letters/fast").text)

    assert "its task failed, or its worker died, at every delivery" in page
    assert "cannot be read: not a task of Carelane" in page
    assert still == 2  # looking takes nothing away
    assert _outbox(engine) == {(waiting, "fast"), (failed, "fast")}
    assert store.read(settled).status == "labelled"
    assert "1 dead letter settled, 2 messages sent again. 1 cannot be read and stay." in said
    asked = person.post("/operations/dead-letters/fast", {"what": "discard"})
    assert asked.status_code == 400  # without saying that one is sure


def test_a_letter_of_the_intake_queue_shows_no_word_of_it_and_goes_back(
    queue_settings: Settings, engine: Engine
) -> None:
    body = json.dumps({"text": "a private matter"})
    reason = "message 0: `patient_ref` is 'private' [too_long]; message 1: `text` [missing]"
    _bury(queue_settings, "intake", body, reason)

    (letter,) = dead_letters.read(queue_settings, "intake")
    done = dead_letters.run_again(engine, queue_settings, "intake", "somebody")

    assert letter.why == "missing, too long"
    assert "private" not in repr(letter)
    assert (done.letters, done.messages) == (1, 1)
    sqs = sqs_client(queue_settings)
    url = sqs.get_queue_url(QueueName=f"{queue_settings.queue_prefix}-intake")["QueueUrl"]
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"][0]["Body"] == body


def test_the_commands_do_what_the_page_does(
    queue_settings: Settings, store: Store, engine: Engine, worker: str
) -> None:
    failed = store.message()
    store.status(failed, Status.NEEDS_REVIEW, "fast_failed")
    _bury(queue_settings, "llm", "nonsense")
    runner = CliRunner(env=environment(replace(queue_settings)))

    def run(command: object, *arguments: str) -> str:
        done = runner.invoke(command, arguments, catch_exceptions=False)  # type: ignore[arg-type]
        assert done.exit_code == 0, done.output
        return done.output

    assert "fast_failed" in run(operations_cli.rerun_command)
    assert "1 message(s) run again" in run(operations_cli.rerun_command, "--all")
    run(operations_cli.workers, "pause", "fast")
    listed = run(operations_cli.workers, "list")
    run(operations_cli.workers, "resume", "fast")
    letters = run(operations_cli.dead_letters_command, "list")
    run(operations_cli.dead_letters_command, "discard", "llm", "--yes")

    assert "fast: paused since" in listed
    assert f"3 in hand  heartbeat 0 s ago  {worker}" in listed
    assert "llm: 1" in letters
    assert "cannot be read" in letters
    assert _dead(queue_settings, Lane.LLM) == 0
    assert _outbox(engine) == {(failed, "fast")}
    assert {actor for actor, _ in _actions(engine)} == {"command line"}


def test_an_envelope_is_read_or_refused_whatever_it_holds() -> None:
    wrong = base64.b64encode(json.dumps({"headers": {"task": "x"}, "body": "e30="}).encode())

    for body in ("", "%%%", wrong.decode(), base64.b64encode(b"[]").decode()):
        assert dead_letters.open_envelope(body)[0] == ()


def test_the_schema_refuses_an_order_that_workers_do_not_know(engine: Engine) -> None:
    with pytest.raises(Exception, match="ck_worker_orders_wanted"), transaction(engine) as c:
        c.execute(text("INSERT INTO worker_orders VALUES ('fast', 'jump', 'x', now())"))
