"""The demo portal: typed as a patient, taken in as any message, shown in words for patients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from shared.ids import new_message_id
from shared.settings import Settings
from tests.integration.intake_parts import change, open_app, outbox, rows

pytestmark = pytest.mark.integration


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    with open_app(replace(settings, demo_portal=True, max_text_chars=500)) as made:
        yield made


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def _external_id(page: str) -> str:
    found = re.search(r'name="external_id" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_typed_message_is_received_and_its_way_followed(
    browser: FlaskClient, engine: Engine
) -> None:
    form = browser.get("/portal/").text
    sent = browser.post(
        "/portal/", data={"text": "Refill please\r\nthanks", "external_id": _external_id(form)}
    )

    assert sent.status_code == 303
    page = browser.get(sent.location).text
    assert "Response received, processing…" in page
    assert '<meta http-equiv="refresh"' in page, "goes on without JavaScript"
    (row,) = rows(engine, "SELECT id, source, text FROM messages")
    assert (row.source, row.text) == ("demo-portal", "Refill please\nthanks")
    assert outbox(engine) == {row.id: "fast"}

    change(
        engine,
        """
        WITH made AS (
            INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version)
            VALUES (:id, '{refill}', 'urgent', 'fast', '1') RETURNING id
        )
        UPDATE messages SET status = 'labelled', current_label_id = made.id FROM made
        """,
        id=row.id,
    )
    now = browser.get(f"{sent.location}/standing.json").json
    page = browser.get(sent.location).text
    assert now == {
        "processing": False,
        "patient_text": "Received. Your care team has it.",
        "emergency_text": None,
        "pool": {"name": "pharmacist", "title": "Pharmacists"},
    }
    assert "Pharmacists" in page
    assert "urgent" not in page.lower()
    assert "http-equiv" not in page


def test_the_bare_address_leads_to_the_form(browser: FlaskClient) -> None:
    assert browser.get("/").location == "/portal/"


def test_a_double_click_hands_in_one_message_and_other_words_another(
    browser: FlaskClient, engine: Engine
) -> None:
    form = {"text": "Hello", "external_id": _external_id(browser.get("/portal/").text)}

    first, second = browser.post("/portal/", data=form), browser.post("/portal/", data=form)
    third = browser.post("/portal/", data={**form, "text": "Other words"})

    assert first.location == second.location
    assert third.location != first.location
    assert len(rows(engine, "SELECT 1 FROM messages")) == 2


def test_danger_is_answered_at_once(browser: FlaskClient) -> None:
    sent = browser.post("/portal/", data={"text": "I have chest pain"})

    page = browser.get(sent.location).text

    assert re.search(r'id="emergency"[^>]*role="alert">Do not wait', page)
    assert "call 911 now" in page


@pytest.mark.parametrize(
    ("text", "words"), [("  ", "please write something"), ("x" * 501, "at most 500 characters")]
)
def test_what_cannot_be_taken_is_said_and_the_words_are_kept_in_the_form(
    browser: FlaskClient, engine: Engine, text: str, words: str
) -> None:
    answer = browser.post("/portal/", data={"text": text})

    assert answer.status_code == 422
    assert words in answer.text
    assert f">\n{text}</textarea>" in answer.text
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_hostile_text_is_shown_as_text(browser: FlaskClient) -> None:
    hostile = '</textarea><script>alert(1)</script>"\u202e' + "x" * 600

    answer = browser.post("/portal/", data={"text": hostile, "external_id": '"><script>'})

    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


def test_messages_of_real_portals_are_not_shown_here(browser: FlaskClient, engine: Engine) -> None:
    other = new_message_id()
    change(
        engine,
        "INSERT INTO messages (id, source, external_id, text) VALUES (:id, 'clinic', 'a', 'x')",
        id=other,
    )

    assert browser.get(f"/portal/messages/{other}").status_code == 404
    assert browser.get(f"/portal/messages/{other}/standing.json").status_code == 404


class _Inline(HTMLParser):
    found: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if (tag == "script" and "src" not in names) or tag == "style" or "style" in names:
            self.found.append(tag)
        self.found += [name for name in names if name.startswith("on")]


def test_pages_run_nothing_inline_and_load_nothing_from_elsewhere(browser: FlaskClient) -> None:
    sent = browser.post("/portal/", data={"text": "hi"})
    for path in ("/portal/", sent.location):
        answer = browser.get(path)
        parser = _Inline()
        parser.found = []
        parser.feed(answer.text)

        assert parser.found == []
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
        for link in re.findall(r'(?:src|rel="stylesheet" href)="([^"]+)"', answer.text):
            with browser.get(link) as asset:
                assert asset.status_code == 200


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_llm_is_said_on_every_page(settings: Settings, simulated: bool) -> None:
    with open_app(replace(settings, demo_portal=True, llm_simulated=simulated)) as app:
        browser = app.test_client()
        sent = browser.post("/portal/", data={"text": "hi"})
        pages = [browser.get("/portal/").text, browser.get(sent.location).text]

    assert {"The LLM is simulated" in page for page in pages} == {simulated}
