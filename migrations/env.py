"""Runs migrations: with lock and statement time-outs, so that one never freezes a live table."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

from shared.database import database_url
from shared.settings import Settings
from shared.tables import metadata

#: Two processes that start together must not migrate at once.
_ADVISORY_LOCK = 0x43415245


def run() -> None:
    """Apply the migrations that the command asks for, each in a transaction of its own."""
    url = context.config.attributes.get("url") or database_url(Settings.from_env(os.environ))
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        # Before the lock time-out: another process's migration may take minutes.
        connection.execute(text("SET statement_timeout = '10min'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.commit()
        context.configure(
            connection=connection, target_metadata=metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
