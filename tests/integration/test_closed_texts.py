"""Texts under a key that is not given: each is left alone and counted, and nothing else waits."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from producer.intake import Intake
from producer.intake_queue import IntakeQueue
from producer.validation import Limits
from shared.contracts import Status, Tier, intake_dead_letter_queue_name, intake_queue_name
from shared.database import transaction
from shared.errors import SettingsError
from shared.queues import sqs_client
from shared.settings import Settings
from shared.tables import audit_log, explanations, label_checks
from tests.dashboard_pages import Store
from tests.integration.intake_parts import SOURCE, ChestPain, Portal, change, open_app, rows
from tests.integration.intake_parts import new_key as api_key
from tests.integration.test_sealed_text import (
    CANARY,
    NEW,
    OLD,
    TEXT,
    command,
    engine_of,
    hand_in,
    somebody,
    with_keys,
)
from tests.services import environment, eventually
from training.corrections import export
from workers import fences
from workers.checks import Checker
from workers.deid import Deidentifier
from workers.doctor import examine
from workers.doctor.finding import Health
from workers.llm_tier.tier import Request
from workers.retention.cli import retention
from workers.text_key_check import check_text_keys

pytestmark = pytest.mark.integration


@pytest.fixture
def sealed(settings: Settings) -> Settings:
    return with_keys(settings, NEW)


def hand_in_closed(settings: Settings, external_id: str = "lost") -> UUID:
    return hand_in(with_keys(settings, OLD), external_id)


def external_ids(engine: Engine) -> set[str]:
    return {row.external_id for row in rows(engine, "SELECT external_id FROM messages")}


def test_a_repeat_of_a_closed_message_is_refused_alone_and_the_others_are_kept(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    hand_in_closed(settings)
    again, fresh = {"external_id": "lost", "text": TEXT}, {"external_id": "a", "text": "a rash"}
    with open_app(sealed) as app:
        portal = Portal(app, api_key(engine, settings))
        both, alone = portal.post({"messages": [again, fresh]}), portal.post(again)

    assert both.status_code == 202
    assert both.json is not None
    assert [each["reason"] for each in both.json["errors"]] == ["not_comparable"]
    assert external_ids(engine) == {"lost", "a"}
    assert alone.status_code == 409
    assert "cannot be compared with what was kept before" in alone.text


def test_a_letter_that_repeats_a_closed_message_does_not_hold_up_the_queue(
    queue_settings: Settings, engine: Engine
) -> None:
    hand_in_closed(queue_settings)
    sqs = sqs_client(queue_settings)
    name = intake_queue_name(queue_settings.queue_prefix)
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    for external_id in ("lost", "a"):
        body = json.dumps({"external_id": external_id, "text": TEXT})
        sqs.send_message(QueueUrl=url, MessageBody=body)
    stop = threading.Event()
    stop.set()  # whoever would hold on to a letter puts it back instead

    with engine_of(with_keys(queue_settings, NEW)) as ours:
        limits = Limits(text_chars=1_000, messages=100)
        queue = IntakeQueue(sqs, name, SOURCE, Intake(ours, ChestPain()), limits, wait_s=0)
        for _ in range(20):
            queue.step(stop)

    assert external_ids(engine) == {"lost", "a"}
    dead = sqs.get_queue_url(QueueName=intake_dead_letter_queue_name(queue_settings.queue_prefix))
    (letter,) = sqs.receive_message(
        QueueUrl=dead["QueueUrl"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )["Messages"]
    assert json.loads(letter["Body"])["external_id"] == "lost"
    assert "cannot be compared" in letter["MessageAttributes"]["reason"]["StringValue"]


def test_who_asks_for_a_closed_message_over_fhir_is_told_that_it_is_kept_and_closed(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    id_ = hand_in_closed(settings)
    bearer = {"Authorization": f"Bearer {api_key(engine, settings)}"}
    with open_app(sealed) as app:
        answer = app.test_client().get(f"/fhir/Communication/{id_}", headers=bearer)

    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["resourceType"] == "OperationOutcome"
    assert "The message is kept" in answer.text
    assert "Retry-After" not in answer.headers


def test_a_text_whose_message_went_on_between_look_and_lock_is_left_and_said(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    id_ = hand_in(settings, "busy")
    Store(engine).status(id_, Status.NEEDS_REVIEW)
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        run_again = text("UPDATE messages SET status = 'queued' WHERE id = :id")
        other.execute(run_again, {"id": id_})
        resealing = pool.submit(command, sealed, "reseal")
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'held'"
        eventually(lambda: rows(engine, waits), what="reseal waits for the message")
        other.commit()
        done = resealing.result()

    assert done.exit_code == 1
    assert "0 texts were rewritten; 1 changed meanwhile" in done.output
    assert "nothing is left" not in done.output


def test_an_export_leaves_closed_messages_in_place_and_takes_each_other_one_once(
    settings: Settings, sealed: Settings, engine: Engine, tmp_path: Path
) -> None:
    ids = [hand_in(sealed, "before"), *(hand_in_closed(settings, f"lost-{n}") for n in range(3))]
    ids.append(hand_in(sealed, "after"))
    for days, id_ in zip(range(405, 400, -1), ids, strict=True):
        Store(engine).status(id_, Status.DONE)
        old = "UPDATE messages SET received_at = now() - :days * interval '1 day' WHERE id = :id"
        change(engine, old, id=id_, days=days)
    Store(engine).add(
        audit_log, actor="x", action="signed_in", created_at=datetime(2020, 1, 1, tzinfo=UTC)
    )
    file = tmp_path / "kept.jsonl"
    env = environment(sealed, CARELANE_KEEP_MESSAGES_DAYS="365", CARELANE_KEEP_AUDIT_DAYS="365")

    done = [
        CliRunner().invoke(retention, ["--export", str(file), "--batch", batch], env=env)
        for batch in ("2", "5")
    ]

    assert [each.exit_code for each in done] == [0, 0], done[0].output
    assert "messages: 2 removed, exported 2" in done[0].output
    assert "audit: 1 removed" in done[0].output
    assert all("messages: 3 stay" in each.output for each in done)
    assert external_ids(engine) == {"lost-0", "lost-1", "lost-2"}
    assert len(file.read_text().splitlines()) == 2


def test_corrections_are_exported_without_the_closed_ones_and_that_is_said(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    for id_ in (hand_in_closed(settings), hand_in(sealed, "a")):
        Store(engine).label(id_, tier=Tier.HUMAN, author="ada")

    done = CliRunner().invoke(export, ["corrections"], env=environment(sealed))

    assert done.exit_code == 0, done.output
    assert [json.loads(line)["categories"] for line in done.stdout.splitlines()] == [["refill"]]
    assert "1 rows written" in done.stderr
    assert "1 left out: their texts open with no key given here" in done.stderr


def test_a_text_in_clear_that_looks_sealed_is_no_key_to_the_doctor_or_to_a_worker(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    hand_in(sealed, "before")
    id_ = hand_in(settings, "clear")
    change(engine, "UPDATE messages SET text = 'sealed:1: my chest hurts' WHERE id = :id", id=id_)

    said = [each.what for each in examine(environment(sealed), quick=True) if each.area == "texts"]

    assert "1 lie in clear" in said[0]
    assert "chest" not in "".join(said)
    check_text_keys(sealed, "fast")
    with pytest.raises(SettingsError, match="'new'"):
        check_text_keys(settings, "fast")


def test_the_page_of_a_closed_message_marks_nothing_in_what_stands_for_its_text(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    lost = with_keys(settings, OLD)
    with engine_of(lost) as ours:
        flag = {"rule": "pain", "title": "Pain", "urgency": "urgent", "start": 1, "end": 9}
        id_ = Store(ours).message(TEXT, flags=[flag])
    label_id = Store(engine).label(id_)
    result = {"category": "refill", "urgency": "routine", "words": [[11, 20, 1.0, 0.0]]}
    about = {"message_id": id_, "kind": "words", "label_id": label_id, "asked_by": "ada"}
    Store(engine).add(explanations, **about, outcome="ok", result=result, model_version="m")

    with somebody(lost) as ada:
        there = ada.get(f"/messages/{id_}").text
    with somebody(sealed, "bob") as bob:
        closed = bob.get(f"/messages/{id_}").text

    assert there.count("<mark") >= 3  # the flag's words, those that carried, and what marks mean
    assert "carried-category" in there
    assert "cannot be shown here" in closed
    assert "<mark" not in closed
    assert "No few words alone" not in closed


def test_the_doctor_says_what_it_could_not_look_at(settings: Settings, engine: Engine) -> None:
    change(engine, "ALTER TABLE llm_exchanges RENAME TO gone")
    try:
        found = list(examine(environment(with_keys(settings, NEW)), quick=True))
    finally:
        change(engine, "ALTER TABLE gone RENAME TO llm_exchanges")

    (said,) = [each for each in found if "not looked at" in each.what]
    assert said.health is Health.WARNING
    assert "llm_exchanges" in said.what


class Listens:
    """A batcher that answers nothing."""

    idle = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, request: Request) -> None:
        self.asked += [each.text for each in request.questions]


def test_a_check_of_a_closed_message_is_dropped_and_the_others_are_asked_about(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    closed, ours = hand_in_closed(settings), hand_in(sealed, "a")
    for id_ in (closed, ours):
        said = {"category": "refill", "urgency": "routine", "model_version": "m"}
        Store(engine).add(label_checks, message_id=id_, **said)
    batcher: Any = Listens()

    with engine_of(sealed) as connected:
        masker = Deidentifier.load(settings.deid_bundle_path, 2_000)
        Checker(connected, batcher, masker).round()

    (asked,) = batcher.asked
    assert CANARY in asked
    assert [row.message_id for row in rows(engine, "SELECT message_id FROM label_checks")] == [ours]


def test_no_fence_is_left_around_a_closed_message(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    ids = []
    for each in (with_keys(settings, OLD), sealed):
        with engine_of(each) as theirs:
            flag = {"rule": "r", "title": "t", "urgency": "urgent", "start": 0, "end": 1}
            ids.append(Store(theirs).message(TEXT, flags=[flag]))

    with engine_of(sealed) as connected, transaction(connected) as connection:
        taken = fences.take(connection, ids, "me", 60)

    assert taken == {ids[1]: TEXT}
    assert [row.message_id for row in rows(engine, "SELECT * FROM speculations")] == [ids[1]]
