"""What the workers' integration tests work with: messages, chunks in queues, workers."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, select

from localstack.stack import die_with_parent
from producer.publisher import make_publisher
from shared.contracts import Lane
from shared.database import transaction
from shared.ids import new_message_id
from shared.queues import check_queues, sqs_client
from shared.settings import Settings
from shared.tables import labels, llm_calls, llm_exchanges, messages, outbox
from tests.services import environment, eventually

ROOT = Path(__file__).parent.parent


@dataclass
class Clinic:
    """The table as tests fill and read it."""

    engine: Engine
    settings: Settings

    def accept(self, *texts: str, status: str = "queued", red_flags: Any = ()) -> list[UUID]:
        """Put messages in, as the intake would."""
        # Sorted: ids of one millisecond have no order, and prompts hold messages by id.
        ids = sorted(new_message_id() for _ in texts)
        with transaction(self.engine) as connection:
            connection.execute(
                insert(messages),
                [
                    {
                        "id": id_,
                        "source": "tests",
                        "external_id": str(id_),
                        "text": text,
                        "status": status,
                        "red_flags": list(red_flags),
                        "urgency_rank": 0 if red_flags else 2,
                    }
                    for id_, text in zip(ids, texts, strict=True)
                ],
            )
        return ids

    def send(self, lane: Lane, ids: Sequence[UUID | str], times: int = 1) -> None:
        """Put one chunk in the lane's queue, `times` over."""
        publisher = make_publisher(self.settings)
        for _ in range(times):
            assert publisher.publish(lane, [ids]) == [True]  # type: ignore[list-item]

    def relay(self) -> int:
        """What the relay does: empty the outbox into the queues."""
        with transaction(self.engine) as connection:
            rows = connection.execute(outbox.delete().returning(outbox.c.message_id, outbox.c.lane))
            by_lane: dict[str, list[UUID]] = {}
            for row in rows:
                by_lane.setdefault(row.lane, []).append(row.message_id)
        for lane, ids in by_lane.items():
            self.send(Lane(lane), ids)
        return sum(map(len, by_lane.values()))

    def rows(self, ids: Sequence[UUID]) -> list[Any]:
        """The messages in the order of `ids`."""
        with transaction(self.engine) as connection:
            found = connection.execute(select(messages).where(messages.c.id.in_(ids))).all()
        by_id = {row.id: row for row in found}
        return [by_id[id_] for id_ in ids]

    def statuses(self, ids: Sequence[UUID]) -> list[str]:
        return [row.status for row in self.rows(ids)]

    def labels(self, id_: UUID) -> list[Any]:
        """A message's labels, oldest first."""
        with transaction(self.engine) as connection:
            return list(
                connection.execute(
                    select(labels).where(labels.c.message_id == id_).order_by(labels.c.id)
                )
            )

    def calls(self) -> list[Any]:
        """Every call to the LLM, oldest first."""
        with transaction(self.engine) as connection:
            return list(connection.execute(select(llm_calls).order_by(llm_calls.c.id)))

    def exchanges(self, id_: UUID) -> list[Any]:
        """What the LLM was sent about a message and answered, oldest first."""
        e = llm_exchanges.c
        with transaction(self.engine) as connection:
            return list(
                connection.execute(select(llm_exchanges).where(e.message_id == id_).order_by(e.id))
            )

    def all_are(self, ids: Sequence[UUID], *statuses: str) -> Callable[[], bool]:
        """A look whether every message has one of these statuses."""
        return lambda: set(self.statuses(ids)) <= set(statuses)

    def queue(self, lane: Lane) -> Any:
        """Depths and settings of a lane's queue."""
        return next(state for state in check_queues(self.settings) if state.lane is lane)

    def set_visibility(self, lane: Lane, seconds: int) -> None:
        """Make redelivery quick enough for a test."""
        sqs_client(self.settings).set_queue_attributes(
            QueueUrl=self.queue(lane).url, Attributes={"VisibilityTimeout": str(seconds)}
        )


@dataclass
class Workers:
    """Starts worker processes and ends them with the test."""

    settings: Settings
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self,
        kind: str,
        concurrency: int = 1,
        *,
        wait: bool = True,
        shipped_model: bool = False,
        **env: str,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.worker_process", kind, str(concurrency)]
        if shipped_model:
            carelane = str(Path(sys.executable).parent / "carelane")
            command = [carelane, "worker", kind, "--concurrency", str(concurrency)]
        log = self.log(len(self.started))
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(self.settings, **env),
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        self.started.append(process)
        if wait:
            eventually(
                lambda: b"ready." in log.read_bytes() or process.poll() is not None,
                what=f"the worker is ready; its log is {log}",
            )
            assert process.poll() is None, log.read_text()[-2000:]
        return process

    def log(self, index: int) -> Path:
        """Where the worker that was started as number `index` writes."""
        return self.folder / f"worker-{index}.log"

    def logs(self) -> str:
        return "\n".join(self.log(i).read_text() for i in range(len(self.started)))

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def clinic(engine: Engine, stack_settings: Settings) -> Clinic:
    return Clinic(engine, stack_settings)


@pytest.fixture
def workers(stack_settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(stack_settings, tmp_path)
    yield made
    made.stop()


def children(pid: int) -> list[int]:
    """The living children of a process."""
    listed = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text()
    return [int(each) for each in listed.split() if (Path("/proc") / each).exists()]
