"""From the first schema with data in it to the newest: data stays, and old statements still work.

During an upgrade the schema is new while old processes run on: migrations only add (expand), and
remove in a later release (contract).
"""

# ruff: noqa: S608  the statements are our own
from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import URL, Connection, create_engine, inspect, pool, text

import migrations
from producer.intake import Intake
from producer.store import find_standing
from producer.validation import Draft
from shared.ids import new_message_id
from shared.schema import alembic_config, is_current, upgrade
from tests.integration.intake_parts import ChestPain

pytestmark = pytest.mark.integration

_ID = "019a0000-0000-7000-8000-00000000000"
#: What the first release wrote: one of everything, with odd words.
_DATA = f"""
    INSERT INTO llm_calls (model, prompt_version, outcome, messages, latency_ms, cost_usd)
    VALUES ('gpt', '1', 'ok', 1, 12.5, 0.00012345);
    INSERT INTO messages (id, source, external_id, patient_ref, text, status, red_flags)
    VALUES ('{_ID}1', 'city', 'a', 'p-1', E'über \\U0001F600 line\\nanother', 'labelled', '[]'),
           ('{_ID}2', 'city', 'b', NULL, 'chest pain', 'queued',
            '[{{"rule": "r", "title": "t", "urgency": "emergent", "start": 0, "end": 5}}]'),
           ('{_ID}3', 'city', 'c', 'p-1', 'unsure', 'escalated', '[]'),
           ('{_ID}4', 'city', 'd', 'p-2', 'done long ago', 'done', '[]');
    INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version, llm_call_id)
    VALUES ('{_ID}1', '{{refill,billing}}', 'routine', 'llm', '1', 1),
           ('{_ID}3', '{{symptom}}', 'urgent', 'fast', '1', NULL),
           ('{_ID}4', '{{admin}}', 'routine', 'human', '1', NULL);
    UPDATE messages SET current_label_id = l.id FROM labels l
    WHERE l.message_id = messages.id AND status IN ('labelled', 'done');
    UPDATE messages SET provisional_label_id = l.id FROM labels l
    WHERE l.message_id = messages.id AND status = 'escalated';
    INSERT INTO outbox (message_id, lane) VALUES ('{_ID}2', 'priority'), ('{_ID}3', 'llm');
    INSERT INTO users (name, role, password_hash) VALUES ('ada', 'lead', 'x');
    INSERT INTO api_keys (source, key_hash) VALUES ('city', 'h');
    INSERT INTO audit_log (actor, action, message_id) VALUES ('ada', 'message_read', '{_ID}1');
    INSERT INTO workers (id, lane, host, pid) VALUES ('h:1:1', 'fast', 'h', 1);
"""

#: What processes of the first release do all day, by their columns.
_OLD_CODE = (
    """INSERT INTO messages (id, source, external_id, patient_ref, sender, text, red_flags,
       urgency_rank) VALUES (gen_random_uuid(), 'city', gen_random_uuid()::text, NULL, NULL,
       'new', '[]', 2)""",
    f"INSERT INTO outbox (message_id, lane) VALUES ('{_ID}1', 'fast')",
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox FOR UPDATE SKIP LOCKED LIMIT 1)",
    f"""UPDATE messages SET lease_owner = 'me', lease_until = now() + interval '25 s',
        attempts = attempts + 1 WHERE id = '{_ID}2' AND status = 'queued'""",
    f"""WITH l AS (INSERT INTO labels (message_id, categories, urgency, tier, provisional,
        category_confidence, urgency_confidence, model_version, taxonomy_version, reasons,
        latency_ms) VALUES ('{_ID}2', '{{symptom}}', 'emergent', 'fast', false, .9, .9, 'm', '1',
        '{{sure}}', 8) RETURNING id)
        UPDATE messages SET status = 'labelled', current_label_id = l.id, urgency_rank = 0,
        settled_at = now(), lease_owner = NULL, lease_until = NULL FROM l
        WHERE messages.id = '{_ID}2' AND lease_owner = 'me'""",
    """INSERT INTO llm_calls (model, prompt_version, outcome, messages, prompt_tokens,
       completion_tokens, cost_usd, latency_ms) VALUES ('m', '1', 'ok', 1, 9, 9, 0.1, 9)""",
    """INSERT INTO workers (id, lane, host, pid, model_version) VALUES ('h:2:2', 'llm', 'h', 2,
       'm') ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()""",
    f"UPDATE messages SET first_read_at = now() WHERE id = '{_ID}1' AND first_read_at IS NULL",
    f"UPDATE messages SET status = 'done', reviewed_at = now() WHERE id = '{_ID}1'",
    "INSERT INTO audit_log (actor, action, detail) VALUES ('ada', 'done', '{}')",
    "INSERT INTO users (name, role, password_hash) VALUES ('bob', 'clinician', 'x')",
    "UPDATE users SET password_hash = 'y', must_change_password = false WHERE name = 'bob'",
    "INSERT INTO api_keys (source, key_hash) VALUES ('city', 'h2')",
    "UPDATE api_keys SET revoked_at = now() WHERE key_hash = 'h2'",
)


def _connect(url: URL) -> Connection:
    return create_engine(url, poolclass=pool.NullPool).connect()


def _tables(connection: Connection) -> dict[str, list[str]]:
    """Columns by table."""
    looked = inspect(connection)
    return {
        name: [each["name"] for each in looked.get_columns(name)]
        for name in looked.get_table_names()
        if name != "alembic_version"
    }


def _read(connection: Connection, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Every row, by these columns."""
    found = {}
    for table, names in columns.items():
        listed = ", ".join(f'"{name}"' for name in names)
        rows = connection.execute(text(f'SELECT {listed} FROM "{table}"'))
        found[table] = sorted(json.dumps(list(row), default=str) for row in rows)
    return found


@pytest.fixture
def first_release(empty_database: Callable[[], URL]) -> URL:
    url = empty_database()
    command.upgrade(alembic_config(url), "0001")
    with _connect(url) as connection:
        connection.exec_driver_sql(_DATA)
        connection.commit()
    return url


def test_data_of_the_first_release_comes_through_every_migration(first_release: URL) -> None:
    with _connect(first_release) as connection:
        columns = _tables(connection)
        before = _read(connection, columns)

    upgrade(first_release)

    with _connect(first_release) as connection:
        assert _read(connection, columns) == before
        # What later releases derive from it is there too.
        words = connection.execute(text("SELECT count(*) FROM message_words")).scalar_one()
        assert words == 4
    assert all(before[table] for table in before)


def test_old_processes_go_on_while_each_migration_has_run(first_release: URL) -> None:
    """Expand: after any one of the steps, the first release's statements still work."""
    steps = sorted(Path(migrations.__file__).parent.glob("versions/[0-9]*.py"))

    for step in steps[1:]:
        command.upgrade(alembic_config(first_release), step.name[:4])
        with _connect(first_release) as connection, connection.begin() as undone:
            for statement in _OLD_CODE:
                done = connection.exec_driver_sql(statement)
                assert done.rowcount > 0, f"after {step.name}: {statement}"
            undone.rollback()


def test_the_new_code_takes_old_rows_up(first_release: URL) -> None:
    upgrade(first_release)
    engine = create_engine(first_release, poolclass=pool.NullPool)

    again = Intake(engine, ChestPain()).take(
        "city", [Draft(index=0, external_id="b", text="chest pain")]
    )
    with engine.connect() as connection:
        standing = find_standing(connection, "city", again.kept[0].id)

    assert str(again.kept[0].id) == f"{_ID}2"
    assert not again.kept[0].new
    assert standing is not None
    assert standing.flagged
    assert new_message_id() > again.kept[0].id


def test_a_process_is_ready_on_a_later_versions_schema(empty_database: Callable[[], URL]) -> None:
    """Or the load balancer would take every old intake away at the first step of an upgrade."""
    url = empty_database()
    upgrade(url)
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    assert is_current(engine)


def test_migrations_forward_only_add(empty_database: Callable[[], URL]) -> None:
    """A table or column that goes, or gets narrower, is a contract step: in a later release.

    Such a migration says `CONTRACT = "<release that stopped using it>"`.
    """
    url = empty_database()
    before: dict[str, list[str]] = {}
    for step in sorted(Path(migrations.__file__).parent.glob("versions/[0-9]*.py")):
        command.upgrade(alembic_config(url), step.name[:4])
        with _connect(url) as connection:
            after = _tables(connection)
        gone = {t: set(c) - set(after.get(t, ())) for t, c in before.items()}
        contract = re.search(r"^CONTRACT = ", step.read_text(), re.MULTILINE)
        assert contract or not any(gone.values()), f"{step.name} removes {gone}"
        before = after
