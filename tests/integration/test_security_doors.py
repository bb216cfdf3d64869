"""What somebody tries who means harm, at every door of the intake and the dashboard."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine

from dashboard.permissions import Access, Role, asked_by
from shared.settings import Settings
from shared.tables import audit_log, labels, users
from tests.dashboard_pages import Person, Store, add_user
from tests.integration.intake_parts import Portal, new_key, open_app, rows
from tests.services import environment, eventually

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]

#: Routes of the intake that need no key, each with its reason. A new route is added here by hand
#: or asks for a key.
_OPEN_AT_THE_INTAKE = {
    "/healthz": "says that the process lives",
    "/readyz": "says that Postgres answers",
    "/openapi.json": "the document for machines",
    "/docs": "the document for people",
    "/static/<path:filename>": "style of the document",
    "/fhir/metadata": "the CapabilityStatement, which FHIR wants open",
    "/fhir/": "only says that there is nothing",
    "/fhir/<path:path>": "only says that there is nothing",
}
#: With CARELANE_DEMO_PORTAL=1 only, and for its own source's messages only.
_OPEN_WITH_THE_DEMO_PORTAL = {
    "/",
    "/portal/",
    "/portal/static/<path:filename>",
    "/portal/messages/<uuid:message_id>",
    "/portal/messages/<uuid:message_id>/standing.json",
}
#: The dashboard's routes for which nobody has to be signed in.
_OPEN_AT_THE_DASHBOARD = {
    "/healthz": "says that the process lives",
    "/readyz": "says that Postgres answers",
    "/metrics": "checks a token of its own, or the role",
    "/sign-in": "the form",
    "/sign-in/oidc": "leads to the provider",
    "/sign-in/oidc/back": "comes from the provider, with state and nonce",
    "/static/<path:filename>": "style and scripts",
}

#: Each would do something to a statement that was put together from text.
_SQL = (
    "'",
    '"; DROP TABLE messages; --',
    "' OR '1'='1",
    "1; SELECT pg_sleep(20)--",
    "') UNION SELECT password_hash FROM users--",
    "\\'; DELETE FROM labels; --",
    "%' AND 1=(SELECT count(*) FROM users) AND '%'='",
    "${jndi:ldap://x}' || (SELECT version()) || '",
    "&|!<->():*'\\",
    "\x00' OR 1=1",
)


@pytest.fixture
def intake(settings: Settings) -> Iterator[Flask]:
    with open_app(settings) as made:
        yield made


def _calls(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and rule of an app."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule.rule


def _filled(rule: str, value: str = "019a0000-0000-7000-8000-000000000000") -> str:
    rule = rule.replace("<queue>", "carelane-fast")
    for part in ("message_id", "resource_id"):
        rule = rule.replace(f"<uuid:{part}>", value).replace(f"<{part}>", value)
    assert "<" not in rule, f"{rule}: this test does not know how to fill in a new parameter"
    return rule


# --- Who gets in --------------------------------------------------------------------------------


def test_every_route_of_the_intake_asks_for_a_key_or_is_listed_as_open(
    intake: Flask, settings: Settings
) -> None:
    unprotected = set()
    for method, rule in _calls(intake):
        # No scraper's token is set, so that nobody gets numbers.
        refusal = 404 if rule == "/metrics" else 401
        if rule not in _OPEN_AT_THE_INTAKE:
            answer = intake.test_client().open(_filled(rule), method=method, json={})
            if answer.status_code != refusal:
                unprotected.add((method, rule, answer.status_code))

    assert unprotected == set(), "ask for require_source(), or list the route with its reason"
    assert set(_OPEN_AT_THE_INTAKE) <= {rule.rule for rule in intake.url_map.iter_rules()}
    with open_app(replace(settings, demo_portal=True)) as demo:
        more = {rule.rule for rule in demo.url_map.iter_rules()}
    assert more - {rule.rule for rule in intake.url_map.iter_rules()} == _OPEN_WITH_THE_DEMO_PORTAL


def test_what_is_open_at_the_intake_says_nothing_about_messages(
    intake: Flask, engine: Engine, settings: Settings
) -> None:
    portal = Portal(intake, new_key(engine, settings))
    portal.post({"external_id": "m-secret", "text": "zebrafish words", "patient_ref": "p-9"})
    client = intake.test_client()

    for rule in _OPEN_AT_THE_INTAKE:
        path = rule.replace("<path:filename>", "docs.css").replace("<path:path>", "Patient")
        with client.get(path) as answer:
            assert "zebrafish" not in answer.text, path
            assert "m-secret" not in answer.text, path


def test_the_open_routes_of_the_dashboard_are_these_and_no_others(app: Flask) -> None:
    found = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if asked_by(app.view_functions[rule.endpoint]) is Access.PUBLIC
    }

    assert found <= set(_OPEN_AT_THE_DASHBOARD), "a new open route needs its reason here"


def test_every_route_that_changes_something_wants_the_sessions_token(
    app: Flask, signed_in: SignedIn
) -> None:
    person = signed_in(Role.LEAD)

    for method, rule in _calls(app):
        if method != "GET":
            answer = person.client.open(_filled(rule), method=method, data={"csrf_token": "x" * 43})
            assert answer.status_code == 400, f"{method} {rule} took a foreign token"


def test_a_route_without_a_mark_is_refused_to_everybody(app: Flask, signed_in: SignedIn) -> None:
    person = signed_in(Role.LEAD)
    app.debug = True  # or Flask takes no rule after the first request
    app.view_functions["forgotten"] = lambda: "here you are"
    app.url_map.add(app.url_rule_class("/forgotten", endpoint="forgotten"))

    assert person.get("/forgotten").status_code == 403


def test_no_answer_invites_other_sites_scripts(
    app: Flask, intake: Flask, signed_in: SignedIn
) -> None:
    evil = {"Origin": "https://evil.example"}
    answers = [
        signed_in(Role.LEAD).get("/", headers=evil),
        intake.test_client().get("/openapi.json", headers=evil),
        intake.test_client().options("/v1/messages", headers=evil),
    ]

    assert not [a for a in answers if "Access-Control-Allow-Origin" in a.headers]
    assert all(a.headers["X-Content-Type-Options"] == "nosniff" for a in answers)


# --- Whose messages -----------------------------------------------------------------------------


def test_another_sources_message_looks_like_none_on_every_route(
    intake: Flask, engine: Engine, settings: Settings
) -> None:
    owner = Portal(intake, new_key(engine, settings))
    other = {"Authorization": f"Bearer {new_key(engine, settings, 'other-clinic')}"}
    theirs = owner.post({"external_id": "m-1", "text": "zebrafish"}).json["messages"][0]["id"]
    nobodys = "019a0000-0000-7000-8000-000000000000"
    with_id = [rule for method, rule in _calls(intake) if "_id>" in rule and method == "GET"]
    assert len(with_id) >= 3

    paths = [*with_id, "/fhir/Task?focus=Communication/<resource_id>"]
    for path in paths:
        answer, none = (
            intake.test_client().get(_filled(path, each), headers=other)
            for each in (theirs, nobodys)
        )
        assert answer.status_code == none.status_code, path
        assert answer.text.replace(theirs, "?") == none.text.replace(nobodys, "?"), path
        assert "zebrafish" not in answer.text


# --- More than was asked for --------------------------------------------------------------------


def test_a_portal_sets_nothing_but_what_a_message_has(
    intake: Flask, engine: Engine, settings: Settings
) -> None:
    portal = Portal(intake, new_key(engine, settings))
    more: list[dict[str, object]] = [
        {"id": "019a0000-0000-7000-8000-000000000000"},
        {"source": "other-clinic"},
        {"status": "done"},
        {"urgency_rank": 2},
        {"red_flags": []},
        {"current_label_id": 1},
        {"received_at": "2001-01-01T00:00:00Z"},
        {"lease_owner": "me"},
        {"__class__": "x"},
    ]

    for each in more:
        answer = portal.post({"external_id": "m-1", "text": "chest pain", **each})
        assert answer.status_code == 422, each
        assert answer.json["errors"][0]["reason"] == "unknown_field"
    assert rows(engine, "SELECT 1 FROM messages") == []


def test_a_decision_sets_nothing_but_what_a_decision_has(store: Store, signed_in: SignedIn) -> None:
    message_id = store.labelled()
    person = signed_in(Role.CLINICIAN)
    before = store.read(message_id)

    person.post(
        "/messages/decide",
        {
            "ids": str(message_id),
            "action": "corrected",
            "urgency": "urgent",
            "author": "somebody.else",
            "actor": "somebody.else",
            "tier": "llm",
            "status": "done",
            "source": "x",
            "text": "x",
            "cost_usd": "-5",
            "id": "1",
            "role": "lead",
            "received_at": "2001-01-01",
            "model_version": "x",
        },
    )

    after = store.read(message_id)
    made = store.rows(labels, message_id=message_id)[-1]
    said = store.rows(audit_log, message_id=message_id)[-1]
    assert (made.author, made.tier, made.urgency) == (person.name, "human", "urgent")
    assert (made.cost_usd, made.model_version) == (None, None)
    assert said.actor == person.name
    assert (after.text, after.source, after.received_at) == (
        before.text, before.source, before.received_at,
    )  # fmt: skip
    assert after.status == "labelled"


def test_nobody_gets_another_role_or_another_users_password_by_a_form(
    app: Flask, engine: Engine, store: Store, signed_in: SignedIn
) -> None:
    add_user(engine, "victim", Role.LEAD)
    person = signed_in(Role.CLINICIAN)
    before = {row.name: row for row in store.rows(users)}

    person.post(
        "/password",
        {
            "old": "four quiet brown herons",
            "new": "five loud green herons",
            "again": "five loud green herons",
            "name": "victim",
            "user_id": str(before["victim"].id),
            "role": "lead",
        },
    )

    after = {row.name: row for row in store.rows(users)}
    assert after["victim"].password_hash == before["victim"].password_hash
    assert after[person.name].role == "clinician"


# --- Too much -----------------------------------------------------------------------------------


def test_a_form_too_large_for_the_dashboard_is_refused(
    app: Flask, store: Store, signed_in: SignedIn
) -> None:
    store.labelled()
    person = signed_in(Role.CLINICIAN)

    large = person.post("/messages/decide", {"reason": "x" * 1_100_000})
    many = person.post(
        "/messages/decide",
        {f"f{n}": "x" for n in range(2_000)},
        content_type="multipart/form-data",
    )
    stranger = Person(app, "nobody").client.post("/sign-in", data={"name": "x" * 1_100_000})

    assert {large.status_code, many.status_code, stranger.status_code} == {413}
    assert person.get("/").status_code == 200


# --- Statements from words ----------------------------------------------------------------------


def test_no_words_become_sql_in_search_filters_and_the_audit_log(
    store: Store, signed_in: SignedIn
) -> None:
    kept = store.labelled("a text that stays")
    person = signed_in(Role.LEAD)

    for words in _SQL:
        _search_everywhere(person, words)

    assert store.read(kept).text == "a text that stays"
    assert store.rows(labels)
    assert len(store.rows(users)) == 1


def _search_everywhere(person: Person, words: str) -> None:
    names = ("q", "show", "urgency", "pool", "category", "tier", "age", "unread", "mine")

    for name in names:
        answer = person.get("/?" + urlencode({"show": "all", name: words}))
        assert answer.status_code == 200, f"{name}={words!r}"
        assert "$argon2id$" not in answer.text
    for name in ("after", "before", "place", "page", "who", "action", "message"):
        for page in ("/", "/audit"):
            answer = person.get(f"{page}?" + urlencode({name: words}))
            assert answer.status_code in (200, 400), f"{page}?{name}={words!r}"


def test_no_words_become_sql_at_the_intake(
    intake: Flask, engine: Engine, settings: Settings
) -> None:
    portal = Portal(intake, new_key(engine, settings))

    for words in _SQL[:-1]:
        _hand_in(portal, engine, words)

    assert len(rows(engine, "SELECT 1 FROM api_keys")) == 1


def _hand_in(portal: Portal, engine: Engine, words: str) -> None:

    taken = portal.post({"external_id": words, "text": words, "patient_ref": words})
    asked = portal.status(words.replace("/", "-").replace("?", "-"))
    stranger = Portal(portal.app, words).status("x")

    assert taken.status_code in (202, 422)  # control characters are no id
    if taken.status_code == 202:
        row = rows(engine, "SELECT * FROM messages ORDER BY id DESC LIMIT 1")[0]
        assert (row.external_id, row.text, row.patient_ref) == (words, words, words)
    assert asked.status_code == 404
    assert stranger.status_code == 401


# --- What is written down -----------------------------------------------------------------------

_SECRETS: dict[str, Any] = {
    "secret_key": "canary-of-the-secret-key-0123456789abcdef",
    "hmac_key": "canary-of-the-hmac-key-0123456789abcdef",
    "openai_api_key": "sk-canary-of-the-llm-key",
    "api_key": "clk_canary-of-the-api-key",
    "metrics_token": "canary-of-the-metrics-token-01234567",
    "oidc_client_secret": "canary-of-the-oidc-secret",
}
_PASSWORD = "canary-of-the-database-password"


@pytest.mark.parametrize(
    "command",
    [
        ["carelane", "relay"],
        ["carelane", "database", "upgrade"],
        ["gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "producer.app:create_app()"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_secret_is_logged_when_nothing_works(command: list[str]) -> None:
    """Nobody listens on these ports, and everything is said at DEBUG."""
    nowhere = Settings(
        database_url=f"postgresql://carelane:{_PASSWORD}@127.0.0.1:9/carelane",
        sqs_endpoint_url="http://127.0.0.1:9",
        openai_base_url="http://127.0.0.1:9/v1",
        log_level="DEBUG",
        **_SECRETS,
    )
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        env=environment(nowhere),
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said = process.stdout.readline()
    eventually(lambda: process.poll() is not None or said, what="a word of the process")
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=30)[0]

    assert said.strip()
    assert "canary" not in said
