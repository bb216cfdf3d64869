"""The dashboard for tests: an app, users who are signed in, messages and labels put in place."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, insert, select, update
from werkzeug.test import TestResponse

from dashboard.app import create_app
from dashboard.permissions import Role
from localstack.stack import die_with_parent, free_port
from shared.contracts import Status, Tier, Urgency
from shared.database import transaction
from shared.ids import new_message_id
from shared.notify import notify_messages
from shared.settings import Settings
from shared.tables import labels, messages, users
from tests.services import environment, eventually

PASSWORD = "four quiet brown herons"

#: Texts that would do harm if a page took them for anything but text.
WILD = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>\" onmouseover='alert(1)'",
    "{{ 7 * 7 }} {% raw %} </textarea></li></ol>",
    "data: 1\n\nevent: resync\ndata: {}\n\n",
    "dose \u202e gm 01 \u2066 then \u0007 bell",
    "x" * 100_000,
]


@dataclass(frozen=True)
class Store:
    """Puts messages and labels where intake and workers would."""

    engine: Engine

    def message(
        self,
        text: str = "Please renew my lisinopril.",
        *,
        status: Status = Status.QUEUED,
        minutes_ago: float = 0,
        flags: Sequence[dict[str, Any]] = (),
        **more: Any,
    ) -> UUID:
        """A message at the door, announced as intake announces it."""
        message_id = new_message_id()
        row = {
            "id": message_id,
            "source": "test",
            "external_id": str(message_id),
            "text": text,
            "status": status.value,
            "received_at": datetime.now(UTC) - timedelta(minutes=minutes_ago),
            "red_flags": list(flags),
            "urgency_rank": min((Urgency(f["urgency"]).rank for f in flags), default=2),
            **more,
        }
        with transaction(self.engine) as connection:
            connection.execute(insert(messages).values(row))
            notify_messages(connection, [message_id])
        return message_id

    def label(
        self,
        message_id: UUID,
        category: str = "refill",
        urgency: Urgency = Urgency.ROUTINE,
        *,
        tier: Tier = Tier.FAST,
        status: Status = Status.LABELLED,
        **more: Any,
    ) -> int:
        """A label as a worker stores it: provisional while the status says escalated."""
        provisional = status is Status.ESCALATED
        row = {
            "message_id": message_id,
            "categories": [category],
            "urgency": urgency.value,
            "tier": tier.value,
            "provisional": provisional,
            "taxonomy_version": "1",
            "category_confidence": 0.93,
            **more,
        }
        pointer = "provisional_label_id" if provisional else "current_label_id"
        with transaction(self.engine) as connection:
            label_id = int(
                connection.execute(insert(labels).values(row).returning(labels.c.id)).scalar_one()
            )
            values = {pointer: label_id, "status": status.value, "urgency_rank": urgency.rank}
            connection.execute(update(messages).where(messages.c.id == message_id).values(values))
            notify_messages(connection, [message_id])
        return label_id

    def labelled(self, text: str = "Please renew my lisinopril.", **more: Any) -> UUID:
        """A message with its final label."""
        urgency = more.pop("urgency", Urgency.ROUTINE)
        category = more.pop("category", "refill")
        message_id = self.message(text, **more)
        self.label(message_id, category, urgency)
        return message_id

    def status(self, message_id: UUID, status: Status, reason: str | None = None) -> None:
        """Move a message on."""
        values = {"status": status.value, "status_reason": reason}
        with transaction(self.engine) as connection:
            connection.execute(update(messages).where(messages.c.id == message_id).values(values))
            notify_messages(connection, [message_id])

    def add(self, table: Any, **row: Any) -> int:
        """A row of any table; returns its id."""
        with transaction(self.engine) as connection:
            return int(
                connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one()
            )

    def read(self, message_id: UUID) -> Any:
        """The message's row."""
        with transaction(self.engine) as connection:
            return connection.execute(select(messages).where(messages.c.id == message_id)).one()

    def rows(self, table: Any, **where: Any) -> list[Any]:
        """Rows of a table, oldest first."""
        statement = select(table).order_by(table.c.id)
        for name, value in where.items():
            statement = statement.where(table.c[name] == value)
        with transaction(self.engine) as connection:
            return list(connection.execute(statement))


class Person:
    """Somebody at the dashboard, in a browser without a screen."""

    def __init__(self, app: Flask, name: str) -> None:
        self.name = name
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, **more)

    def post(self, path: str, form: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        """Send a form with the page's CSRF token, as a browser would."""
        with self.client.session_transaction() as session:
            token = session.get("csrf", "")
        return self.client.post(path, data={"csrf_token": token, **(form or {})}, **more)

    def sign_in(self, password: str = PASSWORD) -> TestResponse:
        self.get("/sign-in")
        return self.post("/sign-in", {"name": self.name, "password": password})


@lru_cache(maxsize=1)
def _cheap_hash() -> str:
    # Each of a hundred tests signs somebody in; the real cost has a test of its own.
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def add_user(engine: Engine, name: str, role: Role) -> None:
    """A user whose one-time password is already changed to PASSWORD."""
    row = {
        "name": name,
        "role": role.value,
        "password_hash": _cheap_hash(),
        "must_change_password": False,
    }
    with transaction(engine) as connection:
        connection.execute(insert(users).values(row))


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    made = create_app(settings)
    shared = made.extensions["carelane"]
    assert shared.hub.connected.wait(10)
    yield made
    shared.hub.stop()
    shared.engine.dispose()


@pytest.fixture
def signed_in(app: Flask, engine: Engine) -> Callable[[Role], Person]:
    """Somebody of this role, signed in."""

    def sign_in(role: Role) -> Person:
        name = f"{role.value}.one"
        add_user(engine, name, role)
        person = Person(app, name)
        assert person.sign_in().status_code == 302
        return person

    return sign_in


@dataclass
class Server:
    """gunicorn serving the dashboard, as deployed."""

    settings: Settings
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "-c", "python:dashboard.gunicorn_config"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--bind", f"127.0.0.1:{self.port}", "dashboard.app:create_app()"],
                env=environment(self.settings, CARELANE_DASHBOARD_URL=self.url),
                cwd=Path(__file__).parent.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        eventually(lambda: _ready(self.url), what=f"the dashboard ready; log {self.log}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None


@pytest.fixture
def dashboard_server(settings: Settings, tmp_path: Path) -> Iterator[Server]:
    server = Server(settings, free_port(), tmp_path / "dashboard.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def count(engine: Engine, table: Any) -> int:
    """How many rows a table has."""
    with transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def text_of(page: str) -> str:
    """A page's words without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())
