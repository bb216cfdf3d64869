from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest
from flask import Flask
from sqlalchemy import Engine, func, insert, text

from dashboard.app import create_app
from dashboard.permissions import Role
from dashboard.queue_depths import QueueDepths, ask
from shared.contracts import (
    Lane,
    Status,
    Tier,
    Urgency,
    dead_letter_queue_name,
    intake_dead_letter_queue_name,
    intake_queue_name,
    queue_name,
)
from shared.database import transaction
from shared.settings import Settings
from shared.tables import llm_calls, outbox, webhook_deliveries, webhooks, workers
from tests.dashboard_pages import Person, Store, text_of
from tests.services import eventually

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]


@pytest.fixture
def busy(store: Store, engine: Engine) -> Store:
    """A bit of everything that the page tells."""
    store.message("waits", minutes_ago=3)
    store.status(store.message(minutes_ago=61), Status.NEEDS_REVIEW, "llm_timeout")
    for tier, latency_ms in ((Tier.FAST, 3.5), (Tier.FAST, 4.5), (Tier.CACHE, 0.2)):
        store.label(store.message(), tier=tier, latency_ms=latency_ms)
    call = {
        "model": "m",
        "prompt_version": "1",
        "messages": 4,
        "prompt_tokens": 1000,
        "cached_tokens": 600,
        "completion_tokens": 30,
        "cost_usd": "0.0123",
        "latency_ms": 2300,
    }
    with transaction(engine) as connection:
        connection.execute(insert(llm_calls), [{**call, "outcome": "ok"}])
        connection.execute(insert(llm_calls), [{**call, "outcome": "rate_limit", "cost_usd": 0}])
        connection.execute(insert(workers), [{"id": "a", "lane": "fast", "host": "box", "pid": 42}])
        connection.execute(
            text(
                "INSERT INTO workers (id, lane, host, pid, heartbeat_at) "
                "VALUES ('b', 'llm', 'box', 43, now() - interval '5 minutes')"
            )
        )
        connection.execute(
            insert(outbox), [{"message_id": store.message(), "lane": Lane.PRIORITY.value}]
        )
        connection.execute(
            insert(webhooks), [{"source": "test-portal", "url": "https://x", "salt": "s"}]
        )
        owed = {"webhook_id": 1, "message_id": store.message(status=Status.DONE)}
        connection.execute(insert(webhook_deliveries), [{**owed}])
        connection.execute(
            insert(webhook_deliveries).values(**owed, failed_at=func.now(), outcome="503")
        )
    return store


def test_the_page_tells_queues_rates_tiers_spend_workers_and_failures(
    signed_in: SignedIn, busy: Store
) -> None:
    page = signed_in(Role.OPERATIONS).get("/operations").text

    words = text_of(page)
    assert "Waiting for a label 2 oldest 3 min" in words
    assert "Need a person 1 oldest 1 h 01 min" in words
    assert "From the cache, 24 h 33.3 % of 3 labels" in words
    assert "LLM spend, 24 h $0.0123 2 calls, 4.0 messages each" in words
    assert "LLM calls failed, 24 h 1 of 2" in words
    assert "priority 1" in words
    assert "fast model 2 67 % 4.0 ms" in words
    assert "box:42" in words
    assert "gone or stuck" in words
    assert "The second opinion did not answer in time. 1" in words
    assert "60 % of the prompt tokens" in words
    assert "Today $0.0123." in words
    assert "priority 1 0 s 0 – – – –" in words
    assert "fast 0 – 1 0 s – – –" in words
    assert "test-portal (1) 1 0 s 1 503" in words
    assert page.count("<figure>") == 7


def test_the_page_of_a_new_system_says_what_is_missing(signed_in: SignedIn) -> None:
    words = text_of(signed_in(Role.OPERATIONS).get("/operations").text)

    assert "No worker has been seen in the last hour" in words
    assert "No label in the last 24 hours" in words


def test_operations_see_no_patients_text_anywhere(signed_in: SignedIn, store: Store) -> None:
    message_id = store.labelled("a private matter", urgency=Urgency.EMERGENT)
    person = signed_in(Role.OPERATIONS)

    for path in ("/operations", "/", f"/messages/{message_id}", "/audit", "/live"):
        assert "private" not in person.get(path).text


def test_sqs_depths_are_told_by_queue(queue_settings: Settings) -> None:
    client = boto3.client(
        "sqs",
        region_name=queue_settings.aws_region,
        endpoint_url=queue_settings.sqs_endpoint_url,
    )
    prefix = queue_settings.queue_prefix
    names = [queue_name(prefix, Lane.FAST)] * 2 + [dead_letter_queue_name(prefix, Lane.LLM)]
    names += [intake_queue_name(prefix), intake_dead_letter_queue_name(prefix)]
    for name in names:
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody="{}")

    depths = {depth.queue: depth for depth in ask(queue_settings)}

    assert depths["fast"].waiting == 2
    assert depths["fast"].dead == 0
    assert depths["llm"].dead == 1
    assert (depths["intake"].waiting, depths["intake"].dead) == (1, 1)


def test_the_page_shows_sqs_as_soon_as_it_has_answered(
    queue_settings: Settings, engine: Engine
) -> None:
    app: Flask = create_app(queue_settings)
    depths = app.extensions["carelane"].depths

    assert depths.last() is None
    found = eventually(depths.last, what="the depths")

    assert [depth.queue for depth in found] == [*Lane, "intake"]
    app.extensions["carelane"].hub.stop()
    app.extensions["carelane"].engine.dispose()


def test_an_sqs_that_is_away_costs_the_page_nothing(
    signed_in: SignedIn, settings: Settings
) -> None:
    away = QueueDepths(replace(settings, sqs_endpoint_url="http://127.0.0.1:9"))
    away.last()

    eventually(lambda: not away.asking, what="the question given up")

    assert away.last() is None
    assert signed_in(Role.OPERATIONS).get("/operations").status_code == 200


def test_the_audit_log_is_filtered_by_person_action_and_message(
    signed_in: SignedIn, store: Store
) -> None:
    one, two = store.labelled(), store.labelled()
    clinician = signed_in(Role.CLINICIAN)
    auditor = signed_in(Role.AUDITOR)
    clinician.get(f"/messages/{one}")
    auditor.get(f"/messages/{two}")

    def entries(query: str) -> str:
        return text_of(auditor.get(f"/audit?{query}").text.split("<tbody>")[1].split("</tbody>")[0])

    assert clinician.name in entries("action=message_read")
    assert auditor.name in entries("action=message_read")
    assert clinician.name not in entries(f"who={auditor.name}")
    assert str(two)[-12:] not in entries(f"message={one}")
    assert "signed in" not in entries("action=message_read")
    assert auditor.get("/audit?message=nonsense").status_code == 400


def test_the_audit_log_pages_back_to_its_beginning(signed_in: SignedIn, store: Store) -> None:
    auditor = signed_in(Role.AUDITOR)
    message_id = store.labelled()
    for _ in range(120):
        auditor.get(f"/messages/{message_id}")

    first = auditor.get("/audit").text
    link = first.split('class="more"><a href="')[1].split('"')[0].replace("&amp;", "&")
    second = auditor.get(link).text

    assert first.count("<tr><td>") == 100
    assert "signed in" in second
