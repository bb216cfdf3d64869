"""The intake over HTTP against the real Postgres: what is accepted is committed, once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine

from producer.keys import list_keys, revoke_key
from shared.contracts import CHANNEL_MESSAGES, CHANNEL_OUTBOX
from shared.database import transaction
from shared.ids import new_message_id
from shared.notify import Listener, Notification
from shared.settings import Settings
from tests.integration.intake_parts import Portal, change, new_key, open_app, outbox, rows
from tests.services import eventually

pytestmark = pytest.mark.integration

ONE = {"external_id": "m-1", "text": "Please refill my lisinopril", "patient_ref": "p-1"}


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    with open_app(replace(settings, max_batch_messages=50, max_text_chars=1_000)) as made:
        yield made


@pytest.fixture
def portal(app: Flask, engine: Engine, settings: Settings) -> Portal:
    return Portal(app, new_key(engine, settings))


def test_an_accepted_message_is_committed_and_waits_in_the_outbox(
    portal: Portal, engine: Engine
) -> None:
    answer = portal.post(ONE)

    assert answer.status_code == 202
    (taken,) = answer.json["messages"]
    (row,) = rows(engine, "SELECT * FROM messages")
    assert (str(row.id), row.source, row.status, row.text, row.patient_ref, row.urgency_rank) == (
        taken["id"], "city-clinic", "queued", ONE["text"], "p-1", 2,
    )  # fmt: skip
    assert outbox(engine) == {row.id: "fast"}


def test_the_same_message_again_changes_nothing_and_gets_the_same_id(
    portal: Portal, engine: Engine
) -> None:
    first = portal.post(ONE).json["messages"][0]["id"]

    again = portal.post(ONE)

    assert again.status_code == 200
    assert again.json["messages"] == [
        {"index": 0, "external_id": "m-1", "id": first, "outcome": "duplicate"}
    ]
    assert len(rows(engine, "SELECT 1 FROM messages")) == 1
    assert len(rows(engine, "SELECT 1 FROM outbox")) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"text": "something else"}, "text"), ({"patient_ref": "p-2"}, "patient_ref")],
)
def test_an_id_used_again_for_something_else_is_refused_and_the_first_stands(
    portal: Portal, engine: Engine, changed: dict[str, str], field: str
) -> None:
    portal.post(ONE)

    answer = portal.post({**ONE, **changed})

    assert answer.status_code == 409
    assert answer.content_type == "application/problem+json"
    (error,) = answer.json["errors"]
    assert (error["reason"], error["field"]) == ("conflict", "external_id")
    assert f"`{field}`" in error["detail"]
    assert [row.text for row in rows(engine, "SELECT text FROM messages")] == [ONE["text"]]


def test_the_good_messages_of_a_call_are_kept_and_the_bad_ones_named(
    portal: Portal, engine: Engine
) -> None:
    portal.post({**ONE, "external_id": "old"})
    batch = [
        {"external_id": "a", "text": "one"},
        {"external_id": "b", "text": ""},
        {**ONE, "external_id": "old"},
        {"external_id": "a", "text": "one"},  # twice in one call
        {"external_id": "a", "text": "not the same"},
        {"external_id": "c", "text": "x" * 1_001},
        7,
    ]

    answer = portal.post({"messages": batch})

    assert answer.status_code == 202
    body = answer.json
    assert (body["accepted"], body["duplicates"], body["refused"]) == (1, 2, 4)
    assert [(m["index"], m["outcome"]) for m in body["messages"]] == [
        (0, "accepted"), (2, "duplicate"), (3, "duplicate"),
    ]  # fmt: skip
    assert body["messages"][0]["id"] == body["messages"][2]["id"]
    assert [(e["index"], e["field"], e["reason"]) for e in body["errors"]] == [
        (1, "text", "empty"),
        (4, "external_id", "conflict"),
        (5, "text", "too_long"),
        (6, None, "not_an_object"),
    ]
    assert len(rows(engine, "SELECT 1 FROM messages")) == 2


def test_a_call_in_which_nothing_is_good_keeps_nothing(portal: Portal, engine: Engine) -> None:
    answer = portal.post({"messages": [{"external_id": "a", "text": " "}, {"text": "x"}]})

    assert answer.status_code == 422
    assert [error["index"] for error in answer.json["errors"]] == [0, 1]
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_too_many_messages_or_bytes_are_refused_as_a_whole(
    settings: Settings, engine: Engine
) -> None:
    small = replace(settings, max_batch_messages=3, max_body_bytes=5_000)
    with open_app(small) as app:
        portal = Portal(app, new_key(engine, settings))
        many = portal.post({"messages": [{"external_id": str(n), "text": "x"} for n in range(4)]})
        large = portal.post({"external_id": "a", "text": "x" * 6_000})

    assert (many.status_code, many.json["type"]) == (413, "urn:carelane:problem:too_many_messages")
    assert "at most 3" in many.json["detail"]
    assert (large.status_code, large.json["type"]) == (413, "urn:carelane:problem:too_large")
    assert "5,000 bytes" in large.json["detail"]
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_wild_text_is_stored_and_counted_as_the_same_again(portal: Portal, engine: Engine) -> None:
    wild = "\u202eabc\u202c <script>alert(1)</script> %s :x '; -- \\ 👩🏽‍⚕️ \r\n\x07"

    first = portal.post({"external_id": "w", "text": wild})
    again = portal.post({"external_id": "w", "text": wild})

    assert (first.status_code, again.status_code) == (202, 200)
    assert rows(engine, "SELECT text FROM messages")[0].text == wild


@pytest.mark.parametrize(
    ("text", "lane", "rank"),
    [("chest pain since an hour", "priority", 0), ("a rash", "priority", 1), ("hi", "fast", 2)],
)
def test_a_red_flag_sets_urgency_and_lane_before_any_queue(
    portal: Portal, engine: Engine, text: str, lane: str, rank: int
) -> None:
    portal.post({"external_id": "m", "text": text})

    (row,) = rows(engine, "SELECT id, red_flags, urgency_rank FROM messages")
    assert row.urgency_rank == rank
    assert outbox(engine) == {row.id: lane}
    assert bool(row.red_flags) == (lane == "priority")


def test_calls_with_the_same_ids_at_the_same_time_keep_each_message_once(
    portal: Portal, engine: Engine
) -> None:
    batch = [{"external_id": f"m-{n}", "text": f"text {n}"} for n in range(50)]

    with ThreadPoolExecutor(6) as pool:
        orders = [batch, batch[::-1]] * 6
        answers = list(pool.map(lambda rows: portal.post({"messages": rows}), orders))

    assert {answer.status_code for answer in answers} <= {200, 202}
    assert sum(answer.json["accepted"] for answer in answers) == 50
    ids = {m["external_id"]: m["id"] for m in answers[0].json["messages"]}
    for answer in answers:
        assert {m["external_id"]: m["id"] for m in answer.json["messages"]} == ids
    assert len(rows(engine, "SELECT 1 FROM outbox")) == 50


def test_relays_and_dashboards_hear_of_a_commit(portal: Portal, settings: Settings) -> None:
    listener = Listener(settings, "test", CHANNEL_OUTBOX, CHANNEL_MESSAGES)
    listener.connect()
    heard: list[Notification] = []

    answer = portal.post({"messages": [{"external_id": f"{n}", "text": "x"} for n in range(40)]})

    def told() -> set[str]:
        heard.extend(listener.wait(0.2))
        payloads = [n.payload for n in heard if n.channel == CHANNEL_MESSAGES]
        return {each for payload in payloads for each in json.loads(payload)["ids"]}

    ids = {message["id"] for message in answer.json["messages"]}
    eventually(lambda: told() == ids, what="every new id on the dashboards' channel")
    listener.close()
    assert CHANNEL_OUTBOX in {notification.channel for notification in heard}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer clk_wrong"},
        {"Authorization": "Basic Y2FyZTpsYW5l"},
        {"Authorization": "Bearer \xff\xfe"},
    ],
)
def test_without_a_valid_key_nothing_is_taken(
    portal: Portal, engine: Engine, headers: dict[str, str]
) -> None:
    answer = portal.post(ONE, **headers)

    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_a_revoked_key_is_refused_at_once(portal: Portal, engine: Engine) -> None:
    assert portal.post(ONE).status_code == 202

    with transaction(engine) as connection:
        (record,) = list_keys(connection)
        revoke_key(connection, record.id)

    assert portal.post(ONE).status_code == 401


def test_keys_are_not_stored(portal: Portal, engine: Engine) -> None:
    (row,) = rows(engine, "SELECT * FROM api_keys")

    assert portal.key not in str(row)
    assert len(row.key_hash) == 64


def test_the_status_follows_the_message_in_words_for_patients(
    portal: Portal, engine: Engine
) -> None:
    message_id = portal.post(ONE).json["messages"][0]["id"]
    waiting = portal.status(message_id).json

    change(
        engine,
        """
        WITH made AS (
            INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version)
            VALUES (:id, '{refill,medication}', 'routine', 'fast', '1') RETURNING id
        )
        UPDATE messages SET status = 'labelled', current_label_id = made.id FROM made
        """,
        id=message_id,
    )
    labelled = portal.status(message_id).json

    assert (waiting["processing"], waiting["label"], waiting["pool"]) == (True, None, None)
    assert waiting["patient_text"] == "Response received, processing…"
    assert labelled["processing"] is False
    assert labelled["patient_text"] == "Received. Your care team has it."
    assert labelled["pool"] == {"name": "pharmacist", "title": "Pharmacists"}
    assert labelled["label"] == {
        "categories": ["refill", "medication"], "urgency": "routine", "provisional": False,
    }  # fmt: skip


def test_an_emergency_is_said_while_the_message_is_still_processing(portal: Portal) -> None:
    answer = portal.post({"external_id": "e", "text": "chest pain, sweating"})
    standing = portal.status(answer.json["messages"][0]["id"]).json

    assert standing["processing"] is True
    assert "911" in standing["emergency_text"]


def test_a_source_sees_its_own_messages_only(
    app: Flask, portal: Portal, engine: Engine, settings: Settings
) -> None:
    stranger = Portal(app, new_key(engine, settings, "other-clinic"))
    message_id = portal.post(ONE).json["messages"][0]["id"]

    assert portal.status(message_id).status_code == 200
    assert stranger.status(message_id).status_code == 404
    assert portal.status(new_message_id()).status_code == 404
    assert portal.status("not-an-id").status_code == 404
    assert stranger.post(ONE).status_code == 202, "external ids are each source's own"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/v1/messages", 405), ("GET", "/portal/", 404)],
)
def test_every_error_is_a_problem(app: Flask, method: str, path: str, status: int) -> None:
    answer = app.test_client().open(path, method=method)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]


def test_another_content_type_is_refused(portal: Portal) -> None:
    answer = portal.app.test_client().post(
        "/v1/messages", data="text=x", headers={"Authorization": f"Bearer {portal.key}"}
    )

    assert answer.status_code == 415


def test_a_database_that_is_away_is_said_with_a_time_to_come_back(settings: Settings) -> None:
    away = replace(settings, database_url="postgresql://nobody@127.0.0.1:1/none")
    with open_app(away) as app:
        answer = Portal(app, "clk_any").post(ONE)
        ready = app.test_client().get("/readyz")
        healthy = app.test_client().get("/healthz")

    assert (answer.status_code, ready.status_code, healthy.status_code) == (503, 503, 200)
    assert int(answer.headers["Retry-After"]) >= 1
    assert "not kept" in answer.json["detail"]


def test_readiness_needs_the_schema_that_this_code_expects(app: Flask, engine: Engine) -> None:
    assert app.test_client().get("/readyz").status_code == 200

    change(engine, "UPDATE alembic_version SET version_num = '0000'")

    assert app.test_client().get("/readyz").status_code == 503


def test_the_document_is_served_for_machines_and_for_people(app: Flask) -> None:
    browser = app.test_client()

    machines, people = browser.get("/openapi.json"), browser.get("/docs")

    assert machines.json["openapi"] == "3.1.0"
    assert people.status_code == 200
    assert "<script" not in people.text
    for path in machines.json["paths"]:
        assert path in people.text
    anchors = set(re.findall(r'id="([^"]+)"', people.text))
    assert set(re.findall(r'href="#([^"]+)"', people.text)) <= anchors


def test_a_large_call_that_is_partly_known_keeps_what_is_new_once(
    settings: Settings, engine: Engine
) -> None:
    batch = [{"external_id": f"m-{n}", "text": f"message {n}"} for n in range(150)]
    with open_app(settings) as app:
        portal = Portal(app, new_key(engine, settings))
        portal.post({"messages": batch[:100]})
        changed = [{**batch[0], "text": "other words"}, {"external_id": "e", "text": "chest pain"}]
        twice = batch[-1]
        answer = portal.post({"messages": [*batch, *changed, twice]})

    body = answer.json
    assert (body["accepted"], body["duplicates"], body["refused"]) == (51, 101, 1)
    assert [each["index"] for each in body["errors"]] == [150]
    assert len(outbox(engine)) == 151
    assert list(outbox(engine).values()).count("priority") == 1


def test_ten_thousand_messages_go_in_with_one_call(settings: Settings, engine: Engine) -> None:
    batch = [{"external_id": f"m-{n}", "text": f"message {n}"} for n in range(10_000)]
    with open_app(settings) as app:
        portal = Portal(app, new_key(engine, settings))
        answer = portal.post({"messages": batch})
        again = portal.post({"messages": batch})

    assert (answer.json["accepted"], again.json["duplicates"]) == (10_000, 10_000)
    assert len(outbox(engine)) == 10_000
    assert len({UUID(message["id"]) for message in answer.json["messages"]}) == 10_000
