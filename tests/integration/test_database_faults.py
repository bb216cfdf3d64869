"""A database that is there and cannot: no connection left, no room on its disk, slow to answer."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from localstack.postgres import EmbeddedPostgres
from producer.relay import relay_lane
from shared.contracts import Lane
from shared.database import make_engine, transaction
from shared.errors import StoreOverloaded, StoreUnavailable
from shared.schema import upgrade
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from tests.integration.intake_parts import Portal, new_key, open_app
from tests.services import eventually
from tests.tcp_proxy import proxy_to
from tests.worker_process import SURE, ObedientLabeller
from tests.worker_stack import Clinic
from workers.chunk import Delivery
from workers.composition import fast_runtime
from workers.triage import run_fast_chunk

pytestmark = pytest.mark.integration

_CONNECTIONS = 30
_DELIVERY = Delivery(None, None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A small server of this module's own, that tests may exhaust."""
    small = {"fsync": "off", "max_connections": str(_CONNECTIONS)}
    made = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), small)
    made.start()
    made.create_database("template")
    upgrade(_url(made, "template"))
    yield made
    made.stop()


@pytest.fixture
def small(server: EmbeddedPostgres) -> Iterator[Settings]:
    admin = create_engine(_url(server, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE small TEMPLATE template"))
    yield Settings(database_url=_url(server, "small"), secret_key="x" * 32, hmac_key="y" * 32)
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE small WITH (FORCE)"))
    admin.dispose()


def _url(server: EmbeddedPostgres, database: str) -> Any:
    url = make_url(server.url(database)).set(drivername="postgresql+psycopg2")
    return url.render_as_string(hide_password=False) if database == "small" else url


@pytest.fixture
def engine_of_small(small: Settings) -> Iterator[Engine]:
    made = make_engine(small, "carelane-tests", pool_size=1)
    yield made
    made.dispose()


@contextmanager
def _no_connection_left(settings: Settings) -> Iterator[None]:
    url = make_url(settings.database_url or "").set(drivername="postgresql")
    taken = []
    try:
        with contextlib.suppress(psycopg2.OperationalError):
            while len(taken) <= _CONNECTIONS:
                taken.append(psycopg2.connect(url.render_as_string(hide_password=False)))
        yield
    finally:
        for each in taken:
            each.close()


def test_without_a_connection_left_the_intake_asks_to_come_back_and_then_takes_it(
    small: Settings, engine_of_small: Engine
) -> None:
    message = {"external_id": "1", "text": "Please refill my metformin"}
    with open_app(small) as app:
        portal = Portal(app, new_key(engine_of_small, small))
        engine_of_small.dispose()

        with _no_connection_left(small):
            refused = portal.post(message)
        taken = eventually(
            lambda: (answer := portal.post(message)).status_code == 202 and answer, what="taken"
        )

    assert refused.status_code == 429
    assert refused.json["type"] == "urn:carelane:problem:overloaded"
    assert int(refused.headers["Retry-After"]) >= 1
    assert taken.json["accepted"] == 1


def test_a_lock_or_a_statement_that_takes_too_long_is_overload(engine_of_small: Engine) -> None:
    def wait() -> None:
        with transaction(engine_of_small) as connection:
            connection.execute(text("SET LOCAL statement_timeout = '20ms'"))
            connection.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(StoreOverloaded, match="57014"):
        wait()


@contextmanager
def _full_disk(
    server: EmbeddedPostgres, engine: Engine, folder: Path
) -> Iterator[Callable[[], None]]:
    """The tables of messages on a small disk of their own that is full; gives what makes room."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0777", "carelane-test", folder],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("a small disk can be mounted by root only")
    ballast = folder / "ballast"
    try:
        place = folder / "tables"
        place.mkdir()
        owner = server.data.stat()
        for each in (folder, place):
            each.chmod(0o777)
        place.chmod(0o700)
        subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", place], check=True)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE TABLESPACE small_disk LOCATION '{place}'"))
            for table in ("messages", "labels"):
                connection.execute(text(f"ALTER TABLE {table} SET TABLESPACE small_disk"))
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield ballast.unlink
    finally:
        ballast.unlink(missing_ok=True)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in ("messages", "labels"):
                connection.execute(text(f"ALTER TABLE {table} SET TABLESPACE pg_default"))
            connection.execute(text("DROP TABLESPACE IF EXISTS small_disk"))
        subprocess.run(["umount", folder], check=True)


def test_with_a_full_disk_the_intake_keeps_nothing_and_says_so_and_workers_wait(
    small: Settings, engine_of_small: Engine, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    clinic = Clinic(engine_of_small, replace(small, fast_lease_s=2.0))
    ids = clinic.accept(f"{SURE} before")
    runtime = fast_runtime(clinic.settings, Taxonomy.load(), ObedientLabeller())
    long = "word " * 3000
    with (
        open_app(small) as app,
        _full_disk(server, engine_of_small, tmp_path / "disk") as make_room,
    ):
        portal = Portal(app, new_key(engine_of_small, small))
        batch = [{"external_id": str(n), "text": f"{n} {long}"} for n in range(50)]
        refused = portal.post({"messages": batch})
        with contextlib.suppress(StoreUnavailable):
            run_fast_chunk(ids, runtime, _DELIVERY)
        make_room()

        eventually(
            lambda: clinic.statuses(ids) == ["labelled"] or _try(ids, runtime), what="labelled"
        )
        taken = portal.post({"messages": batch[:5]})

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert taken.json["accepted"] == 5
    assert len(clinic.labels(ids[0])) == 1


def _try(ids: Any, runtime: Any) -> None:
    with contextlib.suppress(StoreUnavailable):
        run_fast_chunk(ids, runtime, _DELIVERY)


class _Takes:
    """A publisher that takes everything."""

    def publish(self, _lane: Lane, chunks: Any) -> list[bool]:
        return [True] * len(chunks)


def test_a_database_that_answers_slowly_loses_nothing(
    small: Settings, server: EmbeddedPostgres
) -> None:
    with proxy_to(server.socket_folder() / ".s.PGSQL.5432") as proxy:
        slow_url = make_url(small.database_url or "").set(
            host="127.0.0.1", port=proxy.port, query={}
        )
        slow = replace(small, database_url=slow_url.render_as_string(hide_password=False))
        engine = make_engine(slow, "carelane-tests", pool_size=2)
        clinic = Clinic(engine, slow)
        runtime = fast_runtime(slow, Taxonomy.load(), ObedientLabeller())
        with open_app(slow) as app:
            portal = Portal(app, new_key(engine, small))
            proxy.delay_s = 0.02
            started = time.monotonic()
            answer = portal.post({"external_id": "1", "text": f"{SURE} slow"})
            with transaction(engine) as connection:
                ids = list(connection.execute(text("SELECT id FROM messages")).scalars())
            relay_lane(engine, _Takes(), Lane.FAST)  # type: ignore[arg-type]
            run_fast_chunk(ids, runtime, _DELIVERY)
            took_s = time.monotonic() - started

        assert answer.status_code == 202
        assert clinic.statuses(ids) == ["labelled"]
        assert took_s > 0.3, "the proxy did not slow anything down"
        runtime.engine.dispose()
        engine.dispose()
