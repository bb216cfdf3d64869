"""LISTEN and NOTIFY: how one process hears of another's commit.

A notification is a hint, never the truth: those sent while a listener reconnects are lost, so
a listener looks at the table after every (re)connect.
"""

from __future__ import annotations

import json
import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg2
import psycopg2.extensions
from sqlalchemy import Connection, text

from shared.contracts import CHANNEL_MESSAGES, CHANNEL_OUTBOX, IDS_PER_NOTIFY
from shared.database import database_url
from shared.errors import StoreUnavailable
from shared.settings import Settings


def notify_outbox(connection: Connection) -> None:
    """Wake the relays when this transaction commits."""
    connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL_OUTBOX})


def notify_messages(connection: Connection, ids: Sequence[UUID]) -> None:
    """Tell the dashboards, when this transaction commits, that these messages changed.

    One notification per 32 ids, because every notification takes a lock at commit.
    """
    for start in range(0, len(ids), IDS_PER_NOTIFY):
        chunk = [str(each) for each in ids[start : start + IDS_PER_NOTIFY]]
        connection.execute(
            text("SELECT pg_notify(:channel, :payload)"),
            {"channel": CHANNEL_MESSAGES, "payload": json.dumps({"ids": chunk})},
        )


@dataclass(frozen=True)
class Notification:
    """What came in: the channel's name and the payload as sent."""

    channel: str
    payload: str


class Listener:
    """One connection of its own that LISTENs. Not for sharing between threads."""

    def __init__(self, settings: Settings, application_name: str, *channels: str) -> None:
        self._url = database_url(settings).set(drivername="postgresql")
        self._application_name = application_name
        self._channels = channels
        self._connection: psycopg2.extensions.connection | None = None

    def connect(self) -> None:
        """Connect and LISTEN; afterwards the caller looks at the table once.

        Raises:
            StoreUnavailable: the database cannot be reached now.
        """
        self.close()
        try:
            connection = psycopg2.connect(
                self._url.render_as_string(hide_password=False),
                application_name=self._application_name,
                connect_timeout=5,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
            )
            connection.autocommit = True
            with connection.cursor() as cursor:
                for channel in self._channels:
                    cursor.execute(f'LISTEN "{channel}"')
        except psycopg2.Error as error:
            raise StoreUnavailable(f"Postgres: {str(error).strip()}") from error
        self._connection = connection

    def wait(self, timeout_s: float) -> Iterator[Notification]:
        """The notifications that are there, after waiting at most `timeout_s` for the first.

        Raises:
            StoreUnavailable: the connection is gone; call `connect` again.
        """
        connection = self._connection
        if connection is None:
            raise StoreUnavailable("the listener is not connected")
        try:
            readable, _, _ = select.select([connection], [], [], timeout_s)
            if readable:
                connection.poll()
        except (psycopg2.Error, OSError, ValueError) as error:
            self.close()
            raise StoreUnavailable(f"Postgres: {str(error).strip()}") from error
        while connection.notifies:
            notification = connection.notifies.pop(0)
            yield Notification(notification.channel, notification.payload)

    def close(self) -> None:
        """Close the connection, if any; may be called at any time."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.closed:
            connection.close()
