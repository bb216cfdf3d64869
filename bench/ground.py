"""What both sides stand on: one Postgres, one LocalStack, one stand-in LLM, thrown away after."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url

from bench.processes import Processes
from bench.waiting import wait_until
from localstack import sqs
from localstack.postgres import EmbeddedPostgres
from localstack.stack import Folders, free_port


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The services, running."""

    folder: Path
    postgres: EmbeddedPostgres
    sqs_port: int
    llm_port: int
    #: Process ids by name, for the accounting of CPU time.
    pids: Mapping[str, int]

    @property
    def sqs_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.sqs_port}"

    @property
    def llm_base_url(self) -> str:
        return f"http://127.0.0.1:{self.llm_port}/v1"

    def database(self, name: str) -> URL:
        """A database of this name, made if it is not there."""
        self.postgres.create_database(name)
        return make_url(self.postgres.url(name)).set(drivername="postgresql+psycopg2")

    def llm(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Talk to the stand-in: its knobs and its record of requests."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.llm_port}/standin/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  our own server
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def common_ground(folder: Path, llm_latency_s: float) -> Iterator[Ground]:
    """Start the services, and stop them at the end."""
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    folders = Folders(folder)
    folders.make()
    with ExitStack() as stack:
        postgres = EmbeddedPostgres(folder / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        sqs_port, llm_port = free_port(), free_port()
        queue_service = sqs.start(folders, sqs_port)
        stack.callback(queue_service.wait)
        stack.callback(queue_service.kill)
        sqs.wait_until_healthy(
            sqs_port, folders.log("localstack"), lambda: queue_service.poll() is None
        )
        services = Processes(
            {**os.environ, "STANDIN_LATENCY_MEAN_S": str(llm_latency_s)}, folder / "logs"
        )
        stack.callback(services.stop_all)
        llm_pid = services.start(
            "standin", "python", "-m", "localstack.standin", "--port", str(llm_port)
        )
        postgres_pid = postgres.pid()
        assert postgres_pid is not None
        ground = Ground(
            folder=folder,
            postgres=postgres,
            sqs_port=sqs_port,
            llm_port=llm_port,
            pids={
                "Postgres": postgres_pid,
                "LocalStack": queue_service.pid,
                "stand-in LLM": llm_pid,
            },
        )
        wait_until(lambda: _answers(ground), 60, "the stand-in LLM")
        yield ground


def _answers(ground: Ground) -> bool:
    try:
        ground.llm("requests")
    except (OSError, urllib.error.URLError):
        return False
    return True
