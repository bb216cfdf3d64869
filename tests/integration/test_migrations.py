"""The migrations run both ways, make the schema that shared/tables.py says, and wait in line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, create_engine, pool, text

from shared.schema import alembic_config, is_current, upgrade
from shared.tables import metadata

pytestmark = pytest.mark.integration

#: What makes up a schema, as one line per fact. Alembic's own comparison knows neither check
#: constraints nor identity columns, so the catalogue is asked.
_FACTS = """
    SELECT format('column %s.%s %s nullable=%s default=%s identity=%s', table_name, column_name,
                  udt_name || coalesce('/' || numeric_precision || '/' || numeric_scale, ''),
                  is_nullable, coalesce(column_default, '-'), coalesce(identity_generation, '-'))
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
"""

#: Functions and triggers: only migrations make them, `create_all` knows none.
_CODE = """
    SELECT 'function ' || pg_get_functiondef(oid)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""


def _engine(url: URL) -> Engine:
    return create_engine(url, poolclass=pool.NullPool)


def _ask(url: URL, query: str) -> set[str]:
    with _engine(url).connect() as connection:
        rows = connection.execute(text(query)).scalars()
        return {row for row in rows if "alembic_version" not in row}


def _facts(url: URL) -> set[str]:
    return _ask(url, _FACTS)


def _everything(url: URL) -> set[str]:
    return _ask(url, _FACTS) | _ask(url, _CODE)


def test_there_is_one_head() -> None:
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()

    assert len(heads) == 1, f"merge the heads {heads}: two migrations have the same parent"


def test_migrations_run_up_and_down_and_up_again(empty_database: Callable[[], URL]) -> None:
    url = empty_database()

    upgrade(url)
    after_first = _everything(url)
    command.downgrade(alembic_config(url), "base")
    after_down = _everything(url)
    upgrade(url)

    assert after_down == set()
    assert _everything(url) == after_first
    assert is_current(_engine(url))


def test_each_step_back_leads_to_the_schema_before_it(empty_database: Callable[[], URL]) -> None:
    url = empty_database()
    steps = [
        each.revision for each in ScriptDirectory.from_config(alembic_config()).walk_revisions()
    ]
    steps.reverse()

    before: list[set[str]] = []
    for revision in steps:
        before.append(_everything(url))
        command.upgrade(alembic_config(url), revision)

    for expected in reversed(before):
        command.downgrade(alembic_config(url), "-1")
        assert _everything(url) == expected


def test_migrations_make_the_schema_that_the_code_expects(
    empty_database: Callable[[], URL],
) -> None:
    migrated, created = empty_database(), empty_database()

    upgrade(migrated)
    metadata.create_all(_engine(created))

    assert _facts(migrated) == _facts(created)
    with _engine(migrated).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_without_the_last_migration_is_not_current(
    empty_database: Callable[[], URL],
) -> None:
    url = empty_database()

    assert not is_current(_engine(url))
    upgrade(url)
    assert is_current(_engine(url))
    command.downgrade(alembic_config(url), "-1")
    assert not is_current(_engine(url))


def test_processes_that_migrate_at_once_all_succeed(empty_database: Callable[[], URL]) -> None:
    url = empty_database()
    migrate = [str(Path(sys.executable).with_name("carelane")), "database", "upgrade"]
    environment = {"CARELANE_DATABASE_URL": url.render_as_string(hide_password=False)}

    processes = [
        subprocess.Popen(
            migrate, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert is_current(_engine(url))
