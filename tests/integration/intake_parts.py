"""What the tests of the producer share: an app with its client, a key, rows to look at."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from producer.app import create_app
from producer.door import door_of
from producer.keys import add_key
from shared.contracts import Urgency
from shared.database import transaction
from shared.red_flags import RedFlag
from shared.settings import Settings

SOURCE = "city-clinic"


class ChestPain:
    """The seam to the red-flag rules, with one rule of each kind."""

    def find(self, text: str) -> tuple[RedFlag, ...]:
        """Chest pain is emergent, a rash urgent."""
        rules = {"chest pain": Urgency.EMERGENT, "rash": Urgency.URGENT}
        return tuple(
            RedFlag(rule=words, title=words, urgency=urgency, start=m.start(), end=m.end())
            for words, urgency in rules.items()
            for m in re.finditer(words, text)
        )


@dataclass(frozen=True)
class Portal:
    """A portal with its key, calling the intake without a socket in between."""

    app: Flask
    key: str

    def post(self, body: object, **headers: str) -> TestResponse:
        """Hand `body` in; bytes go as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.app.test_client().post(
            "/v1/messages",
            data=data,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}", **headers},
        )

    def status(self, message_id: object) -> TestResponse:
        """Ask for one message."""
        return self.app.test_client().get(
            f"/v1/messages/{message_id}", headers={"Authorization": f"Bearer {self.key}"}
        )


@contextmanager
def open_app(settings: Settings) -> Iterator[Flask]:
    """The intake's app over these settings; its connections end with the block."""
    app = create_app(settings, red_flags=ChestPain())
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield app
    door_of(app).engine.dispose()


@contextmanager
def listening(app: Flask) -> Iterator[str]:
    """`app` behind a real socket; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def new_key(engine: Engine, settings: Settings, source: str = SOURCE) -> str:
    """A fresh API key of `source`."""
    with transaction(engine) as connection:
        return add_key(connection, source, settings.require("hmac_key"))


def rows(engine: Engine, sql: str, **parameters: Any) -> list[Any]:
    """What a look at the database shows."""
    with engine.connect() as connection:
        return list(connection.execute(text(sql), parameters))


def change(engine: Engine, sql: str, **parameters: Any) -> None:
    """Bring the database into a state that takes time or faults to reach."""
    with engine.begin() as connection:
        connection.execute(text(sql), parameters)


def outbox(engine: Engine) -> dict[UUID, str]:
    """The lane of each message in the outbox."""
    found = rows(engine, "SELECT message_id, lane FROM outbox")
    return {row.message_id: row.lane for row in found}
