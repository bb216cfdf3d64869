"""With CARELANE_TEXT_KEYS set: nowhere in clear in the database, and everything works as before."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, Engine, select

from dashboard.app import create_app
from dashboard.permissions import Role
from localstack.postgres import _programs
from producer.intake import Intake
from producer.validation import Draft
from shared.contracts import Explain, Status
from shared.database import make_engine, transaction
from shared.errors import SettingsError
from shared.schema import database
from shared.sealed_columns import TriedText, Unopened
from shared.sealed_text import key_of, new_key
from shared.settings import Settings
from shared.tables import explanations, llm_exchanges, messages
from shared.taxonomy import Taxonomy
from tests.dashboard_pages import Person, Store, add_user
from tests.integration.intake_parts import ChestPain, Portal, change, open_app, rows
from tests.integration.intake_parts import new_key as api_key
from tests.integration.test_workers_faults import DELIVERY
from tests.services import environment
from tests.worker_process import SURE, ObedientLabeller
from training.corrections import export
from workers.carrying_words import answerer
from workers.composition import fast_runtime
from workers.doctor import examine
from workers.doctor.finding import Health
from workers.explainer import Explainer, Explanation, Quiet
from workers.retention.cli import retention
from workers.text_key_check import check_text_keys
from workers.triage import run_fast_chunk

pytestmark = pytest.mark.integration

OLD, NEW = new_key("old"), new_key("new")
#: In no message of another test, no rule and no page.
CANARY = "xylophonist"
TEXT = f"{SURE} My {CANARY} fingers ache, the Wigglesworth clinic said to write."
WORDS = (CANARY, "Wigglesworth", "fingers")


def with_keys(settings: Settings, *entries: str) -> Settings:
    return replace(settings, text_keys=",".join(entries) or None)


@pytest.fixture
def sealed(settings: Settings) -> Settings:
    return with_keys(settings, NEW)


@contextmanager
def engine_of(settings: Settings) -> Iterator[Engine]:
    made = make_engine(settings, "tests", pool_size=2)
    yield made
    made.dispose()


def hand_in(settings: Settings, external_id: str = "m-1", text: str = TEXT) -> UUID:
    """A message by the intake's own code."""
    with engine_of(settings) as engine:
        draft = Draft(index=0, external_id=external_id, text=text)
        (kept,) = Intake(engine, ChestPain()).take("city-clinic", [draft]).kept
    return kept.id


def label(settings: Settings, *ids: UUID) -> None:
    """What a fast worker does with a chunk."""
    runtime = fast_runtime(settings, Taxonomy.load(), ObedientLabeller())
    run_fast_chunk(list(ids), runtime, DELIVERY)
    runtime.engine.dispose()


def status(engine: Engine, id_: UUID) -> str:
    (row,) = rows(engine, "SELECT status FROM messages WHERE id = :id", id=id_)
    return str(row.status)


def stored(engine: Engine, id_: UUID) -> str:
    (row,) = rows(engine, "SELECT text FROM messages WHERE id = :id", id=id_)
    return str(row.text)


@contextmanager
def somebody(settings: Settings, name: str = "ada") -> Iterator[Person]:
    app = create_app(settings)
    shared = app.extensions["carelane"]
    assert shared.hub.connected.wait(10)
    with engine_of(settings) as engine:
        add_user(engine, name, Role.LEAD)
    person = Person(app, name)
    assert person.sign_in().status_code == 302
    yield person
    shared.hub.stop()
    shared.engine.dispose()


def dump(url: URL) -> str:
    program = _programs() / "pg_dump"
    if not program.exists():
        pytest.skip("the embedded Postgres comes without pg_dump")
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [str(program), "--inserts", f"--dbname={plain}"], capture_output=True, text=True, check=True
    )
    return done.stdout


def command(settings: Settings, *arguments: str) -> Result:
    done = CliRunner().invoke(database, list(arguments), env=environment(settings))
    if isinstance(done.exception, SettingsError):
        raise done.exception
    return done


def test_what_a_patient_wrote_is_nowhere_in_clear_and_is_labelled_shown_and_found(
    sealed: Settings, engine: Engine, database_url: URL
) -> None:
    id_ = hand_in(sealed)
    label(sealed, id_)
    with engine_of(sealed) as ours:
        about = {"message_id": id_, "outcome": "ok"}
        asked = {"sent": f"My {CANARY} fingers", "answered": f'{{"l": "{CANARY}"}}'}
        Store(ours).add(llm_exchanges, **about, **asked, purpose="label")
        label_id = rows(ours, "SELECT id FROM labels")[0].id
        about = {"message_id": id_, "kind": "rationale", "label_id": label_id}
        Store(ours).add(explanations, **about, asked_by="ada")
        why = Explanation(model_version="m", result={"text": f"It says {CANARY}, at length."})
        assert Explainer(sealed, ours, Explain.RATIONALE, lambda _: why).round()

    with somebody(sealed) as ada:
        page = ada.get(f"/messages/{id_}").text
        listed = ada.get("/").text
        found = {
            (show, words): str(id_) in ada.get(f"/?show={show}&q={words}").text
            for show in ("open", "all")
            for words in (CANARY.upper(), "fingers+clinic", CANARY[:6], "nothing")
        }

    assert status(engine, id_) == "labelled"
    assert page.count(CANARY) >= 3
    assert f"It says {CANARY}, at length." in page
    assert CANARY in listed
    assert "whole words" in listed
    assert {words for (_, words), hit in found.items() if hit} == {CANARY.upper(), "fingers+clinic"}
    assert sum(found.values()) == 4
    everything = dump(database_url)
    assert str(id_) in everything
    assert [word for word in WORDS if word.lower() in everything.lower()] == []


def test_without_keys_everything_lies_in_clear_as_it_did(
    settings: Settings, engine: Engine
) -> None:
    id_ = hand_in(settings)

    assert stored(engine, id_) == TEXT
    (words,) = rows(engine, "SELECT words::text AS words FROM message_words")
    assert CANARY in words.words


def test_clear_and_sealed_messages_stand_side_by_side(settings: Settings, engine: Engine) -> None:
    both = with_keys(settings, NEW, OLD)
    ids = [hand_in(settings, "clear"), hand_in(with_keys(settings, OLD), "old")]
    ids.append(hand_in(both, "new"))
    label(both, *ids)

    with somebody(both) as ada:
        listed = ada.get("/?show=labelled").text
        found = ada.get(f"/?show=all&q={CANARY}").text

    assert [key_of(stored(engine, id_)) for id_ in ids] == [None, "old", "new"]
    assert listed.count(CANARY) == 3
    assert all(str(id_) in found for id_ in ids)


def test_a_repeat_is_recognised_and_a_conflict_refused_though_texts_are_sealed(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    hand_in(settings, "before")
    key = api_key(engine, settings)
    with open_app(sealed) as app:
        portal = Portal(app, key)
        first = portal.post({"external_id": "m-1", "text": TEXT})
        again = portal.post({"external_id": "m-1", "text": TEXT})
        before = portal.post({"external_id": "before", "text": TEXT})
        other = portal.post({"external_id": "m-1", "text": "something else"})
    with open_app(with_keys(settings, OLD)) as app:
        closed = Portal(app, key).post({"external_id": "m-1", "text": TEXT})

    assert (first.status_code, again.status_code, before.status_code) == (202, 200, 200)
    assert other.status_code in (409, 422)
    assert "conflict" in other.text
    # Nobody can tell, so nothing is answered that may be wrong.
    assert closed.status_code == 409
    assert "cannot be compared" in closed.text


def test_a_text_that_looks_sealed_is_a_text(settings: Settings, engine: Engine) -> None:
    text = f"sealed:1:new:AAAA {SURE} and a {CANARY}"

    id_ = hand_in(settings, text=text)
    label(settings, id_)
    with somebody(settings) as ada:
        page = ada.get(f"/messages/{id_}").text

    assert status(engine, id_) == "labelled"
    assert "sealed:1:new:AAAA" in page


def test_a_worker_without_the_key_does_not_start_and_says_which_it_lacks(
    settings: Settings, sealed: Settings
) -> None:
    hand_in(sealed)

    check_text_keys(sealed, "fast")
    check_text_keys(with_keys(settings, OLD, NEW), "llm")
    for lacking in (settings, with_keys(settings, OLD)):
        with pytest.raises(SettingsError, match=r"'new'.*CARELANE_TEXT_KEYS"):
            check_text_keys(lacking, "fast")


def test_one_old_text_under_a_lost_key_keeps_no_worker_from_starting(
    settings: Settings, sealed: Settings
) -> None:
    hand_in(with_keys(settings, OLD), "lost")
    hand_in(sealed, "new")

    check_text_keys(sealed, "fast")


def test_a_message_that_a_worker_cannot_open_waits_uncounted_and_its_neighbours_get_labels(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    closed, ours = hand_in(with_keys(settings, OLD), "old"), hand_in(sealed, "new")

    label(sealed, closed, ours)

    assert (status(engine, closed), status(engine, ours)) == ("queued", "labelled")
    (row,) = rows(engine, "SELECT * FROM messages WHERE id = :id", id=closed)
    assert (row.attempts, row.lease_owner) == (0, None)
    # Once a worker has the key, it is a message like any other.
    label(with_keys(settings, NEW, OLD), closed)
    assert status(engine, closed) == "labelled"


def test_the_words_of_a_closed_text_are_asked_for_and_told_not_to_be_had(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    id_ = hand_in(sealed)
    label(sealed, id_)
    Store(engine).add(
        explanations,
        message_id=id_,
        kind="words",
        label_id=rows(engine, "SELECT id FROM labels")[0].id,
        asked_by="ada",
    )

    explainer = Explainer(settings, engine, Explain.WORDS, answerer(ObedientLabeller, Quiet()))

    assert explainer.round()
    (row,) = rows(engine, "SELECT outcome FROM explanations")
    assert row.outcome == "text_sealed"


def test_parts_that_search_or_are_searched_do_not_start_without_the_key_of_the_hashes(
    sealed: Settings,
) -> None:
    lacking = replace(sealed, hmac_key=None)

    with pytest.raises(SettingsError, match="CARELANE_HMAC_KEY"):
        create_app(lacking)
    with engine_of(lacking) as engine, pytest.raises(SettingsError, match="CARELANE_HMAC_KEY"):
        Intake(engine, ChestPain())


def test_a_page_says_which_key_is_missing_and_shows_the_other_messages(
    settings: Settings, sealed: Settings
) -> None:
    closed, ours = hand_in(with_keys(settings, OLD), "old"), hand_in(sealed, "new")

    with somebody(sealed) as ada:
        listed, page = ada.get("/").text, ada.get(f"/messages/{closed}")

    assert CANARY in listed
    assert str(ours) in listed
    assert "sealed under the key &#39;old&#39;" in listed
    assert page.status_code == 200
    assert "carelane doctor" in page.text


def test_texts_are_brought_under_the_new_key_and_back_into_clear(
    settings: Settings, engine: Engine, database_url: URL
) -> None:
    clear, old = hand_in(settings, "clear"), hand_in(with_keys(settings, OLD), "old")
    both = with_keys(settings, NEW, OLD)
    label(both, clear, old)
    with engine_of(with_keys(settings, OLD)) as ours:
        about = {"message_id": old, "outcome": "ok", "purpose": "label"}
        Store(ours).add(llm_exchanges, **about, sent=TEXT, answered=None)
    Store(engine).add(
        explanations,
        message_id=clear,
        kind="rationale",
        label_id=rows(engine, "SELECT id FROM labels LIMIT 1")[0].id,
        asked_by="ada",
        outcome="ok",
        result={"text": f"It says {CANARY}."},
    )

    dry = command(both, "reseal", "--dry-run")
    assert "4 texts would be rewritten" in dry.output
    done = command(both, "reseal", "--batch", "1")
    again = command(both, "reseal")

    assert (done.exit_code, again.exit_code) == (0, 0), done.output
    assert "4 texts were rewritten; nothing is left" in done.output
    assert "0 texts were rewritten" in again.output
    assert {key_of(stored(engine, id_)) for id_ in (clear, old)} == {"new"}
    assert CANARY not in dump(database_url).lower()
    with somebody(with_keys(settings, NEW)) as ada:
        found = ada.get(f"/?show=all&q={CANARY}").text
        assert all(str(id_) in found for id_ in (clear, old))
        assert f"It says {CANARY}." in ada.get(f"/messages/{clear}").text
    (noted,) = rows(engine, "SELECT detail FROM audit_log WHERE action = 'texts_resealed'")
    assert noted.detail == {"to": "new", "rows": 4, "under_way": 0, "passed_over": 0, "closed": 0}

    back = with_keys(settings, "clear", NEW)
    with pytest.raises(SettingsError, match="--to-clear"):
        command(back, "reseal")
    with pytest.raises(SettingsError, match="CARELANE_TEXT_KEYS=clear"):
        command(both, "reseal", "--to-clear")
    assert command(back, "reseal", "--to-clear").exit_code == 0
    assert stored(engine, clear) == stored(engine, old) == TEXT
    with somebody(settings, "bob") as bob:
        found = bob.get(f"/?show=all&q={CANARY[:6]}").text
        assert all(str(id_) in found for id_ in (clear, old))


def test_what_is_under_way_or_does_not_open_is_left_and_said(
    settings: Settings, sealed: Settings, engine: Engine
) -> None:
    waiting, lost = hand_in(settings, "waiting"), hand_in(with_keys(settings, OLD), "lost")
    Store(engine).status(lost, Status.NEEDS_REVIEW)

    done = command(sealed, "reseal")

    assert done.exit_code == 1
    assert "1 are on their way" in done.output
    assert "1 do not open" in done.output
    assert stored(engine, waiting) == TEXT
    assert key_of(stored(engine, lost)) == "old"


def test_another_key_for_hashes_makes_search_words_anew(sealed: Settings, engine: Engine) -> None:
    id_ = hand_in(sealed)
    Store(engine).status(id_, Status.NEEDS_REVIEW)
    rekeyed = replace(sealed, hmac_key="another-key-" * 4)

    assert command(rekeyed, "reseal", "--words").exit_code == 0

    with somebody(rekeyed) as ada:
        assert str(id_) in ada.get(f"/?show=all&q={CANARY}").text


def test_a_made_key_is_one_that_the_setting_takes(settings: Settings) -> None:
    made = command(settings, "new-key", "k2026").output.strip()

    assert Settings.from_env({"CARELANE_TEXT_KEYS": made}).text_keys == made


def test_exports_hold_the_texts_that_were_sealed(
    sealed: Settings, engine: Engine, tmp_path: Path
) -> None:
    id_ = hand_in(sealed)
    with somebody(sealed) as ada:
        form = {"ids": str(id_), "action": "corrected", "category": "symptom", "urgency": "urgent"}
        label(sealed, id_)
        assert ada.post("/messages/decide", form).status_code in (200, 302)
        assert ada.post("/messages/decide", {"ids": str(id_), "action": "done"}).status_code < 400
    change(engine, "UPDATE messages SET received_at = now() - interval '400 days'")

    corrections = CliRunner().invoke(export, ["corrections"], env=environment(sealed))
    file = tmp_path / "kept.jsonl"
    with_age = environment(sealed, CARELANE_KEEP_MESSAGES_DAYS="365")
    gone = CliRunner().invoke(retention, ["--export", str(file)], env=with_age)

    assert CANARY in json.loads(corrections.stdout.splitlines()[0])["text"], corrections.output
    assert CANARY in json.loads(file.read_text().splitlines()[0])["text"], gone.output
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_retention_with_an_export_removes_nothing_that_it_cannot_open(
    settings: Settings, sealed: Settings, engine: Engine, tmp_path: Path
) -> None:
    id_ = hand_in(sealed)
    Store(engine).status(id_, Status.DONE)
    change(engine, "UPDATE messages SET received_at = now() - interval '400 days'")
    old = environment(settings, CARELANE_KEEP_MESSAGES_DAYS="365")

    kept = CliRunner().invoke(retention, ["--export", str(tmp_path / "kept.jsonl")], env=old)
    there = rows(engine, "SELECT 1 FROM messages")
    plain = CliRunner().invoke(retention, [], env=old)

    assert kept.exit_code == 0
    assert "messages: 0 removed" in kept.output
    assert "1 stay: their texts open with no key" in kept.output
    assert there
    # What is not kept need not be read.
    assert plain.exit_code == 0
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_the_doctor_finds_texts_in_clear_and_under_keys_that_are_not_given(
    settings: Settings,
) -> None:
    hand_in(settings, "clear")
    hand_in(with_keys(settings, OLD), "old")

    def said(ours: Settings) -> dict[Health, str]:
        found = [each for each in examine(environment(ours), quick=True) if "text" in each.what]
        return {each.health: each.what for each in found if each.area == "texts"}

    assert "1 lie in clear" in said(with_keys(settings, OLD))[Health.WARNING]
    assert "'old'" in said(with_keys(settings, NEW))[Health.PROBLEM]
    assert "'old'" in said(settings)[Health.PROBLEM]
    assert said(replace(settings)).keys() == {Health.PROBLEM}


def test_what_stands_for_a_closed_text_cannot_be_taken_for_it(
    settings: Settings, sealed: Settings
) -> None:
    hand_in(sealed)

    with engine_of(settings) as engine, transaction(engine) as connection:
        statement = select(messages.c.text.cast(TriedText("messages.text")))
        shown: Any = connection.execute(statement).scalar_one()

    assert isinstance(shown, Unopened)
    assert "'new'" in shown
