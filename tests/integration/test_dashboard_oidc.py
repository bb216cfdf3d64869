"""Sign-in by OpenID against a real provider on this machine: oidc-provider-mock, as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from dashboard import accounts
from dashboard.app import create_app
from dashboard.permissions import Role
from localstack.stack import die_with_parent, free_port
from shared.errors import InvalidInput
from shared.settings import Settings
from shared.tables import audit_log, users
from tests.dashboard_pages import PASSWORD, Person, Store, add_user, text_of
from tests.services import eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The provider's issuer."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--require-nonce", "true"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    issuer = f"http://127.0.0.1:{port}"
    eventually(lambda: _answers(issuer), what="the provider answers")
    yield issuer
    process.terminate()
    process.wait(timeout=10)


def _answers(issuer: str) -> bool:
    try:
        return httpx.get(f"{issuer}/.well-known/openid-configuration").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def with_oidc(settings: Settings, provider: str) -> Settings:
    return replace(
        settings,
        oidc_issuer=provider,
        oidc_client_id="carelane",
        oidc_client_secret="not a real one",
        oidc_roles="Heads=lead; Nurses=clinician",
        oidc_role_claim="groups",
    )


@pytest.fixture
def serve() -> Iterator[Callable[[Settings], Flask]]:
    made: list[Flask] = []

    def serve(settings: Settings) -> Flask:
        made.append(create_app(settings))
        return made[-1]

    yield serve
    for app in made:
        app.extensions["carelane"].hub.stop()
        app.extensions["carelane"].engine.dispose()


@pytest.fixture
def app(with_oidc: Settings, serve: Callable[[Settings], Flask]) -> Flask:
    return serve(with_oidc)


def knows(provider: str, subject: str, name: str, *groups: str) -> None:
    """Have the provider know somebody."""
    claims = {"preferred_username": name, "groups": list(groups)}
    httpx.put(f"{provider}/users/{subject}", json=claims).raise_for_status()


def way_back(person: Person, subject: str, path: str = "/sign-in/oidc") -> str:
    """Sign in at the provider; where it sends the browser."""
    away = person.get(path)
    assert away.status_code == 302
    return httpx.post(away.headers["Location"], data={"sub": subject}).headers["Location"]


def come_in(person: Person, subject: str, path: str = "/sign-in/oidc") -> TestResponse:
    back = urlsplit(way_back(person, subject, path))
    return person.get(f"{back.path}?{back.query}")


def test_whom_the_provider_vouches_for_comes_in_with_the_role_of_their_group(
    app: Flask, provider: str, store: Store
) -> None:
    knows(provider, "u-1", "Ada.Byron", "Everybody", "Nurses")
    person = Person(app, "ada.byron")

    answer = come_in(person, "u-1", "/sign-in/oidc?next=/?show=all")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/?show=all")
    page = person.get("/").text
    assert "role clinician" in page
    assert person.get("/operations").status_code == 403
    [user] = store.rows(users)
    assert (user.name, user.role, user.must_change_password) == ("ada.byron", "clinician", False)
    actions = [row.action for row in store.rows(audit_log)]
    assert actions[:2] == ["user_added", "signed_in"]


def test_a_new_group_at_the_provider_is_a_new_role_at_the_next_sign_in(
    app: Flask, provider: str, store: Store
) -> None:
    knows(provider, "u-2", "ada", "Nurses")
    come_in(Person(app, "ada"), "u-2")
    knows(provider, "u-2", "ada", "Heads")

    person = Person(app, "ada")
    come_in(person, "u-2")

    assert person.get("/operations").status_code == 200
    assert len(store.rows(users)) == 1
    assert [row.detail["role"] for row in store.rows(audit_log, action="role_changed")] == ["lead"]


def test_who_has_no_group_of_ours_stays_outside(app: Flask, provider: str, store: Store) -> None:
    knows(provider, "u-3", "eve", "Gardeners")

    answer = come_in(Person(app, "eve"), "u-3")

    assert answer.status_code == 403
    assert "no role in Carelane" in answer.text
    assert store.rows(users) == []


def test_a_local_user_of_the_same_name_is_not_taken_over(
    app: Flask, provider: str, engine: Engine
) -> None:
    add_user(engine, "ada", Role.LEAD)
    knows(provider, "u-4", "ada", "Nurses")

    answer = come_in(Person(app, "ada"), "u-4")

    assert answer.status_code == 403
    assert "another user" in text_of(answer.text)
    assert Person(app, "ada").sign_in(PASSWORD).status_code == 302


def test_a_disabled_user_stays_outside_whatever_the_provider_says(
    app: Flask, provider: str, engine: Engine
) -> None:
    knows(provider, "u-5", "ada", "Nurses")
    person = Person(app, "ada")
    come_in(person, "u-5")

    accounts.set_enabled(engine, "ada", False)

    assert person.get("/").status_code == 302
    assert "disabled" in come_in(Person(app, "ada"), "u-5").text


def test_a_vouched_user_has_no_password_and_gets_none(
    app: Flask, provider: str, engine: Engine
) -> None:
    knows(provider, "u-6", "ada", "Nurses")
    come_in(Person(app, "ada"), "u-6")

    for guess in ("!", "", PASSWORD):
        assert Person(app, "ada").sign_in(guess).status_code == 403
    with pytest.raises(InvalidInput, match="with a password"):
        accounts.reset_password(engine, "ada")


def test_a_way_back_is_worth_nothing_in_another_browser_or_a_second_time(
    app: Flask, provider: str
) -> None:
    knows(provider, "u-7", "ada", "Nurses")
    person = Person(app, "ada")
    back = urlsplit(way_back(person, "u-7"))
    link = f"{back.path}?{back.query}"

    stranger = Person(app, "mallory")
    assert stranger.get(link).status_code == 403
    assert stranger.get("/").status_code == 302
    assert person.get(link).status_code == 302
    assert Person(app, "late").get(link).status_code == 403


def test_without_a_provider_there_is_neither_a_button_nor_a_way(
    settings: Settings, serve: Callable[[Settings], Flask]
) -> None:
    person = Person(serve(settings), "ada")

    assert "organisation's account" not in person.get("/sign-in").text
    assert person.get("/sign-in/oidc").status_code == 404
    assert person.get("/sign-in/oidc/back?code=1&state=2").status_code == 404


def test_while_the_provider_is_away_passwords_go_on_working(
    with_oidc: Settings, serve: Callable[[Settings], Flask], engine: Engine
) -> None:
    add_user(engine, "ada", Role.CLINICIAN)
    app = serve(replace(with_oidc, oidc_issuer="http://127.0.0.1:9"))
    person = Person(app, "ada")

    assert "organisation" in person.get("/sign-in").text
    answer = person.get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text
    assert person.sign_in(PASSWORD).status_code == 302
