"""Postgres: the engine, a transaction, and the translation of its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import SettingsError, StoreError, StoreOverloaded, StoreUnavailable
from shared.sealed_columns import give_keys
from shared.sealed_text import TextKeys
from shared.settings import Settings

#: SQLSTATE classes and codes after which the same transaction may succeed: connection trouble,
#: out of connections or memory, shutdown or start-up, deadlock, serialisation, lock time-out.
_TRANSIENT = ("08", "53", "57P", "40001", "40P01")
#: Out of connections or memory, a lock or a statement that took too long: more work than it can do.
_OVERLOADED = ("53200", "53300", "55P03", "57014")
#: libpq gives no SQLSTATE for what happens while connecting.
_NO_CONNECTION_LEFT = ("too many clients", "remaining connection slots", "too many connections")


def database_url(settings: Settings) -> URL:
    """The URL for SQLAlchemy with the psycopg2 driver, from whatever form the setting has."""
    try:
        url = make_url(settings.require("database_url"))
    except ArgumentError as error:
        raise SettingsError(
            "CARELANE_DATABASE_URL is not a database URL; "
            "write it like postgresql://user:password@host:5432/carelane"
        ) from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise SettingsError(f"CARELANE_DATABASE_URL is for {url.drivername}; it must be postgresql")
    return url.set(drivername="postgresql+psycopg2")


def make_engine(settings: Settings, application_name: str, *, pool_size: int = 5) -> Engine:
    """An engine for this process. Make it after any fork; it connects on first use."""
    engine = create_engine(
        database_url(settings),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        use_insertmanyvalues=True,
        hide_parameters=True,  # an error's text may reach a log; parameters hold patients' words
        connect_args={
            "application_name": application_name,
            "connect_timeout": 5,
            # A vanished server is noticed within about 10 s, not after the kernel's two hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "options": "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=5s "
            "-c idle_in_transaction_session_timeout=60s",
        },
    )
    give_keys(engine, TextKeys.parse(settings.text_keys), settings.hmac_key)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end of the block, rolled back on any exception.

    Raises:
        StoreUnavailable: the database is away; the whole block may be tried again.
        StoreOverloaded: the same, but it is there and has too much to do.
        StoreError: the database refused what the block did.
    """
    with translated_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLAlchemy's and psycopg2's errors into ours."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreOverloaded(
            "no database connection came free within 10 s; the process has more work in hand "
            "than its pool has connections"
        ) from error
    except DBAPIError as error:
        # Only SQLSTATE and the server's first line: parameters may hold a patient's text.
        state = getattr(error.orig, "pgcode", None) or ""
        first_line = str(error.orig).strip().split("\n", 1)[0] if error.orig else "no detail"
        detail = f"Postgres: {first_line} (SQLSTATE {state or 'none'})"
        no_connection = not state and any(words in first_line for words in _NO_CONNECTION_LEFT)
        if no_connection or state.startswith(_OVERLOADED):
            raise StoreOverloaded(detail) from error
        lost = isinstance(error, OperationalError | InterfaceError) and not state
        if lost or error.connection_invalidated or state.startswith(_TRANSIENT):
            raise StoreUnavailable(detail) from error
        raise StoreError(detail) from error
