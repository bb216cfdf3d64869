from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine

from dashboard.app import create_app
from dashboard.permissions import Role
from shared.contracts import Status, Tier, Urgency
from shared.settings import Settings
from shared.tables import audit_log, llm_calls, llm_exchanges
from tests.dashboard_pages import WILD, Person, Store, text_of

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]
FLAG = {"rule": "chest_pain", "title": "Chest pain", "urgency": "emergent", "start": 7, "end": 17}


def ids_in_order(page: str) -> list[str]:
    return [part.split('"', 1)[0] for part in page.split('<li id="m-')[1:]]


def test_the_list_is_by_urgency_first_and_by_age_within(signed_in: SignedIn, store: Store) -> None:
    routine = store.labelled(minutes_ago=500)
    young = store.labelled(minutes_ago=5, urgency=Urgency.URGENT)
    old = store.labelled(minutes_ago=50, urgency=Urgency.URGENT)
    flagged = store.message("I have chest pain", flags=[FLAG])

    page = signed_in(Role.CLINICIAN).get("/").text

    assert ids_in_order(page) == [str(each) for each in (flagged, old, young, routine)]


def test_a_message_that_a_person_has_done_leaves_the_list(
    signed_in: SignedIn, store: Store
) -> None:
    store.status(store.labelled(), Status.DONE)

    assert "Nothing is open" in text_of(signed_in(Role.CLINICIAN).get("/").text)


def test_each_state_says_what_it_is(signed_in: SignedIn, store: Store) -> None:
    person = signed_in(Role.CLINICIAN)

    message_id = store.message()
    assert "processing…" in person.get("/").text
    store.label(message_id, status=Status.ESCALATED)
    assert "processing… second opinion" in person.get("/").text
    store.status(message_id, Status.NEEDS_REVIEW, "llm_refusal")
    assert "Needs review The second opinion declined" in text_of(person.get("/").text)
    store.label(message_id, tier=Tier.LLM)
    assert "second opinion (LLM)" in person.get("/").text


def test_a_red_flag_stands_on_the_line_while_the_message_is_processing(
    signed_in: SignedIn, store: Store
) -> None:
    store.message("I have chest pain", flags=[FLAG])

    page = text_of(signed_in(Role.CLINICIAN).get("/").text)

    assert "Emergent I have chest pain Chest pain processing…" in page


def test_paging_goes_on_where_the_page_ended_although_messages_arrive(
    signed_in: SignedIn, store: Store
) -> None:
    made = [str(store.labelled(minutes_ago=200 - n)) for n in range(120)]
    person = signed_in(Role.CLINICIAN)

    seen: list[str] = []
    path: str | None = "/"
    while path:
        page = person.get(path).text
        seen += ids_in_order(page)
        store.labelled(urgency=Urgency.URGENT)  # sorts before everything on the later pages
        more = page.split('id="more">')[1]
        path = more.split('"')[1].replace("&amp;", "&") if more.startswith("<a") else None

    assert [each for each in seen if each in made] == made
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("place", ["nonsense", "1~yesterday~x", "1~2026-01-01T00:00:00~x"])
def test_a_broken_link_into_the_list_is_refused_in_words(signed_in: SignedIn, place: str) -> None:
    answer = signed_in(Role.CLINICIAN).get("/", query_string={"after": place})

    assert answer.status_code == 400
    assert "Open the worklist anew" in answer.text


def test_the_message_page_tells_every_label_with_what_made_it(
    signed_in: SignedIn, store: Store
) -> None:
    message_id = store.message("I have chest pain", flags=[FLAG])
    store.label(message_id, status=Status.ESCALATED, model_version="triage-9", latency_ms=3.4)
    store.label(
        message_id,
        "symptom",
        Urgency.EMERGENT,
        tier=Tier.LLM,
        prompt_version="p7",
        cost_usd="0.000041",
        rationale="New chest pain.",
    )

    page = signed_in(Role.CLINICIAN).get(f"/messages/{message_id}").text

    words = text_of(page)
    for said in ("model triage-9", "3.4 ms", "prompt p7", "$0.000041", "New chest pain."):
        assert said in words
    assert words.index("By second opinion (LLM)") < words.index("By fast model")
    assert '<mark class="emergent" title="Chest pain">chest pain</mark>' in page


def test_the_first_reading_is_kept_and_every_reading_is_audited(
    signed_in: SignedIn, store: Store
) -> None:
    message_id = store.labelled()
    person = signed_in(Role.CLINICIAN)

    person.get(f"/messages/{message_id}")
    first = store.read(message_id).first_read_at
    person.get(f"/messages/{message_id}")

    assert first is not None
    assert store.read(message_id).first_read_at == first
    said = store.rows(audit_log, message_id=message_id, action="message_read")
    assert [row.actor for row in said] == [person.name] * 2


def test_an_auditor_reads_without_making_the_message_read(
    signed_in: SignedIn, store: Store
) -> None:
    message_id = store.labelled()

    signed_in(Role.AUDITOR).get(f"/messages/{message_id}")

    assert store.read(message_id).first_read_at is None
    assert len(store.rows(audit_log, message_id=message_id)) == 1


@pytest.mark.parametrize("text", WILD, ids=lambda text: text[:12])
def test_wild_text_stays_text_on_every_page(signed_in: SignedIn, store: Store, text: str) -> None:
    message_id = store.labelled(text, patient_ref=text[:300], sender=text[:300])
    other = store.labelled(patient_ref=text[:300])
    store.label(message_id, tier=Tier.LLM, rationale=text, model_version=text[:300])
    person = signed_in(Role.LEAD)
    form = {"ids": [str(message_id)], "action": "corrected", "urgency": "urgent", "reason": text}
    assert person.post("/messages/decide", form, follow_redirects=True).status_code == 200
    search = "/?" + urlencode({"q": text[:250], "show": "all"})

    pages = ("/", search, f"/messages/{message_id}", f"/messages/{other}", "/operations", "/audit")
    for path in pages:
        page = person.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "</li></ol> " not in page
        assert "onerror=alert(1)>" not in page


def test_every_page_says_that_the_llm_is_simulated_when_it_is(
    settings: Settings, store: Store
) -> None:
    for simulated in (True, False):
        app: Flask = create_app(replace(settings, llm_simulated=simulated))
        page = app.test_client().get("/sign-in").text
        app.extensions["carelane"].hub.stop()
        app.extensions["carelane"].engine.dispose()

        assert ("The LLM is simulated" in page) is simulated


def test_health_and_readiness_answer_without_signing_in(app: Flask) -> None:
    client = app.test_client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").get_json()["status"] == "ok"


def test_an_unknown_message_is_not_found(signed_in: SignedIn) -> None:
    answer = signed_in(Role.CLINICIAN).get("/messages/00000000-0000-7000-8000-000000000000")

    assert answer.status_code == 404


def test_the_message_page_shows_what_the_llm_was_sent_and_answered(
    signed_in: SignedIn, store: Store
) -> None:
    message_id = store.labelled()
    call_id = store.add(
        llm_calls, model="gpt-9", prompt_version="p", outcome="ok", messages=3, latency_ms=9
    )
    about = {"message_id": message_id, "purpose": "label"}
    answer = '{"i":"bkt","l":"CB2"}'
    sent = "Renew it for [NAME_1] <script>alert(1)</script>"
    store.add(llm_exchanges, **about, sent=sent, answered=answer, outcome="ok", llm_call_id=call_id)
    store.add(llm_exchanges, **about, sent="Renew it", outcome="content_filter")

    page = signed_in(Role.CLINICIAN).get(f"/messages/{message_id}").text

    assert "<script>alert" not in page
    words = text_of(page)
    for said in (
        "Renew it for [NAME_1]",
        "Refill + Medication, Urgent",
        "with 2 other messages",
        "By gpt-9",
        "Nothing that could be used (content filter)",
        "Kept for 30 days",
    ):
        assert said in words


def test_which_messages_a_list_showed_to_whom_can_be_looked_up(
    signed_in: SignedIn, store: Store
) -> None:
    shown = store.labelled()
    other = store.labelled()
    store.status(other, Status.DONE)
    clinician, auditor = signed_in(Role.CLINICIAN), signed_in(Role.AUDITOR)

    clinician.get("/")
    clinician.get("/", headers={"X-Carelane-Background": "1"})

    by_person, by_itself = store.rows(audit_log, action="listed")
    assert by_person.detail == {"lines": 1, "ids": [str(shown)]}
    assert by_itself.detail["by_itself"]
    about = text_of(auditor.get(f"/audit?message={shown}").text)
    assert about.count("clinician.one had a page of the worklist") == 2
    assert str(shown) not in about
    assert "had a page" not in auditor.get(f"/audit?message={other}").text


def test_an_open_message_that_reads_itself_again_keeps_no_session_alive(
    signed_in: SignedIn, store: Store, engine: Engine
) -> None:
    message_id = store.message()
    person = signed_in(Role.CLINICIAN)
    with person.client.session_transaction() as session:
        before = session["seen_at"] = session["seen_at"] - 300

    for path in (f"/messages/{message_id}", f"/messages/{message_id}/explanations"):
        person.get(path, headers={"X-Carelane-Background": "1"})
    with person.client.session_transaction() as session:
        assert session["seen_at"] == before
    person.get(f"/messages/{message_id}")

    with person.client.session_transaction() as session:
        assert session["seen_at"] > before
    reads = [row.detail for row in store.rows(audit_log, action="message_read")]
    assert reads == [{"by_itself": True}, {}]
