"""`carelane retention`: what is old goes, in batches, noted; what is young or open stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from dashboard.audit import Action, record
from shared.contracts import Status
from shared.database import transaction
from shared.errors import StoreError
from shared.settings import Settings
from shared.tables import audit_log, labels, llm_calls, llm_exchanges, messages
from tests.dashboard_pages import Store, count
from tests.integration.intake_parts import change, rows
from tests.services import environment
from workers.retention.cli import retention
from workers.retention.removal import due, remove

pytestmark = pytest.mark.integration

DAY = 24 * 60


def _run(settings: Settings, *arguments: str, **days: str) -> Result:
    env = environment(settings, **days)
    done = CliRunner().invoke(retention, list(arguments), env=env, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def _done(store: Store, words: str, *, days: float, **more: object) -> object:
    message_id = store.labelled(words, minutes_ago=days * DAY, **more)
    store.status(message_id, Status.DONE)
    return message_id


def test_only_old_messages_that_are_done_go_with_all_that_hangs_on_them(
    engine: Engine, settings: Settings, store: Store
) -> None:
    gone = _done(store, "an old one", days=400)
    store.add(llm_exchanges, message_id=gone, purpose="label", sent="x", outcome="ok")
    young = _done(store, "a young one", days=10)
    opened = store.labelled("an old one that nobody has done", minutes_ago=400 * DAY)
    waiting = store.message("an old one without a label", minutes_ago=400 * DAY)

    said = _run(settings, CARELANE_KEEP_MESSAGES_DAYS="365").output

    left = {row.id for row in rows(engine, "SELECT id FROM messages")}
    assert left == {young, opened, waiting}
    for table in (labels, llm_exchanges):
        assert not store.rows(table, message_id=gone)
    assert not rows(engine, "SELECT 1 FROM message_words WHERE message_id = :id", id=gone)
    assert "messages: 1 from before" in said
    assert "2 as old stay: no person has marked them done" in said
    assert "messages: 1 removed" in said


def test_without_an_age_limit_nothing_goes(
    engine: Engine, settings: Settings, store: Store
) -> None:
    _done(store, "a very old one", days=9_000)

    said = _run(settings).output

    assert "Nothing has an age limit" in said
    assert count(engine, messages) == 1


def test_a_dry_run_tells_what_would_go_and_changes_nothing(
    engine: Engine, settings: Settings, store: Store, tmp_path: Path
) -> None:
    _done(store, "an old one", days=400)
    export = tmp_path / "kept.jsonl"

    said = _run(
        settings, "--dry-run", "--export", str(export), CARELANE_KEEP_MESSAGES_DAYS="365"
    ).output

    assert "messages: 1 from before" in said
    assert count(engine, messages) == 1
    assert not store.rows(audit_log, action="removed_by_age")
    assert not export.exists()


def test_what_goes_is_kept_without_names_where_it_can_be_masked(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    gone = _done(store, "Marguerite Oyelaran here, please refill my lisinopril", days=400)
    _done(store, "Пожалуйста, продлите рецепт", days=400)  # of a script that nobody masks
    export = tmp_path / "kept.jsonl"

    said = _run(settings, "--export", str(export), CARELANE_KEEP_MESSAGES_DAYS="365").output

    (line,) = map(json.loads, export.read_text().splitlines())
    assert "[NAME_1]" in line["text"]
    assert "Oyelaran" not in line["text"]
    assert (line["categories"], line["urgency"], line["tier"]) == (["refill"], "routine", "fast")
    assert str(gone) not in export.read_text()
    assert export.stat().st_mode & 0o077 == 0
    assert "2 removed, exported 1, left out 1" in said


def test_every_batch_is_in_the_audit_log_and_a_stop_loses_nothing(
    engine: Engine, settings: Settings, store: Store
) -> None:
    for number in range(5):
        _done(store, f"old {number}", days=400)
    (what,) = due(engine, Settings(database_url=settings.database_url, keep_messages_days=365))

    batches = remove(engine, what, "ada", batch=2)
    assert [next(batches).removed, next(batches).removed] == [2, 4]
    batches.close()  # stopped here

    assert count(engine, messages) == 1
    noted = store.rows(audit_log, action="removed_by_age")
    assert [(row.actor, row.detail["what"], row.detail["rows"]) for row in noted] == [
        ("ada", "messages", 2), ("ada", "messages", 2),
    ]  # fmt: skip
    assert [each.removed for each in remove(engine, what, "ada", batch=2)] == [1]


def test_what_somebody_holds_is_passed_over_and_nobody_waits(
    engine: Engine, settings: Settings, store: Store
) -> None:
    held, free = _done(store, "held", days=400), _done(store, "free", days=400)
    (what,) = due(engine, Settings(database_url=settings.database_url, keep_messages_days=365))
    with engine.connect() as other:
        other.execute(text("SELECT 1 FROM messages WHERE id = :id FOR UPDATE"), {"id": held})

        assert [each.removed for each in remove(engine, what, "ada")] == [1]

    assert {row.id for row in rows(engine, "SELECT id FROM messages")} == {held}
    assert free != held


def test_old_labels_that_do_not_count_and_calls_that_nobody_names_go(
    engine: Engine, settings: Settings, store: Store
) -> None:
    message_id = store.message()
    call = {"model": "m", "prompt_version": "1", "outcome": "ok", "messages": 1, "latency_ms": 1.0}
    named, unnamed, only_old = (store.add(llm_calls, **call) for _ in range(3))
    store.label(message_id, llm_call_id=only_old)
    current = store.label(message_id, llm_call_id=named)
    change(engine, "ALTER TABLE labels DISABLE TRIGGER only_added")
    change(engine, "UPDATE labels SET created_at = now() - interval '2 years'")
    change(engine, "UPDATE llm_calls SET created_at = now() - interval '2 years'")

    said = _run(settings, CARELANE_KEEP_LABELS_DAYS="365", CARELANE_KEEP_CALLS_DAYS="365").output

    assert [row.id for row in store.rows(labels)] == [current]
    assert [row.id for row in store.rows(llm_calls)] == [named]
    assert unnamed
    assert "labels: 1 removed" in said
    assert "calls: 2 removed" in said


def test_old_audit_rows_go_and_young_ones_cannot(
    engine: Engine, settings: Settings, store: Store
) -> None:
    with transaction(engine) as connection:
        record(connection, "ada", Action.SIGNED_IN)
        record(connection, "bob", Action.SIGNED_IN)
    change(
        engine,
        "ALTER TABLE audit_log DISABLE TRIGGER only_added; "
        "UPDATE audit_log SET created_at = now() - interval '7 years' WHERE actor = 'ada'; "
        "ALTER TABLE audit_log ENABLE TRIGGER only_added",
    )

    said = _run(settings, CARELANE_KEEP_AUDIT_DAYS="2190").output

    assert "audit: 1 removed" in said
    kept = [(row.actor, row.action) for row in store.rows(audit_log)]
    assert kept[0] == ("bob", "signed_in")
    assert kept[1][1] == "removed_by_age"
    with pytest.raises(StoreError, match="kept for 90 days"):
        _as_statement(engine, "SELECT remove_old_audit(now() - interval '1 day', 10)")
    with pytest.raises(StoreError, match="only ever added"):
        _as_statement(engine, "DELETE FROM audit_log")


def _as_statement(engine: Engine, sql: str) -> None:
    with transaction(engine) as connection:
        connection.execute(text(sql))
