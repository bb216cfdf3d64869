"""A backup by pg_dump, as docs/operations.md has it, is a whole Carelane when it is restored."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, text

from localstack.postgres import _programs
from producer.sweeper import sweep
from shared.contracts import Status
from shared.database import make_engine, transaction
from shared.errors import StoreError
from shared.schema import is_current
from shared.settings import Settings
from shared.tables import metadata
from tests.dashboard_pages import Store
from tests.integration.intake_parts import Portal, new_key, open_app, rows

pytestmark = pytest.mark.integration


def _postgres_program(name: str, *arguments: str) -> None:
    """One of the server's own version: an older pg_dump refuses a newer server."""
    program = _programs() / name
    if not program.exists():
        pytest.skip(f"the embedded Postgres comes without {name}")
    done = subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr


def _libpq(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _everything(engine: Engine) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    return {
        name: sorted(str(tuple(row)) for row in rows(engine, f'SELECT * FROM "{name}"'))  # noqa: S608
        for name in metadata.tables
        # Not logged, and worth nothing the next minute.
        if name not in ("intake_rates", "speculations")
    }


def test_a_restored_backup_has_every_row_and_goes_on_working(
    engine: Engine,
    settings: Settings,
    database_url: URL,
    store: Store,
    empty_database: Callable[[], URL],
    tmp_path: Path,
) -> None:
    key = new_key(engine, settings)
    with open_app(settings) as app:
        taken = Portal(app, key).post({"external_id": "m-1", "text": "a refill, über alles"})
    store.status(store.labelled("a done one"), Status.DONE)
    waiting = store.message("one that was sent and not labelled", minutes_ago=10)
    file = tmp_path / "carelane.dump"
    before = _everything(engine)

    _postgres_program(
        "pg_dump", "--format=custom", f"--file={file}", f"--dbname={_libpq(database_url)}"
    )
    into = empty_database()
    _postgres_program(
        *("pg_restore", "--exit-on-error", "--no-owner", "--no-privileges"),
        *("--single-transaction", f"--dbname={_libpq(into)}", str(file)),
    )

    restored = replace(settings, database_url=into.render_as_string(hide_password=False))
    again = make_engine(restored, "tests")
    assert is_current(again)
    assert _everything(again) == before
    assert before["messages"]

    # The portal asks again and gets its message; the queues are empty, and the sweeper fills them.
    with open_app(restored) as app:
        answer = Portal(app, key).post({"external_id": "m-1", "text": "a refill, über alles"})
    assert answer.json["messages"][0]["id"] == taken.json["messages"][0]["id"]
    with transaction(again) as connection:
        connection.execute(text("UPDATE messages SET enqueued_at = now() - interval '1 hour'"))
    assert waiting in sweep(again, sweep_after_s=60, give_up_after_s=7200).sent_again
    # What guards history came along.
    with pytest.raises(StoreError, match="only ever added"), transaction(again) as connection:
        connection.execute(text("DELETE FROM audit_log"))
    again.dispose()
