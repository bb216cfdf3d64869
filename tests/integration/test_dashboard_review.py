from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, delete, select, text, update

from dashboard.permissions import Role
from shared.contracts import Status, Tier, Urgency
from shared.database import transaction
from shared.errors import StoreError
from shared.tables import audit_log, label_cache, labels, messages, outbox
from tests.dashboard_pages import Person, Store, add_user, text_of

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]
FLAG = {"rule": "chest", "title": "Chest pain", "urgency": "emergent", "start": 0, "end": 3}


@pytest.fixture
def ada(signed_in: SignedIn) -> Person:
    return signed_in(Role.CLINICIAN)


def decide(person: Person, ids: UUID | list[UUID], action: str, **more: Any) -> dict[str, Any]:
    """What the page's script does on a key."""
    chosen = [str(each) for each in (ids if isinstance(ids, list) else [ids])]
    form = {"ids": chosen, "action": action, **more}
    answer = person.post("/messages/decide", form, headers={"Accept": "application/json"})
    assert answer.status_code == 200, text_of(answer.text)
    found: dict[str, Any] = json.loads(answer.text)
    return found


def undo(person: Person, told: dict[str, Any]) -> dict[str, Any]:
    answer = person.post(
        "/messages/undo", {"token": told["undo"]}, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200, text_of(answer.text)
    found: dict[str, Any] = json.loads(answer.text)
    return found


def current(store: Store, message_id: UUID) -> Any:
    """The message's current label."""
    (label,) = store.rows(labels, id=store.read(message_id).current_label_id)
    return label


def test_a_correction_becomes_the_label_and_the_old_one_stays_in_the_history(
    ada: Person, store: Store
) -> None:
    message_id = store.labelled()

    told = decide(
        ada,
        message_id,
        "corrected",
        category="medication",
        urgency="urgent",
        pool="clinician",
        reason="asks about a dose",
    )

    label = current(store, message_id)
    assert (label.categories, label.urgency, label.pool) == (["medication"], "urgent", "clinician")
    assert (label.tier, label.author, label.rationale) == ("human", ada.name, "asks about a dose")
    assert len(store.rows(labels, message_id=message_id)) == 2
    assert store.read(message_id).urgency_rank == Urgency.URGENT.rank
    assert "Medication" in told["lines"]
    assert "Clinicians" in told["lines"]


def test_one_key_changes_the_urgency_and_keeps_the_rest(ada: Person, store: Store) -> None:
    message_id = store.labelled(category="results")

    decide(ada, message_id, "corrected", urgency="emergent")

    assert current(store, message_id).categories == ["results"]
    assert store.read(message_id).urgency_rank == 0


def test_changing_the_urgency_keeps_further_categories_and_the_pool(
    ada: Person, store: Store
) -> None:
    message_id = store.message()
    store.label(message_id, categories=["results", "billing"], pool="clinician")

    decide(ada, message_id, "corrected", urgency="urgent", pool="keep", reason="")

    label = current(store, message_id)
    assert (label.categories, label.pool) == (["results", "billing"], "clinician")
    assert label.urgency == "urgent"


def test_only_a_person_brings_a_flagged_message_down(ada: Person, store: Store) -> None:
    message_id = store.message(flags=[FLAG])
    store.label(message_id, urgency=Urgency.EMERGENT)

    told = decide(ada, message_id, "corrected", urgency="routine")

    assert 'data-urgency="routine"' in told["lines"]


def test_a_correction_wins_over_a_label_that_arrives_later(
    ada: Person, store: Store, engine: Engine
) -> None:
    message_id = store.message()
    decide(ada, message_id, "corrected", category="billing", urgency="routine")

    # As the workers write: only while the status is the one they work on.
    with transaction(engine) as connection:
        late = connection.execute(
            update(messages)
            .where(messages.c.id == message_id, messages.c.status.in_(["queued", "escalated"]))
            .values(status="labelled", current_label_id=None)
        )

    assert late.rowcount == 0
    assert current(store, message_id).categories == ["billing"]


def test_a_correction_feeds_the_cache_and_undoing_takes_it_out_again(
    ada: Person, store: Store, engine: Engine
) -> None:
    message_id = store.labelled(cache_key="key of the text")

    def cached() -> list[str]:
        with transaction(engine) as connection:
            rows = connection.execute(select(label_cache.c.categories, label_cache.c.tier))
            return [f"{row.categories[0]} by {row.tier}" for row in rows]

    told = decide(ada, message_id, "corrected", category="billing")
    assert cached() == ["billing by human"]
    undo(ada, told)

    assert cached() == []


def test_confirming_a_provisional_label_settles_what_needs_review(
    ada: Person, store: Store
) -> None:
    message_id = store.message()
    store.label(message_id, "results", Urgency.URGENT, status=Status.ESCALATED)
    store.status(message_id, Status.NEEDS_REVIEW, "llm_off")

    decide(ada, message_id, "accepted")

    row = store.read(message_id)
    assert (row.status, row.status_reason) == ("labelled", None)
    label = current(store, message_id)
    assert (label.categories, label.urgency, label.tier) == (["results"], "urgent", "human")
    assert label.reasons == ["accepted"]


def test_what_has_no_label_yet_cannot_be_confirmed_and_says_why(ada: Person, store: Store) -> None:
    message_id = store.message()

    told = decide(ada, message_id, "accepted")

    assert "has no category yet" in told["said"]
    assert store.read(message_id).status == "queued"


def test_done_and_open_again(ada: Person, store: Store) -> None:
    message_id = store.labelled()

    decide(ada, message_id, "done")
    assert store.read(message_id).status == "done"
    assert store.read(message_id).reviewed_at is not None
    decide(ada, message_id, "reopened")

    assert store.read(message_id).status == "labelled"
    assert store.read(message_id).reviewed_at is None


def test_taking_giving_back_and_giving_to_somebody(
    ada: Person, store: Store, engine: Engine
) -> None:
    add_user(engine, "bob", Role.LEAD)
    add_user(engine, "ops", Role.OPERATIONS)
    message_id = store.labelled()

    decide(ada, message_id, "assigned", to="me")
    assert store.read(message_id).assignee == ada.name
    decide(ada, message_id, "assigned", to="bob")
    assert store.read(message_id).assignee == "bob"
    decide(ada, message_id, "assigned", to="nobody")
    assert store.read(message_id).assignee is None
    for nobody in ("ops", "who"):
        form = {"ids": [str(message_id)], "action": "assigned", "to": nobody}
        assert ada.post("/messages/decide", form).status_code == 400


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("corrected", {"category": "billing", "urgency": "urgent"}),
        ("accepted", {}),
        ("done", {}),
        ("assigned", {"to": "me"}),
    ],
)
def test_every_decision_can_be_undone(
    ada: Person, store: Store, action: str, more: dict[str, str]
) -> None:
    message_id = store.labelled()
    before = store.read(message_id)
    told = decide(ada, message_id, action, **more)

    undo(ada, told)

    after = store.read(message_id)
    for name in ("status", "status_reason", "current_label_id", "urgency_rank", "assignee"):
        assert getattr(after, name) == getattr(before, name)
    said = [row.action for row in store.rows(audit_log, message_id=message_id)]
    assert said == [action, "undone"]


def test_undoing_gives_an_unfinished_message_back_to_the_machine(ada: Person, store: Store) -> None:
    message_id = store.message()

    undo(ada, decide(ada, message_id, "done"))

    assert store.read(message_id).status == "queued"
    assert [row.lane for row in store.rows(outbox, message_id=message_id)] == ["fast"]


def test_undoing_gives_a_flagged_message_back_to_the_queue_that_is_served_first(
    ada: Person, store: Store
) -> None:
    message_id = store.message(flags=[FLAG])

    undo(ada, decide(ada, message_id, "done"))

    assert [row.lane for row in store.rows(outbox, message_id=message_id)] == ["priority"]


def test_undoing_a_label_takes_back_that_the_message_was_settled(ada: Person, store: Store) -> None:
    message_id = store.message()

    told = decide(ada, message_id, "corrected", category="billing")
    assert store.read(message_id).settled_at is not None
    undo(ada, told)

    assert store.read(message_id).settled_at is None


def test_undo_leaves_what_somebody_changed_since(
    ada: Person, signed_in: SignedIn, store: Store
) -> None:
    message_id = store.labelled()
    told = decide(ada, message_id, "corrected", urgency="urgent")
    decide(signed_in(Role.LEAD), message_id, "corrected", urgency="emergent")

    said = undo(ada, told)["said"]

    assert "changed again meanwhile" in said
    assert current(store, message_id).urgency == "emergent"


def test_nobody_undoes_somebody_elses_decision(
    ada: Person, signed_in: SignedIn, store: Store
) -> None:
    told = decide(ada, store.labelled(), "done")

    answer = signed_in(Role.LEAD).post("/messages/undo", {"token": told["undo"]})

    assert answer.status_code == 400


def test_many_messages_are_decided_and_undone_together(ada: Person, store: Store) -> None:
    ids = [store.labelled() for _ in range(5)]
    store.status(ids[0], Status.DONE)

    told = decide(ada, ids, "done")
    assert told["said"] == "Marked done: 4 messages. Left as they were: 1 (is done already)."
    undo(ada, told)

    assert [store.read(each).status for each in ids] == ["done"] + ["labelled"] * 4


@pytest.mark.parametrize(
    "form",
    [
        {"action": "done", "ids": []},
        {"action": "done", "ids": ["x"]},
        {"action": "message_read", "ids": ["00000000-0000-7000-8000-000000000000"]},
        {"action": "nonsense", "ids": ["00000000-0000-7000-8000-000000000000"]},
        {"action": "corrected", "ids": ["00000000-0000-7000-8000-000000000000"]},
        {"action": "corrected", "category": "x", "ids": ["00000000-0000-7000-8000-000000000000"]},
        {"action": "corrected", "urgency": "x", "ids": ["00000000-0000-7000-8000-000000000000"]},
        {"action": "corrected", "pool": "x", "ids": ["00000000-0000-7000-8000-000000000000"]},
        {"action": "done", "ids": [f"00000000-0000-7000-8000-{n:012}" for n in range(201)]},
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_in_words(
    ada: Person, form: dict[str, Any]
) -> None:
    answer = ada.post("/messages/decide", form)

    assert answer.status_code == 400
    assert len(text_of(answer.text).split("400")[-1]) > 20


def test_everyone_else_sees_the_decision_live(app: Flask, ada: Person, store: Store) -> None:
    hub = app.extensions["carelane"].hub
    message_id = store.labelled()
    position = hub.position
    decide(ada, message_id, "done")

    seen = b""
    for piece in hub.stream(position, 9e9):
        seen += piece
        if b'data-state="done"' in seen:
            break

    assert str(message_id).encode() in seen


def test_the_message_page_tells_who_decided_what(ada: Person, store: Store) -> None:
    message_id = store.labelled()
    decide(ada, message_id, "corrected", urgency="urgent", reason="since yesterday")
    decide(ada, message_id, "assigned", to="me")

    words = text_of(ada.get(f"/messages/{message_id}").text)

    assert f"By a person ( {ada.name} )" in words
    assert "since yesterday" in words
    assert f"{ada.name} gave it to {ada.name}" in words
    assert f"{ada.name} changed the label" in words


def test_other_messages_of_the_same_patient_are_on_the_page(ada: Person, store: Store) -> None:
    store.labelled("the earlier one", patient_ref="pt-1")
    store.labelled("of another patient", patient_ref="pt-2")
    message_id = store.labelled("the later one", patient_ref="pt-1")

    page = ada.get(f"/messages/{message_id}").text

    assert "the earlier one" in page
    assert "of another patient" not in page


@pytest.mark.parametrize(
    "change",
    [
        update(audit_log).values(actor="somebody"),
        delete(audit_log),
        text("TRUNCATE audit_log"),
        update(labels).values(tier=Tier.HUMAN.value),
    ],
    ids=["update audit", "delete audit", "truncate audit", "update label"],
)
def test_history_cannot_be_rewritten(
    ada: Person, store: Store, engine: Engine, change: Any
) -> None:
    decide(ada, store.labelled(), "done")

    with (
        pytest.raises(StoreError, match="only ever added"),
        transaction(engine) as connection,
    ):
        connection.execute(change)
