"""Debian's RabbitMQ and Redis as processes of the tests' own, in folders that go with them.

`make brokers` installs them. Where they are missing and nobody may install them (not root), tests
are skipped with that reason; in CI, which runs as root, they fail.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from localstack.stack import die_with_parent, free_port
from shared import broker_queues
from shared.errors import CarelaneError
from shared.settings import Settings
from tests.services import StandinForTests, eventually

_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one that does not ask for its user


class BrokerForTests(Protocol):
    """A server."""

    url: str

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Redis:
    """A Redis that writes everything down, as one that carries messages should."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [_found("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--dir", str(self.folder), "--appendonly", "yes", "--save", ""]
        self.process = _start(command, self.folder / "log")

    def stop(self) -> None:
        _end(self.process)


@dataclass
class RabbitMq:
    """A RabbitMQ of one node, with a name service of its own."""

    folder: Path
    port: int
    name_port: int
    process: subprocess.Popen[bytes] | None = None
    names: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        env = {**os.environ, "HOME": str(self.folder), "ERL_EPMD_PORT": str(self.name_port)}
        env |= {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "db"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "none"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }
        if not _RABBITMQ.exists():
            _found("rabbitmq-server")
        # Else the server would start one that outlives it.
        self.names = _start([_found("epmd")], self.folder / "names.log", env)
        self.process = _start([str(_RABBITMQ)], self.folder / "log", env)

    def stop(self) -> None:
        _end(self.process)
        _end(self.names)


def _start(
    command: list[str], log: Path, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=env, preexec_fn=die_with_parent
        )


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        process.terminate()
        process.wait(timeout=30)


def _found(name: str) -> str:
    program = shutil.which(name)
    if program is None and os.geteuid() != 0:
        pytest.skip(f"{name} is not installed, and only root may: sudo make brokers")
    if program is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{name} is not installed: make brokers")
        pytest.skip(f"{name} is not installed: make brokers")
    return program


@pytest.fixture(scope="session")
def _brokers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], BrokerForTests]]:
    started: dict[str, BrokerForTests] = {}

    def get(name: str) -> BrokerForTests:
        if name not in started:
            folder = tmp_path_factory.mktemp(name)
            made: BrokerForTests = (
                Redis(folder, free_port())
                if name == "redis"
                else RabbitMq(folder, free_port(), free_port())
            )
            made.start()
            started[name] = made
            wait_until_it_answers(made)
        return started[name]

    yield get
    for each in started.values():
        each.stop()


def wait_until_it_answers(broker: BrokerForTests) -> None:
    """Look until a client gets in."""
    settings = Settings(broker_url=broker.url)

    def answers() -> bool:
        try:
            broker_queues.create(settings)
        except CarelaneError:
            return False
        return True

    eventually(answers, what=f"{type(broker).__name__} answers", timeout_s=60, every_s=0.2)


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(
    request: pytest.FixtureRequest, _brokers: Callable[[str], BrokerForTests]
) -> BrokerForTests:
    """Each of the brokers that can be had here, one test after the other."""
    return _brokers(request.param)


@pytest.fixture
def broker_settings(
    settings: Settings, broker: BrokerForTests, standin_llm: StandinForTests
) -> Settings:
    """All that a process needs, with queues of this test's own, and leases short enough to wait."""
    made = replace(
        settings,
        broker_url=broker.url,
        queue_prefix=f"test-{secrets.token_hex(4)}",
        fast_lease_s=3.0,
        llm_lease_s=6.0,
        openai_api_key="standin",
        openai_base_url=standin_llm.base_url,
        llm_simulated=True,
    )
    broker_queues.create(made)
    return made
