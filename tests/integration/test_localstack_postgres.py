"""The embedded Postgres: starts, starts again, survives what killed it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from localstack.postgres import EmbeddedPostgres, PostgresError
from tests.services import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off"})
    yield made
    made.stop()


def _run(server: EmbeddedPostgres, sql: str) -> object:
    url = make_url(server.url("carelane")).set(drivername="postgresql+psycopg2")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        result = connection.execute(text(sql))
        return result.scalar() if result.returns_rows else None


def _remember(server: EmbeddedPostgres) -> None:
    server.start()
    server.create_database("carelane")
    _run(server, "CREATE TABLE kept AS SELECT 42 AS value")


def test_it_is_postgres_18_and_listens_on_no_port(server: EmbeddedPostgres) -> None:
    server.start()
    server.create_database("carelane")

    assert str(_run(server, "SHOW server_version")).startswith("18")
    assert _run(server, "SHOW listen_addresses") == ""


def test_data_is_there_after_a_stop_and_a_start(server: EmbeddedPostgres) -> None:
    _remember(server)

    server.stop()
    server.start()
    server.create_database("carelane")

    assert _run(server, "SELECT value FROM kept") == 42


def test_it_comes_back_after_a_kill(server: EmbeddedPostgres) -> None:
    _remember(server)
    pid = server.pid()
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.pid() is None, what="the end of the server")
    server.start()

    assert _run(server, "SELECT value FROM kept") == 42


def test_a_pid_file_that_names_another_program_does_not_stop_it(server: EmbeddedPostgres) -> None:
    _remember(server)
    stale = (server.data / "postmaster.pid").read_text().split("\n", 1)[1]
    server.stop()

    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{stale}")
    assert server.pid() is None
    server.start()

    assert _run(server, "SELECT value FROM kept") == 42


def test_a_start_that_was_cut_short_is_made_good(server: EmbeddedPostgres) -> None:
    half_made = server.folder / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "postgresql.conf").touch()

    server.start()
    server.create_database("carelane")

    assert _run(server, "SELECT 1") == 1


def test_a_second_start_finds_the_first_server(server: EmbeddedPostgres) -> None:
    server.start()
    first = server.pid()

    server.start()

    assert server.pid() == first


def test_a_folder_too_deep_for_a_socket_and_closed_to_others_is_no_hindrance(
    tmp_path: Path,
) -> None:
    deep = tmp_path / ("d" * 120) / "postgres"
    deep.parent.mkdir(mode=0o700)
    server = EmbeddedPostgres(deep, {"fsync": "off"})

    server.start()
    try:
        server.create_database("carelane")
        assert _run(server, "SELECT 1") == 1
        assert deep.parent.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()


def test_nobody_else_can_reach_the_data_or_the_socket(server: EmbeddedPostgres) -> None:
    server.start()

    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert (server.socket_folder() / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700


def test_data_of_another_version_is_refused_with_what_to_do(server: EmbeddedPostgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("15\n")

    with pytest.raises(PostgresError, match=r"made by Postgres 15.*Move that folder away"):
        server.start()
