"""FHIR R4 over HTTP and the real Postgres, there and back again with real-looking resources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.communication import Communication
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.task import Task
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from shared.ids import new_message_id
from shared.settings import Settings
from tests.integration.intake_parts import change, new_key, open_app, outbox, rows

pytestmark = pytest.mark.integration

_START = (
    b'{"resourceType": "Communication", "status": "completed", "identifier": [{"value": "a"}], '
)
_EXAMPLES = Path(__file__).parent / "fhir_examples"


def _example(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((_EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return read


class _Ehr:
    """A FHIR client with a key."""

    def __init__(self, app: Flask, key: str) -> None:
        self._browser = app.test_client()
        self._headers = {"Authorization": f"Bearer {key}"}

    def create(self, resource: object) -> TestResponse:
        body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
        return self._browser.post(
            "/fhir/Communication",
            data=body,
            content_type="application/fhir+json; fhirVersion=4.0",
            headers=self._headers,
        )

    def get(self, path: str) -> TestResponse:
        return self._browser.get(f"/fhir/{path}", headers=self._headers)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    with open_app(settings) as made:
        yield made


@pytest.fixture
def ehr(app: Flask, engine: Engine, settings: Settings) -> _Ehr:
    return _Ehr(app, new_key(engine, settings))


def _label(engine: Engine, message_id: str) -> None:
    change(
        engine,
        """
        WITH made AS (
            INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version)
            VALUES (:id, '{refill,medication}', 'urgent', 'fast', '1') RETURNING id
        )
        UPDATE messages SET status = 'labelled', current_label_id = made.id, urgency_rank = 1,
                            settled_at = now() FROM made
        """,
        id=message_id,
    )


def test_a_portal_message_goes_in_and_comes_out_with_its_label_and_task(
    ehr: _Ehr, engine: Engine
) -> None:
    sent = _example("portal_message")

    created = ehr.create(sent)
    message_id = created.json["id"]
    waiting = ehr.get(f"Communication/{message_id}").json
    no_task = ehr.get(f"Task/{message_id}")
    _label(engine, message_id)
    labelled = ehr.get(f"Communication/{message_id}").json
    task = ehr.get(f"Task/{message_id}").json

    assert created.status_code == 201
    assert created.content_type == "application/fhir+json"
    assert created.headers["Location"].endswith(f"/fhir/Communication/{message_id}")
    for each in (created.json, waiting, labelled):
        Communication.model_validate(each)
        assert each["identifier"][0]["value"] == sent["identifier"][0]["value"]
        assert each["identifier"][0]["system"] == sent["identifier"][0]["system"]
        assert each["subject"] == {"reference": sent["subject"]["reference"]}
        assert sent["payload"][0]["contentString"] in each["payload"][0]["contentString"]
    assert "category" not in waiting
    assert no_task.status_code == 404
    assert [c["coding"][0]["code"] for c in labelled["category"]] == ["refill", "medication"]
    assert labelled["priority"] == "urgent"
    Task.model_validate(task)
    assert task["performerType"][0]["coding"][0]["code"] == "pharmacist"
    assert task["priority"] == "urgent"
    found = ehr.get(f"Task?focus=Communication/{message_id}").json
    Bundle.model_validate(found)
    assert [entry["resource"] for entry in found["entry"]] == [task]


def test_names_and_record_numbers_of_a_resource_are_not_stored(ehr: _Ehr, engine: Engine) -> None:
    ehr.create(_example("caregiver_message"))

    (row,) = rows(engine, "SELECT * FROM messages")
    stored = str(dict(row._mapping))  # noqa: SLF001  the whole row
    assert row.text.startswith("My mother has chest pain")
    assert row.sender == "caregiver"
    for hidden in ("00441327", "Flores", "Ana", "Luis"):
        assert hidden not in stored


def test_danger_gives_the_highest_priority_while_it_is_processing(
    ehr: _Ehr, engine: Engine
) -> None:
    created = ehr.create(_example("caregiver_message")).json

    assert created["priority"] == "stat"
    assert set(outbox(engine).values()) == {"priority"}


def test_the_same_communication_again_is_the_same_and_another_under_its_id_is_refused(
    ehr: _Ehr, engine: Engine
) -> None:
    sent = _example("portal_message")
    first = ehr.create(sent)

    again = ehr.create(sent)
    other = ehr.create({**sent, "payload": [{"contentString": "Something else"}]})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json["id"] == first.json["id"]
    OperationOutcome.model_validate(other.json)
    assert other.json["issue"][0]["code"] == "duplicate"
    assert len(rows(engine, "SELECT 1 FROM messages")) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"<Communication/>", 400),
        (b"[" * 50_000, 400),
        (b"[]", 422),
        (b'{"resourceType": "Patient"}', 422),
        (b'{"resourceType": "Communication", "status": "completed"}', 422),
        (_START + b'"payload": [{"contentString": "caf\xe9"}]}', 422),
        (_START + b'"payload": [{"contentString": " "}]}', 422),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_gets_an_operation_outcome(
    ehr: _Ehr, engine: Engine, body: bytes, status: int
) -> None:
    answer = ehr.create(body)

    assert answer.status_code == status
    assert answer.content_type == "application/fhir+json"
    OperationOutcome.model_validate(answer.json)
    assert rows(engine, "SELECT 1 FROM messages") == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(f"Communication/{new_message_id()}", 404, id="a-message-that-never-came"),
        ("Communication/not-an-id", 404),
        ("Patient/1", 404),
        ("Task", 400),
        ("Task?focus=x&status=requested", 400),
        ("", 404),
    ],
)
def test_what_is_not_there_is_said_as_an_operation_outcome(
    ehr: _Ehr, path: str, status: int
) -> None:
    answer = ehr.get(path)

    assert answer.status_code == status
    OperationOutcome.model_validate(answer.json)


def test_a_source_sees_its_own_resources_only(
    app: Flask, ehr: _Ehr, engine: Engine, settings: Settings
) -> None:
    stranger = _Ehr(app, new_key(engine, settings, "other-clinic"))
    message_id = ehr.create(_example("portal_message")).json["id"]
    _label(engine, message_id)

    assert stranger.get(f"Communication/{message_id}").status_code == 404
    assert stranger.get(f"Task/{message_id}").status_code == 404
    assert stranger.get(f"Task?focus=Communication/{message_id}").json["total"] == 0
    assert ehr.get(f"Task?focus=Communication/{message_id}").json["total"] == 1


def test_without_a_key_only_the_capability_statement_is_there(app: Flask) -> None:
    browser = app.test_client()

    metadata = browser.get("/fhir/metadata")
    refused = browser.get(f"/fhir/Communication/{new_message_id()}")

    CapabilityStatement.model_validate(metadata.json)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    OperationOutcome.model_validate(refused.json)


def test_limits_hold_here_too(settings: Settings, engine: Engine) -> None:
    small = replace(settings, max_messages_per_minute=1, max_batch_messages=1, max_body_bytes=3_000)
    with open_app(small) as app:
        ehr = _Ehr(app, new_key(engine, settings))
        first = ehr.create(_example("portal_message"))
        second = ehr.create(_example("caregiver_message"))
        large = ehr.create({**_example("caregiver_message"), "note": [{"text": "x" * 5_000}]})

    assert [each.status_code for each in (first, second, large)] == [201, 429, 413]
    assert int(second.headers["Retry-After"]) >= 1
    assert second.json["issue"][0]["code"] == "throttled"


def test_a_database_that_is_away_is_transient(settings: Settings) -> None:
    with open_app(replace(settings, database_url="postgresql://nobody@127.0.0.1:1/x")) as app:
        answer = _Ehr(app, "clk_any").create(_example("portal_message"))

    assert answer.status_code == 503
    assert answer.json["issue"][0]["code"] == "transient"
    assert answer.headers["Retry-After"]
