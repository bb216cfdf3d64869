from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, insert, text

from dashboard.app import create_app
from dashboard.operations_cli import scale_command
from dashboard.permissions import Role
from dashboard.state_metrics import GAUGES
from shared import metrics
from shared.contracts import Lane, Status, Urgency
from shared.database import transaction
from shared.settings import Settings
from shared.tables import llm_calls
from tests.dashboard_pages import Person, Store
from tests.services import environment
from tests.worker_stack import Clinic

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]
TOKEN = {"Authorization": "Bearer let-me-read"}


@pytest.fixture(autouse=True)
def _counting_ends() -> Iterator[None]:
    yield
    metrics.stop()


@pytest.fixture
def scraped(queue_settings: Settings) -> Iterator[Flask]:
    app = create_app(replace(queue_settings, metrics_token="let-me-read"))
    yield app
    app.extensions["carelane"].hub.stop()
    app.extensions["carelane"].engine.dispose()


def scrape(app: Flask) -> dict[str, float]:
    """Every number of /metrics by name and labels."""
    answer = app.test_client().get("/metrics", headers=TOKEN)
    assert answer.status_code == 200
    return {
        " ".join([each.name, *(f"{k}={v}" for k, v in sorted(each.labels.items()))]): each.value
        for family in text_string_to_metric_families(answer.text)
        for each in family.samples
    }


def test_a_scrape_tells_queues_outbox_ages_workers_and_failures(
    scraped: Flask, store: Store, engine: Engine, queue_settings: Settings
) -> None:
    waits = store.message(minutes_ago=3)
    store.status(store.message(minutes_ago=1), Status.NEEDS_REVIEW, "llm_timeout")
    flagged = store.message(flags=[{"urgency": "emergent"}])
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE messages SET enqueued_at = received_at WHERE id = :id"), {"id": waits}
        )
        connection.execute(
            text("INSERT INTO outbox (message_id, lane) VALUES (:id, 'priority')"), {"id": flagged}
        )
        connection.execute(
            text("INSERT INTO workers (id, lane, host, pid) VALUES ('a', 'fast', 'box', 1)")
        )
    Clinic(engine, queue_settings).send(Lane.FAST, [waits], times=2)

    found = scrape(scraped)

    assert found["carelane_up part=postgres"] == found["carelane_up part=sqs"] == 1
    assert found["carelane_queue_chunks queue=fast state=waiting"] == 2
    assert found["carelane_queue_chunks queue=intake state=dead"] == 0
    assert found["carelane_sent_messages lane=fast"] == 1
    assert found["carelane_sent_oldest_seconds lane=fast"] >= 180
    assert found["carelane_outbox_messages lane=priority"] == 1
    assert found["carelane_outbox_oldest_seconds lane=llm"] == 0  # told, though nothing waits
    assert found["carelane_waiting_messages status=queued"] == 2
    assert found["carelane_unread_oldest_seconds urgency=routine"] >= 180
    assert found["carelane_review_messages reason=llm_timeout"] == 1
    assert found["carelane_workers lane=fast state=alive"] == 1
    assert found["carelane_workers lane=llm state=alive"] == 0


def test_a_scrape_during_an_outage_says_so_at_once(settings: Settings) -> None:
    away = replace(settings, metrics_token="let-me-read", sqs_endpoint_url="http://127.0.0.1:9")
    app = create_app(away)

    found = scrape(app)

    assert found["carelane_up part=sqs"] == 0
    assert found["carelane_up part=postgres"] == 1
    app.extensions["carelane"].hub.stop()
    app.extensions["carelane"].engine.dispose()


def test_the_time_to_first_read_is_counted_once(
    app: Flask, signed_in: SignedIn, store: Store
) -> None:
    message_id = store.labelled(minutes_ago=10, urgency=Urgency.URGENT)
    clinician = signed_in(Role.CLINICIAN)

    clinician.get(f"/messages/{message_id}")
    clinician.get(f"/messages/{message_id}")

    told = metrics.text().decode()
    assert 'carelane_first_read_seconds_count{urgency="urgent"} 1.0' in told
    assert 'carelane_first_read_seconds_bucket{le="900.0",urgency="urgent"} 1.0' in told
    assert 'carelane_first_read_seconds_bucket{le="300.0",urgency="urgent"} 0.0' in told


def test_numbers_are_for_the_token_and_for_operations(scraped: Flask, signed_in: SignedIn) -> None:
    stranger = scraped.test_client()

    assert stranger.get("/metrics").status_code == 404
    assert stranger.get("/metrics", headers={"Authorization": "Bearer no"}).status_code == 401
    assert signed_in(Role.CLINICIAN).get("/metrics").status_code == 404
    assert signed_in(Role.OPERATIONS).get("/metrics").status_code == 200


def test_no_gauge_is_told_twice(scraped: Flask) -> None:
    told = scraped.test_client().get("/metrics", headers=TOKEN).text
    types = [line.split()[2] for line in told.splitlines() if line.startswith("# TYPE")]

    assert len(types) == len(set(types))
    assert set(GAUGES) <= set(types)


def test_workers_wanted_follow_what_waits_and_how_long_calls_take(
    scraped: Flask, store: Store, engine: Engine, queue_settings: Settings
) -> None:
    call = {"model": "m", "prompt_version": "1", "outcome": "ok", "messages": 2, "latency_ms": 4000}
    for _ in range(30):
        store.message(status=Status.ESCALATED)
    with transaction(engine) as connection:
        connection.execute(insert(llm_calls), [call])
    one_at_a_time = environment(replace(queue_settings, llm_concurrency=1))

    metric = scrape(scraped)["carelane_workers_wanted lane=llm"]
    done = CliRunner(env=one_at_a_time).invoke(scale_command, ["--json"])
    fast, llm = json.loads(done.stdout)

    assert metric == 1  # 32 calls in flight are plenty
    assert fast["wanted"] == 1
    assert llm["load"]["backlog"] == 30
    assert llm["load"]["per_worker_per_s"] == 0.5
    # 30 wait, to be gone in five minutes: 0.1 a second, of 0.5 x 0.7.
    assert llm["wanted"] == 1
    assert "one worker does 0.5/s" in llm["why"]
