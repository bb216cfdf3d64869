from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import Engine, update

from dashboard import accounts
from dashboard.app import create_app
from dashboard.cli import users as users_cli
from dashboard.permissions import Access, Role, asked_by
from shared.database import transaction
from shared.errors import InvalidInput, SettingsError
from shared.settings import Settings
from shared.tables import audit_log, users
from tests.dashboard_pages import PASSWORD, Person, Store, add_user
from tests.services import environment

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]


def test_a_one_time_password_lets_in_only_to_the_page_that_changes_it(
    app: Flask, engine: Engine
) -> None:
    once = accounts.add_user(engine, "Ada", Role.CLINICIAN)
    ada = Person(app, "ada")

    ada.sign_in(once)
    assert ada.get("/").headers["Location"] == "/password"
    ada.post("/password", {"old": once, "new": PASSWORD, "again": PASSWORD})

    assert ada.get("/").status_code == 200
    with pytest.raises(accounts.SignInRefused):
        accounts.sign_in(engine, "ada", once, "127.0.0.1")


@pytest.mark.parametrize(
    ("new", "again", "says"),
    [
        ("short", "short", "12 to 200 characters"),
        (PASSWORD, "something else entirely", "differ"),
        ("clinician.one is me", "clinician.one is me", "not hold your name"),
    ],
)
def test_a_password_that_will_not_do_is_refused_in_words(
    signed_in: SignedIn, new: str, again: str, says: str
) -> None:
    person = signed_in(Role.CLINICIAN)

    answer = person.post("/password", {"old": PASSWORD, "new": new, "again": again})

    assert answer.status_code == 400
    assert says in answer.text


def test_wrong_names_and_wrong_passwords_sound_the_same(app: Flask, engine: Engine) -> None:
    add_user(engine, "ada", Role.CLINICIAN)

    wrong = Person(app, "ada").sign_in("wrong password here")
    unknown = Person(app, "nobody").sign_in("wrong password here")

    assert wrong.status_code == unknown.status_code == 403
    assert "Name or password is wrong." in wrong.text
    assert "Name or password is wrong." in unknown.text


def test_after_five_wrong_tries_even_the_right_password_has_to_wait(
    app: Flask, engine: Engine
) -> None:
    add_user(engine, "ada", Role.CLINICIAN)
    add_user(engine, "bob", Role.CLINICIAN)

    for _ in range(5):
        Person(app, "ada").sign_in("wrong password here")

    assert "Too many tries" in Person(app, "ada").sign_in().text
    assert Person(app, "bob").sign_in().status_code == 302


def test_an_address_that_tries_many_names_has_to_wait(engine: Engine) -> None:
    add_user(engine, "ada", Role.CLINICIAN)
    for number in range(30):
        with pytest.raises(accounts.SignInRefused):
            accounts.sign_in(engine, f"guess{number}", "wrong", "203.0.113.9")

    with pytest.raises(accounts.SignInRefused, match="Too many tries"):
        accounts.sign_in(engine, "ada", PASSWORD, "203.0.113.9")
    assert accounts.sign_in(engine, "ada", PASSWORD, "203.0.113.10").name == "ada"


def test_a_form_without_the_sessions_token_changes_nothing(signed_in: SignedIn) -> None:
    person = signed_in(Role.CLINICIAN)

    assert person.client.post("/sign-out").status_code == 400
    assert person.client.post("/sign-out", data={"csrf_token": "guess"}).status_code == 400
    assert person.get("/").status_code == 200


def test_signing_in_needs_the_forms_token_too(app: Flask, engine: Engine) -> None:
    add_user(engine, "ada", Role.CLINICIAN)

    answer = app.test_client().post("/sign-in", data={"name": "ada", "password": PASSWORD})

    assert answer.status_code == 400


def test_a_session_ends_when_nothing_is_done_and_when_it_is_old(signed_in: SignedIn) -> None:
    person = signed_in(Role.CLINICIAN)
    for name, seconds in (("seen_at", 1801), ("started_at", 43_201)):
        person.sign_in()
        with person.client.session_transaction() as session:
            session[name] = int(time.time()) - seconds

        assert person.get("/").headers["Location"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("headers", "renewed"), [({}, True), ({"X-Carelane-Background": "1"}, False)]
)
def test_what_a_page_reads_by_itself_does_not_keep_the_session(
    signed_in: SignedIn, headers: dict[str, str], renewed: bool
) -> None:
    person = signed_in(Role.LEAD)
    seen_at = int(time.time()) - 600
    with person.client.session_transaction() as session:
        session["seen_at"] = seen_at

    assert person.get("/operations", headers=headers).status_code == 200

    with person.client.session_transaction() as session:
        assert (session["seen_at"] > seen_at) is renewed


def test_the_operations_page_marks_that_it_is_read_again_by_itself(signed_in: SignedIn) -> None:
    page = signed_in(Role.LEAD).get("/operations").text

    assert """hx-headers='{"X-Carelane-Background": "1"}'""" in page


def users_command(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(users_cli, list(words), env=environment(settings))


def test_a_user_is_disabled_and_let_in_again_from_the_command_line(
    signed_in: SignedIn, settings: Settings, store: Store
) -> None:
    person = signed_in(Role.CLINICIAN)

    assert users_command(settings, "disable", person.name.upper()).exit_code == 0
    assert person.get("/").status_code == 302
    assert person.sign_in().status_code == 403
    assert users_command(settings, "enable", person.name).exit_code == 0
    assert person.sign_in().status_code == 302

    entries = [row for row in store.rows(audit_log, actor="command line") if row.detail]
    assert [(row.action, row.detail["user"]) for row in entries] == [
        ("user_disabled", person.name),
        ("user_enabled", person.name),
    ]


def test_another_role_holds_from_the_next_request_on(
    signed_in: SignedIn, settings: Settings, store: Store
) -> None:
    person = signed_in(Role.CLINICIAN)
    assert person.get("/").status_code == 200

    assert users_command(settings, "role", person.name, "operations").exit_code == 0

    assert person.get("/").status_code == 403
    (entry,) = store.rows(audit_log, action="role_changed")
    assert entry.detail == {"user": person.name, "role": "operations"}


def test_changing_a_user_who_is_not_there_says_so(settings: Settings, engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="there is no user 'nobody'"):
        accounts.set_enabled(engine, "nobody", False)


def test_after_signing_out_a_copy_of_the_cookie_lets_nobody_in(
    signed_in: SignedIn, app: Flask
) -> None:
    person, copy = signed_in(Role.CLINICIAN), app.test_client()
    cookie = person.client.get_cookie("carelane")
    assert cookie is not None
    copy.set_cookie("carelane", cookie.value)
    assert copy.get("/").status_code == 200

    person.post("/sign-out")

    assert copy.get("/").status_code == 302
    assert person.sign_in().status_code == 302
    assert copy.get("/").status_code == 302


def test_letting_a_user_in_again_does_not_revive_their_old_sessions(
    signed_in: SignedIn, engine: Engine
) -> None:
    person = signed_in(Role.CLINICIAN)

    accounts.set_enabled(engine, person.name, False)
    accounts.set_enabled(engine, person.name, True)

    assert person.get("/").status_code == 302


def test_a_new_password_ends_the_sessions_of_the_old_one(
    signed_in: SignedIn, engine: Engine, app: Flask
) -> None:
    person = signed_in(Role.CLINICIAN)

    accounts.reset_password(engine, person.name)

    assert person.get("/").status_code == 302


def test_a_disabled_user_is_out_at_once(signed_in: SignedIn, engine: Engine) -> None:
    person = signed_in(Role.CLINICIAN)

    with transaction(engine) as connection:
        connection.execute(update(users).values(disabled_at="2026-01-01T00:00:00Z"))

    assert person.get("/").status_code == 302
    assert person.sign_in().status_code == 403


def test_the_session_cookie_is_closed_to_scripts_and_to_plain_http(
    app: Flask,
) -> None:
    def cookie(base_url: str) -> str:
        return app.test_client().get("/sign-in", base_url=base_url).headers["Set-Cookie"]

    remote, plain, loopback = map(
        cookie, ("https://carelane.example", "http://carelane.example", "http://127.0.0.1:8001")
    )

    assert all("HttpOnly" in each and "SameSite=Lax" in each for each in (remote, plain, loopback))
    assert "Secure" in remote
    assert "Secure" in plain
    assert "Secure" not in loopback


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_signing_in_never_leads_to_another_site(app: Flask, engine: Engine, target: str) -> None:
    add_user(engine, "ada", Role.CLINICIAN)
    person = Person(app, "ada")
    person.get("/sign-in")

    answer = person.post("/sign-in", {"name": "ada", "password": PASSWORD, "next": target})

    assert answer.headers["Location"] == "/"


def test_every_page_forbids_foreign_and_inline_scripts(app: Flask) -> None:
    policy = app.test_client().get("/sign-in").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_every_route_says_what_access_it_asks_for(app: Flask) -> None:
    unmarked = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if asked_by(app.view_functions[rule.endpoint]) is None
    ]

    assert unmarked == []


@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_the_routes_that_are_its_own_and_no_others(
    app: Flask, signed_in: SignedIn, store: Store, role: Role
) -> None:
    message_id = store.labelled()
    person = signed_in(role)
    granted = {
        Role.CLINICIAN: {Access.READ_MESSAGES, Access.WORK_MESSAGES},
        Role.LEAD: set(Access),
        Role.OPERATIONS: {Access.OPERATIONS, Access.STEER},
        Role.AUDITOR: {Access.READ_MESSAGES, Access.OPERATIONS, Access.AUDIT},
    }[role]

    for rule in app.url_map.iter_rules():
        access = asked_by(app.view_functions[rule.endpoint])
        if access in (Access.PUBLIC, Access.SIGNED_IN) or rule.endpoint == "live.stream":
            continue
        path = rule.rule.replace("<uuid:message_id>", str(message_id)).replace("<queue>", "fast")
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer = person.get(path) if method == "GET" else person.post(path)
            refused = answer.status_code == 403
            assert refused == (access not in granted), f"{method} {path} for {role}"


def test_nobody_gets_anywhere_without_signing_in(app: Flask, store: Store) -> None:
    message_id = store.labelled("a text that must not show")
    client = app.test_client()

    for rule in app.url_map.iter_rules():
        if asked_by(app.view_functions[rule.endpoint]) is Access.PUBLIC:
            continue
        answer = client.get(rule.rule.replace("<uuid:message_id>", str(message_id)))
        assert answer.status_code in (302, 401, 405), rule.rule
        assert "must not show" not in answer.text


def test_a_user_name_is_given_once_and_kept_in_lower_case(engine: Engine) -> None:
    accounts.add_user(engine, " Ada ", Role.CLINICIAN)

    with pytest.raises(InvalidInput, match="already a user 'ada'"):
        accounts.add_user(engine, "ADA", Role.LEAD)
    with pytest.raises(InvalidInput, match="cannot be a user name"):
        accounts.add_user(engine, "a b\n", Role.LEAD)


def test_the_first_user_is_made_only_where_there_is_none(engine: Engine) -> None:
    made = accounts.seed_first_user(engine)

    assert made is not None
    assert accounts.sign_in(engine, *made, address="127.0.0.1").must_change_password
    assert accounts.seed_first_user(engine) is None


def test_signing_in_and_failing_to_is_in_the_audit_log(
    app: Flask, engine: Engine, store: Store
) -> None:
    add_user(engine, "ada", Role.CLINICIAN)

    Person(app, "ada").sign_in("wrong password here")
    Person(app, "ada").sign_in()

    said = [row.action for row in store.rows(audit_log, actor="ada")]
    assert said[-2:] == ["sign_in_failed", "signed_in"]


def test_a_short_secret_stops_the_process_with_the_variables_name(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="CARELANE_SECRET_KEY"):
        create_app(replace(settings, secret_key="short"))
