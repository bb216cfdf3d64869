"""The real services that integration and end-to-end tests run against.

| fixture | what it gives |
| --- | --- |
| `empty_database` | a function: each call makes an empty database, returns its URL |
| `database_url`, `engine`, `settings` | a migrated database of this test's own |
| `localstack` | the session's LocalStack; `stop()`, `start()`, `restart_empty()` for faults |
| `queue_settings` | `settings` plus queues of this test's own, made from deploy/queues.yaml |
| `standin_llm` | the session's stand-in LLM, knobs reset; `knobs(...)`, `requests()` |
| `stack_settings` | `queue_settings` plus the stand-in as the LLM: all a process needs |

A service that cannot start skips the test with the reason; with CI=true it fails it.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import boto3
import pytest
from sqlalchemy import URL, Engine, create_engine, make_url, pool, text

from localstack import sqs
from localstack.postgres import EmbeddedPostgres
from localstack.stack import Folders, die_with_parent, free_port
from shared.database import make_engine
from shared.errors import CarelaneError
from shared.queues import create_queues
from shared.schema import upgrade
from shared.settings import Settings

_TEMPLATE = "carelane_template"
#: Data is thrown away, so nothing waits for the disk.
_THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

Found = TypeVar("Found")


def eventually(
    look: Callable[[], Found], *, what: str, timeout_s: float = 30.0, every_s: float = 0.05
) -> Found:
    """Look until something true is seen and return it; fail, naming `what`, when it never is."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not seen within {timeout_s:.0f} s: {what}; last look gave {found!r}")
        time.sleep(every_s)


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment that makes a process of ours run with these settings."""
    ours = {
        each.metadata["env"]: str(int(value) if isinstance(value, bool) else value)
        for each in fields(settings)
        if (value := getattr(settings, each.name)) is not None
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARELANE_")}
    return {**kept, **ours, **more}


# --- Postgres -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresForTests:
    """The session's server."""

    server: EmbeddedPostgres

    def url(self, database: str) -> URL:
        return make_url(self.server.url(database)).set(drivername="postgresql+psycopg2")

    def create(self, template: str | None = None) -> str:
        name = f"test_{secrets.token_hex(6)}"
        source = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        self._admin(f'CREATE DATABASE "{name}"{source}')
        return name

    def drop(self, name: str) -> None:
        self._admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _admin(self, sql: str) -> None:
        engine = create_engine(
            self.url("postgres"), poolclass=pool.NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.execute(text(sql))
        engine.dispose()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresForTests]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), _THROWAWAY)
    try:
        server.start()
    except CarelaneError as error:
        _missing("Postgres", error)
    yield PostgresForTests(server)
    server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresForTests) -> str:
    postgres.server.create_database(_TEMPLATE)
    upgrade(postgres.url(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def empty_database(postgres: PostgresForTests) -> Iterator[Callable[[], URL]]:
    made: list[str] = []

    def make() -> URL:
        made.append(postgres.create())
        return postgres.url(made[-1])

    yield make
    for name in made:
        postgres.drop(name)


@pytest.fixture
def database_url(postgres: PostgresForTests, migrated_template: str) -> Iterator[URL]:
    name = postgres.create(migrated_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def settings(database_url: URL) -> Settings:
    return Settings(
        database_url=database_url.render_as_string(hide_password=False),
        secret_key=secrets.token_hex(32),
        hmac_key=secrets.token_hex(32),
    )


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    made = make_engine(settings, "carelane-tests")
    yield made
    made.dispose()


# --- SQS ----------------------------------------------------------------------------------------


@dataclass
class LocalStackForTests:
    """The session's LocalStack."""

    folders: Folders
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = process = sqs.start(self.folders, self.port)
        log = self.folders.log("localstack")
        sqs.wait_until_healthy(self.port, log, lambda: process.poll() is None)

    def stop(self) -> None:
        """From here on connections are refused; what lay in the queues is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart_empty(self, settings: Settings) -> None:
        """What an operator sees after a broker lost everything: empty queues, the same names."""
        self.stop()
        self.start()
        create_queues(settings)


@pytest.fixture(scope="session")
def _localstack_session(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalStackForTests]:
    folders = Folders(tmp_path_factory.mktemp("localstack"))
    folders.make()
    made = LocalStackForTests(folders, free_port())
    try:
        made.start()
    except CarelaneError as error:
        _missing("LocalStack", error)
    yield made
    made.stop()


@pytest.fixture
def localstack(_localstack_session: LocalStackForTests) -> LocalStackForTests:
    # A fault test may have left it stopped or killed.
    if _localstack_session.process is None or _localstack_session.process.poll() is not None:
        _localstack_session.start()
    return _localstack_session


@pytest.fixture
def queue_settings(settings: Settings, localstack: LocalStackForTests) -> Iterator[Settings]:
    made = replace(
        settings,
        queue_prefix=f"test-{secrets.token_hex(4)}",
        sqs_endpoint_url=localstack.endpoint,
    )
    create_queues(made)
    yield made
    if localstack.process is not None:
        client = boto3.client(
            "cloudformation", region_name=made.aws_region, endpoint_url=localstack.endpoint
        )
        client.delete_stack(StackName=f"{made.queue_prefix}-queues")


# --- LLM ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StandinForTests:
    """The session's stand-in LLM."""

    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def knobs(self, **values: object) -> dict[str, Any]:
        """Turn knobs until the end of this test; localstack/standin/knobs.py lists them."""
        return self._call("/standin/knobs", values)

    def reset(self) -> None:
        """All knobs back, the request log emptied."""
        self._call("/standin/reset", {})

    def requests(self) -> list[dict[str, Any]]:
        """Every chat completion asked for in this test, oldest first."""
        return list(self._call("/standin/requests")["requests"])

    def _call(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def answers(self) -> bool:
        try:
            self._call("/standin/requests")
        except (OSError, urllib.error.URLError):
            return False
        return True


@pytest.fixture(scope="session")
def _standin_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinForTests]:
    made = StandinForTests(free_port())
    log = tmp_path_factory.mktemp("standin") / "log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STANDIN_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "localstack.standin", "--port", str(made.port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**kept, "STANDIN_LATENCY_MEAN_S": "0"},
            cwd=Path(__file__).parent.parent,
            preexec_fn=die_with_parent,
        )
    eventually(
        lambda: made.answers() or process.poll() is not None, what=f"the stand-in LLM; log {log}"
    )
    if process.poll() is not None:
        _missing("the stand-in LLM", log.read_text()[-400:])
    yield made
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def standin_llm(_standin_session: StandinForTests) -> Iterator[StandinForTests]:
    _standin_session.reset()
    yield _standin_session
    _standin_session.reset()


@pytest.fixture
def stack_settings(queue_settings: Settings, standin_llm: StandinForTests) -> Settings:
    return replace(
        queue_settings,
        openai_api_key="standin",
        openai_base_url=standin_llm.base_url,
        llm_simulated=True,
    )


def _missing(service: str, reason: object) -> NoReturn:
    """Skip where a developer's machine lacks a service; in CI that is a failure."""
    message = f"{service} did not start: {reason}"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(message)
    pytest.skip(message)
