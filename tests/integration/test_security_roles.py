"""Each part does its work under its own database role, and can do no more than that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, make_url, text

from dashboard.app import create_app
from dashboard.permissions import Role
from producer import webhooks
from producer.outbound import Caller
from producer.publisher import make_publisher
from producer.relay import relay_lane
from producer.sweeper import forget_texts, sweep
from producer.webhook_process import WebhookProcess
from shared.contracts import Lane, Status
from shared.database import make_engine, transaction
from shared.errors import StoreError
from shared.sealed_text import new_key as new_text_key
from shared.settings import Settings
from shared.tables import audit_log, llm_calls, metadata
from tests.dashboard_pages import Person, Store, add_user
from tests.integration.intake_parts import Portal, change, new_key, open_app, rows
from tests.services import PostgresForTests, eventually
from tests.worker_process import SURE, UNSURE
from tests.worker_stack import Workers
from workers.retention.removal import due, remove

pytestmark = pytest.mark.integration

ROLES = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
PARTS = ("intake", "relay", "worker", "dashboard", "webhooks", "retention", "auditor")

As = Callable[[str], Settings]


def apply_roles(engine: Engine, times: int = 1) -> None:
    """What `psql -f deploy/postgres/roles.sql` does."""
    raw = engine.raw_connection()
    try:
        for _ in range(times):
            raw.cursor().execute(ROLES.read_text())
        raw.commit()
    finally:
        raw.close()


@pytest.fixture
def as_role(settings: Settings, engine: Engine) -> As:
    """Settings with which a part signs in as a login that is in its role only."""
    apply_roles(engine)
    for part in PARTS:
        change(
            engine,
            f"""
            DO $$ BEGIN
                CREATE ROLE login_{part} LOGIN IN ROLE carelane_{part};
            EXCEPTION WHEN duplicate_object THEN NULL; END $$
            """,
        )
    url = make_url(settings.require("database_url"))

    def signed_in(part: str) -> Settings:
        own = url.set(username=f"login_{part}").render_as_string(hide_password=False)
        return replace(settings, database_url=own)

    return signed_in


@pytest.fixture
def run_as(as_role: As) -> Iterator[Callable[[str, str], None]]:
    """Run one statement as a role."""
    made: dict[str, Engine] = {}

    def run(part: str, sql: str) -> None:
        made.setdefault(part, make_engine(as_role(part), "tests", pool_size=1))
        with transaction(made[part]) as connection:
            connection.execute(text(sql))

    yield run
    for engine in made.values():
        engine.dispose()


ADD_LABEL = (
    "INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version) "
    "VALUES (gen_random_uuid(), '{refill}', 'routine', 'human', '1')"
)
#: What each role must not do: words changed, others' tables, history rewritten, the schema.
FORBIDDEN = {
    "intake": (
        "UPDATE messages SET text = 'x'",
        "DELETE FROM messages",
        ADD_LABEL,
        "SELECT * FROM users",
        "SELECT * FROM audit_log",
        "UPDATE api_keys SET revoked_at = NULL",
    ),
    "relay": (
        "SELECT text FROM messages",
        "SELECT * FROM message_words",
        "SELECT sent FROM llm_exchanges",
        "SELECT * FROM users",
        "UPDATE messages SET current_label_id = NULL",
        "DELETE FROM messages",
    ),
    "worker": (
        "UPDATE messages SET text = 'x'",
        "UPDATE messages SET received_at = now()",
        "UPDATE messages SET reviewed_at = now()",
        "DELETE FROM labels",
        "UPDATE labels SET urgency = 'routine'",
        "SELECT * FROM users",
        "SELECT * FROM api_keys",
        "SELECT * FROM audit_log",
        "INSERT INTO audit_log (actor, action) VALUES ('ada', 'accepted')",
    ),
    "dashboard": (
        "UPDATE messages SET text = 'x'",
        "DELETE FROM messages",
        "UPDATE labels SET urgency = 'routine'",
        "DELETE FROM labels",
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DELETE FROM users",
        "SELECT * FROM api_keys",
        "ALTER TABLE audit_log DISABLE TRIGGER only_added",
    ),
    "webhooks": (
        "UPDATE messages SET status = 'done'",
        "UPDATE webhooks SET url = 'https://evil.example'",
        "SELECT * FROM users",
        "SELECT * FROM api_keys",
    ),
    "retention": (
        "DELETE FROM audit_log",
        "UPDATE messages SET text = 'x'",
        "SELECT * FROM users",
        ADD_LABEL,
    ),
    "auditor": (
        "SELECT text FROM messages",
        "SELECT * FROM message_words",
        "SELECT * FROM llm_exchanges",
        "SELECT password_hash FROM users",
        "SELECT key_hash FROM api_keys",
        "SELECT salt FROM webhooks",
        "UPDATE messages SET status = 'done'",
        "INSERT INTO audit_log (actor, action) VALUES ('ada', 'accepted')",
    ),
}


def test_no_role_can_do_what_is_not_its_work(
    run_as: Callable[[str, str], None], store: Store
) -> None:
    store.labelled()
    everybody = (
        "CREATE TABLE mine (x int)",
        "DROP TABLE messages",
        "CREATE ROLE another SUPERUSER",
        "COPY messages TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    )

    for part in PARTS:
        for statement in (*FORBIDDEN[part], *everybody):
            with pytest.raises(StoreError, match="42501"):
                run_as(part, statement)


def test_an_auditor_reads_states_and_the_log(
    run_as: Callable[[str, str], None], store: Store
) -> None:
    store.labelled()

    run_as("auditor", "SELECT actor, action FROM audit_log")
    run_as("auditor", "SELECT status, count(*) FROM messages GROUP BY status")
    run_as("auditor", "SELECT name, role FROM users")


def test_running_the_file_again_takes_back_what_left_it(
    engine: Engine, run_as: Callable[[str, str], None]
) -> None:
    change(engine, "GRANT SELECT ON users TO carelane_relay")
    run_as("relay", "SELECT * FROM users")

    apply_roles(engine, times=2)

    with pytest.raises(StoreError, match="42501"):
        run_as("relay", "SELECT * FROM users")


def test_what_is_old_goes_under_the_role_of_retention(
    engine: Engine, as_role: As, store: Store
) -> None:
    old = store.labelled(minutes_ago=400 * 24 * 60)
    store.label(old)
    call = {"model": "m", "prompt_version": "1", "outcome": "ok", "messages": 1, "latency_ms": 1.0}
    store.add(llm_calls, **call)
    store.add(audit_log, actor="ada", action="signed_in")
    later = datetime.now(UTC) + timedelta(days=400)
    own = replace(
        as_role("retention"),
        **dict.fromkeys(
            ("keep_messages_days", "keep_labels_days", "keep_calls_days", "keep_audit_days"), 100.0
        ),
    )
    made = make_engine(own, "tests")

    removed = {
        what.kind.name: [done.removed for done in remove(made, what, "tests")]
        for what in due(made, own, later)
        if what.kind.name != "audit"
    }
    store.status(old, Status.DONE)
    (messages, *_, audit) = due(made, own, later)
    removed["done"] = [done.removed for done in remove(made, messages, "tests")]

    assert removed == {"messages": [], "labels": [1], "calls": [1], "done": [1]}
    # Not old enough by the database's own clock, whatever the caller says.
    with pytest.raises(StoreError, match="kept for 90 days"):
        list(remove(made, audit, "tests"))
    made.dispose()


def test_every_table_is_some_roles_business() -> None:
    said = ROLES.read_text()

    assert {name for name in metadata.tables if not re.search(rf"\b{name}\b", said)} == set()


@pytest.mark.parametrize("text_keys", [None, new_text_key("k1")], ids=["clear", "sealed"])
def test_messages_go_the_whole_way_with_each_part_under_its_role(
    text_keys: str | None,
    stack_settings: Settings,
    engine: Engine,
    as_role: As,
    tmp_path: Path,
    postgres: PostgresForTests,
) -> None:
    def under(part: str) -> Settings:
        own = as_role(part).database_url
        keys = text_keys if part in ("intake", "worker", "dashboard") else None
        return replace(stack_settings, database_url=own, text_keys=keys)

    before = len(postgres.server.log.read_text(errors="replace"))
    with transaction(engine) as connection:
        webhooks.add(connection, "city-clinic", "https://127.0.0.1:9/hook", allow_private=False)
    ids = _intake(under("intake"), new_key(engine, stack_settings))
    relay = make_engine(under("relay"), "tests")
    publisher = make_publisher(under("relay"))
    assert relay_lane(relay, publisher, Lane.FAST).sent == 2
    assert relay_lane(relay, publisher, Lane.PRIORITY).sent == 1

    workers = Workers(under("worker"), tmp_path)
    try:
        workers.start("fast", wait=False)
        workers.start("llm")
        eventually(
            lambda: relay_lane(relay, publisher, Lane.LLM) and _all_labelled(engine),
            what="all labelled, some by the LLM tier",
            timeout_s=60,
        )
    finally:
        workers.stop()
    assert {row.tier for row in rows(engine, "SELECT tier FROM labels")} == {"fast", "llm"}

    stored = rows(
        engine,
        "SELECT text FROM messages UNION ALL SELECT sent FROM llm_exchanges "
        "UNION ALL SELECT answered FROM llm_exchanges WHERE answered IS NOT NULL",
    )
    assert len(stored) > 3
    assert {row.text.startswith("sealed:1:k1:") for row in stored} == {text_keys is not None}
    _webhooks(under("webhooks"))
    assert {row.outcome for row in rows(engine, "SELECT outcome FROM webhook_deliveries")} == {
        "private_address"
    }
    _dashboard(under("dashboard"), engine, ids)
    _sweep(relay, engine, ids)
    relay.dispose()
    # Also what a part swallowed, and only logged or tried again.
    assert "permission denied" not in postgres.server.log.read_text(errors="replace")[before:]


def _all_labelled(engine: Engine) -> bool:
    return not rows(engine, "SELECT 1 FROM messages WHERE status <> 'labelled'")


def _intake(settings: Settings, key: str) -> list[UUID]:
    with open_app(settings) as app:
        portal = Portal(app, key)
        texts = (SURE, f"{UNSURE} my bill", f"{SURE} chest pain")
        body = {"messages": [{"external_id": t, "text": t} for t in texts]}
        answer: Any = portal.post(body)
        assert answer.status_code == 202, answer.text
        assert portal.post(body).status_code == 200
        ids = [each["id"] for each in answer.json["messages"]]
        assert portal.status(ids[0]).status_code == 200
        assert app.test_client().get("/readyz").status_code == 200
        bearer = {"Authorization": f"Bearer {key}"}
        shown = app.test_client().get(f"/fhir/Communication/{ids[0]}", headers=bearer)
        assert shown.status_code == 200
    return [UUID(each) for each in ids]


def _webhooks(settings: Settings) -> None:
    engine = make_engine(settings, "tests")
    caller = Caller(allow_private=False)
    with ThreadPoolExecutor(2) as pool:
        assert WebhookProcess(engine, caller, settings).step(pool) > 0
    with transaction(engine) as connection:
        webhooks.forget_old(connection)
    caller.close()
    engine.dispose()


def _dashboard(settings: Settings, engine: Engine, ids: list[UUID]) -> None:
    add_user(engine, "ada", Role.LEAD)
    app = create_app(settings)
    hub = app.extensions["carelane"].hub
    assert hub.connected.wait(10)
    ada = Person(app, "ada")
    ada.sign_in("a wrong password")
    assert ada.sign_in().status_code == 302
    pages = ("/", "/?q=bill&show=all", f"/messages/{ids[0]}", "/operations", "/audit", "/staff")
    assert {path: ada.get(path).status_code for path in pages} == dict.fromkeys(pages, 200)
    for action in (
        {"action": "corrected", "urgency": "urgent"},
        {"action": "accepted"},
        {"action": "assigned", "to": "me"},
        {"action": "done"},
        {"action": "reopened"},
    ):
        said: Any = ada.post(
            "/messages/decide",
            {"ids": str(ids[0]), **action},
            headers={"Accept": "application/json"},
        )
        assert said.status_code == 200, said.text
        assert said.json["undo"], action
    undone = ada.post("/messages/undo", {"token": said.json["undo"]})
    assert undone.status_code in (200, 302)
    assert ada.post(f"/messages/{ids[0]}/why").status_code in (200, 302)
    assert ada.post("/sign-out").status_code == 302
    hub.stop()
    app.extensions["carelane"].engine.dispose()


def _sweep(relay: Engine, engine: Engine, ids: list[UUID]) -> None:
    change(
        engine,
        "UPDATE messages SET status = 'queued', current_label_id = NULL, settled_at = NULL, "
        "enqueued_at = now() - interval '1 hour' WHERE id = ANY(:ids)",
        ids=ids[:2],
    )
    change(
        engine,
        "UPDATE messages SET received_at = now() - interval '1 day', "
        "rerun_at = NULL WHERE id = :id",
        id=ids[1],
    )
    change(engine, "DELETE FROM outbox")
    done = sweep(relay, sweep_after_s=60, give_up_after_s=7200)
    assert (done.given_up, done.sent_again) == ((ids[1],), (ids[0],))
    assert forget_texts(relay, 0) >= 1
