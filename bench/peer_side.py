"""Runs the peer of peer.py: its queue, its table, its worker."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import boto3
from sqlalchemy import Engine, create_engine, text

from bench import peer
from bench.ground import Ground
from bench.sides import Timeline
from bench.waiting import wait_until

_PYTHON = Path(".venvs/bench/bin/python")


class PeerSide:
    """The peer's processes, and times of its messages.

    Its acceptance is the return of Celery's `send_task`: no HTTP and no database before the
    answer, so its clock starts later and its intake costs less than Carelane's.
    """

    name = "peer"

    def __init__(self, ground: Ground, processes: int, *, as_it_comes: bool = False) -> None:
        database = ground.database("peer")
        self._dsn = database.set(drivername="postgresql").render_as_string(hide_password=False)
        self._engine: Engine = create_engine(database)
        self._ground = ground
        self._processes = processes
        self._as_it_comes = as_it_comes
        self._log = ground.folder / "logs" / "peer.log"
        self._app = peer.make_app(ground.sqs_endpoint)
        self._accepted: dict[uuid.UUID, datetime] = {}
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the queue and the table, start the worker, and see one message through."""
        sqs = boto3.client(
            "sqs",
            region_name="us-east-1",
            endpoint_url=self._ground.sqs_endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  LocalStack takes any
        )
        sqs.create_queue(QueueName=peer.QUEUE, Attributes={"VisibilityTimeout": "600"})
        with self._engine.begin() as connection:
            connection.execute(text(peer.TABLE))
        self._worker = subprocess.Popen(
            [_PYTHON, "-m", "bench.peer", str(self._processes)],
            env={
                **os.environ,
                "PEER_DATABASE_DSN": self._dsn,
                "PEER_SQS_ENDPOINT": self._ground.sqs_endpoint,
                "PEER_AS_IT_COMES": str(int(self._as_it_comes)),
                "TRANSFORMERS_VERBOSITY": "error",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            },
            stdout=self._log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        self.clear()
        # Every process has loaded its model and run it once before anything is measured.
        warm_up = ["A message that warms the model up."] * 10 * self._processes
        self.submit_burst(warm_up)
        wait_until(lambda: self.labelled() == len(warm_up), 120, "the peer's first labels")
        self.clear()

    def stop(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(30)
            self._worker = None

    def clear(self) -> None:
        """Empty the table."""
        self._accepted.clear()
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE peer_labels"))

    def submit(self, text: str) -> None:
        """Send one task."""
        message_id = uuid.uuid4()
        self._app.send_task(peer.TASK, (str(message_id), text))
        self._accepted[message_id] = datetime.now(UTC)

    def submit_burst(self, texts: Sequence[str]) -> None:
        """Send task after task: Celery has no call for many."""
        for each in texts:
            self.submit(each)

    def labelled(self) -> int:
        """Rows in the table."""
        with self._engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM peer_labels")).scalar_one())

    def settled(self) -> int:
        """The peer has one tier: labelled is settled."""
        return self.labelled()

    def timelines(self) -> list[Timeline]:
        """Times of every message."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                text("SELECT message_id, labelled_at, model_ms FROM peer_labels")
            ).all()
        return [
            Timeline(
                accepted_at=self._accepted[message_id],
                labelled_at=labelled_at,
                settled_at=labelled_at,
                tier="model",
                model_ms=model_ms,
            )
            for message_id, labelled_at, model_ms in rows
        ]

    def parts(self) -> Mapping[str, Sequence[int]]:
        """The worker, this process (which sends), and what both sides share."""
        worker = [] if self._worker is None else [self._worker.pid]
        return {
            "worker": worker,
            "sender": [os.getpid()],
            **{name: [pid] for name, pid in self._ground.pids.items()},
        }
