"""Ways to hurt a running Carelane, drawn by a seed; what each broke is whole again at its end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from sqlalchemy import text

from localstack.postgres import EmbeddedPostgres
from shared.contracts import Lane
from shared.database import transaction
from shared.errors import CarelaneError, StoreError
from shared.queues import create_queues
from tests.services import LocalStackForTests, StandinForTests, eventually
from tests.tcp_proxy import SQS_ERRORS, TcpProxy, http_answer
from tests.whole import Whole

#: What runs, by the name under which it is killed and started again.
PROCESSES = {
    "intake": "intake",
    "dashboard": "dashboard",
    "relay": "relay",
    "relay 2": "relay",
    "sweeper": "sweeper",
    "fast": "fast",
    "fast 2": "fast",
    "llm": "llm",
    "llm 2": "llm",
}
_LLM_FAULTS = (
    *("rate_limit", "rate_limit_bare", "server_error", "overloaded", "dropped", "malformed_json"),
    *("wrong_shape", "missing_id", "doubled_id", "wrong_id", "invalid_code", "cut_off"),
    *("empty_choices", "refusal"),
)


@dataclass
class Mischief:
    """The faults, and what is needed to do and undo them."""

    whole: Whole
    localstack: LocalStackForTests
    postgres: EmbeddedPostgres
    standin: StandinForTests
    sqs: TcpProxy  # between our processes and LocalStack
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    #: Each of these may waste what LLM workers had in flight.
    llm_disruptions: int = 0

    def start(self) -> None:
        """Start every process."""
        for name, like in PROCESSES.items():
            self.whole.stack.start_copy(like, name)
        for name in ("intake", "dashboard"):
            self.whole.stack.wait_until_up(name)

    def revive(self) -> None:
        """What a supervisor does: start again what has ended."""
        for name, like in PROCESSES.items():
            if not self.whole.stack.processes.runs(name):
                self.whole.stack.start_copy(like, name)

    def once(self) -> str:
        """Do one of them; returns its name."""
        names = sorted(self._ways())
        name = self.chance.choice(names)
        # The database or the broker may be coming back from the fault before this one.
        with suppress(StoreError, CarelaneError):
            self._ways()[name]()
        self.done[name] += 1
        return name

    def make_good(self) -> None:
        """End every fault that lasts."""
        self._heal_sqs()
        self.standin.knobs(fault_rates={}, latency_mean_s=0.0)
        if self.postgres.pid() is None:
            self.postgres.start()
        if self.localstack.process is None:
            self.localstack.start()
        create_queues(self.whole.settings)
        self.revive()

    def _ways(self) -> dict[str, Callable[[], None]]:
        return {
            "kill a process": self._kill_process,
            "kill a pool child": self._kill_child,
            "stop a worker by SIGTERM": self._terminate_worker,
            "freeze a worker past its lease": self._freeze_worker,
            "deliver again": self._deliver_again,
            "deliver nonsense": self._deliver_nonsense,
            "cut database connections": self._cut_connections,
            "crash the database": self._crash_database,
            "restart the database": self._restart_database,
            "empty the broker": self._empty_broker,
            "refuse connections to SQS": self._refuse_sqs,
            "SQS answers with errors": self._break_sqs,
            "SQS slow": self._slow_sqs,
            "take all database connections": self._take_connections,
            "LLM faults": self._trouble_llm,
        }

    def _kill_process(self) -> None:
        name = self.chance.choice(sorted(PROCESSES))
        self.llm_disruptions += name.startswith("llm")
        self.whole.stack.processes.kill(name)
        self.whole.stack.start_copy(PROCESSES[name], name)

    def _kill_child(self) -> None:
        parent = self.whole.stack.processes.pid(self.chance.choice(["fast", "fast 2"]))
        children = _children(parent)
        if children:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(children), signal.SIGKILL)

    def _terminate_worker(self) -> None:
        name = self.chance.choice(["fast", "fast 2", "llm", "llm 2"])
        self.whole.stack.processes.stop(name)
        self.whole.stack.start_copy(PROCESSES[name], name)

    def _freeze_worker(self) -> None:
        name = self.chance.choice(["fast", "llm"])
        self.llm_disruptions += name == "llm"
        parent = self.whole.stack.processes.pid(name)
        family = [parent, *_children(parent)]
        for signal_number, rest_s in (
            (signal.SIGSTOP, 1.5 * self._lease_s(name)),
            (signal.SIGCONT, 0),
        ):
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal_number)
            time.sleep(rest_s)

    def _lease_s(self, name: str) -> float:
        settings = self.whole.settings
        return settings.llm_lease_s if name == "llm" else settings.fast_lease_s

    def _deliver_again(self) -> None:
        """Every message that there is, once more, in any lane, whatever became of it."""
        with transaction(self.whole.engine) as connection:
            connection.execute(
                text(
                    "INSERT INTO outbox (message_id, lane) SELECT id, lane FROM messages, "
                    "unnest(ARRAY['fast', 'llm']) AS lane ORDER BY random() LIMIT 200"
                )
            )

    def _deliver_nonsense(self) -> None:
        self.whole.send_body(self.chance.choice(list(Lane)), "not a task at all")

    def _cut_connections(self) -> None:
        self.llm_disruptions += 1
        self.whole.change(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'carelane%' AND random() < 0.7"
        )

    def _crash_database(self) -> None:
        """A backend dies, and the server ends all sessions and recovers, as after a crash."""
        self.llm_disruptions += 1
        [victim] = self.whole.rows(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'carelane%' "
            "ORDER BY random() LIMIT 1"
        )
        os.kill(victim.pid, signal.SIGKILL)

    def _restart_database(self) -> None:
        self.llm_disruptions += 1
        self.postgres.stop()
        time.sleep(self.chance.uniform(0, 3))
        self.postgres.start()

    def _empty_broker(self) -> None:
        self.localstack.restart_empty(self.whole.settings)

    def _refuse_sqs(self) -> None:
        self.localstack.stop()
        time.sleep(self.chance.uniform(1, 4))
        self.localstack.start()
        create_queues(self.whole.settings)

    def _break_sqs(self) -> None:
        status, error = self.chance.choice(sorted(SQS_ERRORS.items()))
        self.sqs.answer = http_answer(status, error)
        time.sleep(self.chance.uniform(1, 3))
        self._heal_sqs()

    def _slow_sqs(self) -> None:
        self.sqs.delay_s = self.chance.uniform(0.1, 0.5)
        time.sleep(self.chance.uniform(1, 4))
        self._heal_sqs()

    def _heal_sqs(self) -> None:
        self.sqs.answer, self.sqs.delay_s = None, 0.0

    def _take_connections(self) -> None:
        url = self.whole.engine.url.set(drivername="postgresql")
        taken = []
        with suppress(psycopg2.OperationalError):
            while True:
                taken.append(psycopg2.connect(url.render_as_string(hide_password=False)))
        time.sleep(self.chance.uniform(0.5, 2))
        for each in taken:
            each.close()

    def _trouble_llm(self) -> None:
        faults = self.chance.sample(_LLM_FAULTS, self.chance.randint(0, 4))
        self.standin.knobs(
            fault_rates={name: self.chance.uniform(0.05, 0.2) for name in faults},
            latency_mean_s=self.chance.choice([0.0, 0.1, 0.5]),
        )


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in listed.split()]


def wait_for_quiet(mischief: Mischief, timeout_s: float) -> None:
    """Wait until nothing is processing and nothing is on its way."""
    whole = mischief.whole

    def quiet() -> bool:
        # What was starting while a fault lasted may end only now.
        mischief.revive()
        with suppress(StoreError):
            return whole.no_more("queued", "escalated")() and not whole.rows(
                "SELECT 1 FROM outbox LIMIT 1"
            )
        return False

    eventually(quiet, what="quiet after the faults", timeout_s=timeout_s, every_s=0.5)
