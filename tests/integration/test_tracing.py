"""One message, one trace: from the portal's call over SQS and two workers to the dashboard's line.

And the same way in the logs, by the message's id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from dashboard.app import create_app as create_dashboard
from dashboard.trace import command
from producer import keys
from producer.app import create_app as create_intake
from producer.publisher import SqsPublisher
from producer.relay import relay_lane
from shared import tracing
from shared.contracts import Lane
from shared.database import transaction
from shared.queues import sqs_client
from shared.settings import Settings
from tests.otlp_receiver import Receiver, SeenSpan, receiver
from tests.services import environment, eventually
from tests.worker_process import SURE, UNSURE
from tests.worker_stack import Clinic, Workers

pytestmark = pytest.mark.integration

#: As a portal that traces by itself sends it.
PORTAL_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PORTAL_PARENT = f"00-{PORTAL_TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
        tracing.stop()


@pytest.fixture
def traced(stack_settings: Settings, collector: Receiver) -> Settings:
    return replace(
        stack_settings,
        otlp_endpoint=collector.endpoint,
        secret_key="s" * 32,
        hmac_key="h" * 32,
    )


def _hand_in(settings: Settings, engine: Engine, *texts: str, **headers: str) -> list[UUID]:
    """What a portal does."""
    with transaction(engine) as connection:
        key = keys.add_key(connection, "clinic", settings.require("hmac_key"))
    app = create_intake(settings)
    answer = app.test_client().post(
        "/v1/messages",
        json={"messages": [{"external_id": str(uuid4()), "text": text} for text in texts]},
        headers={"Authorization": f"Bearer {key}", **headers},
    )
    assert answer.status_code == 202, answer.text
    return [UUID(each["id"]) for each in answer.get_json()["messages"]]


def _relay(settings: Settings, engine: Engine, lane: Lane) -> int:
    return relay_lane(engine, SqsPublisher(sqs_client(settings), settings), lane).sent


def test_one_trace_from_the_portal_over_sqs_to_the_dashboard(
    traced: Settings, engine: Engine, collector: Receiver, tmp_path: Path
) -> None:
    workers, clinic = Workers(traced, tmp_path), Clinic(engine, traced)
    dashboard = create_dashboard(traced)
    hub = dashboard.extensions["carelane"].hub
    try:
        workers.start("fast", wait=False)
        workers.start("llm", wait=False)
        both = workers.log(0), workers.log(1)
        eventually(
            lambda: all("ready." in log.read_text() for log in both),
            what="both workers are ready",
            timeout_s=90,
        )
        assert hub.connected.wait(10)
        (message_id,) = _hand_in(traced, engine, f"{UNSURE} my refill", traceparent=PORTAL_PARENT)
        _relay(traced, engine, Lane.FAST)
        eventually(lambda: _relay(traced, engine, Lane.LLM), what="the fast worker passed it on")
        eventually(clinic.all_are([message_id], "labelled"), what="labelled by the LLM")

        def spans() -> dict[str, SeenSpan]:
            return {
                f"{each.process} {each.name} {each.attributes.get('status', '')}".strip(): each
                for each in list(collector.spans)
            }

        wanted = {
            "carelane-dashboard intake",
            "carelane-worker-fast fast worker escalated",
            "carelane-worker-fast small model",
            "carelane-worker-llm llm worker labelled",
            "carelane-worker-llm llm call",
            "carelane-dashboard relay",
            "carelane-dashboard dashboard line labelled",
        }
        eventually(lambda: wanted <= set(spans()), what="all spans")
        found = spans()
    finally:
        hub.stop()
        dashboard.extensions["carelane"].engine.dispose()
        workers.stop()

    assert {span.trace_id for span in collector.spans} == {PORTAL_TRACE}
    door = found["carelane-dashboard intake"]
    worker = found["carelane-worker-fast fast worker escalated"]
    assert door.parent_id == PORTAL_PARENT.split("-")[2]
    assert worker.parent_id == door.span_id
    assert found["carelane-worker-fast small model"].parent_id == worker.span_id
    assert worker.attributes["message_id"] == str(message_id)
    assert "refill" not in repr([span.attributes for span in collector.spans])


def test_bulk_calls_are_not_traced_message_by_message(
    traced: Settings, engine: Engine, clinic_rows: Clinic
) -> None:
    ids = _hand_in(traced, engine, *["refill"] * (tracing.MOST_TRACED + 1))

    assert {row.trace_parent for row in clinic_rows.rows(ids)} == {None}


def test_a_caller_that_does_not_sample_is_left_alone(
    traced: Settings, engine: Engine, clinic_rows: Clinic
) -> None:
    unsampled = PORTAL_PARENT[:-2] + "00"
    (message_id,) = _hand_in(traced, engine, "refill", traceparent=unsampled)
    (other,) = _hand_in(traced, engine, "refill", traceparent="nonsense")

    assert clinic_rows.rows([message_id])[0].trace_parent is None
    assert clinic_rows.rows([other])[0].trace_parent is not None  # a trace of its own


@pytest.fixture
def clinic_rows(engine: Engine, stack_settings: Settings) -> Clinic:
    return Clinic(engine, stack_settings)


def test_the_way_of_a_message_is_told_from_postgres_and_from_logs(
    stack_settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    settings = replace(stack_settings, hmac_key="h" * 32)
    workers, clinic = Workers(settings, tmp_path), Clinic(engine, settings)
    try:
        workers.start("fast")
        sure, other = _hand_in(settings, engine, f"{SURE} private one", f"{SURE} private two")
        _relay(settings, engine, Lane.FAST)
        eventually(clinic.all_are([sure, other], "labelled"), what="labelled")
        eventually(lambda: "chunk labelled" in workers.logs(), what="the worker's line")
    finally:
        workers.stop()
    runner = CliRunner(env=environment(settings))

    told = runner.invoke(command, [str(sure), "--logs", str(tmp_path)], catch_exceptions=False)
    lines = told.output.splitlines()

    assert told.exit_code == 0
    assert "intake        accepted  source=clinic" in lines[0]
    assert any("worker        label  by=fast" in line for line in lines)
    assert any("worker-fast   log: chunk labelled  level=INFO messages=2" in line for line in lines)
    assert lines[-1].startswith("now: status=labelled")
    assert "private" not in told.output
    logged = [json.loads(line) for line in workers.logs().splitlines() if str(sure) in line]
    labelled = [set(each["message_ids"]) for each in logged if each["event"] == "chunk labelled"]
    assert labelled == [{str(sure), str(other)}]


def test_a_message_that_is_none_is_said_to_be_none(settings: Settings) -> None:
    runner = CliRunner(env=environment(settings))

    told = runner.invoke(command, ["0198c0de-0000-7000-8000-000000000000"])

    assert "there is no message" in str(told.exception)
