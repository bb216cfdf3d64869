"""Tells whoever typed `make run` where things are, once they are there, and what took how long."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, func, select

from localstack.plan import Plan
from localstack.stack import Folders
from shared.database import transaction
from shared.errors import StoreError
from shared.tables import labels, workers

_LOOK_EVERY_S = 0.1
_WAIT_FOR_PROCESSES_S = 120.0
_WAIT_FOR_LABEL_S = 120.0


@dataclass
class Phases:
    """How long each step of the start took, in the order of their ends."""

    began: float  # time.time() of the very start
    taken: list[tuple[str, float]] = field(default_factory=list)

    def done(self, name: str) -> None:
        """`name` is the step that ends now."""
        self.taken.append((name, self.elapsed_s() - sum(seconds for _, seconds in self.taken)))

    def elapsed_s(self) -> float:
        return time.time() - self.began

    def table(self) -> list[str]:
        rows = [*self.taken, ("in all", sum(seconds for _, seconds in self.taken))]
        return [f"{name:<34}{seconds:7.1f} s" for name, seconds in rows]


@dataclass(frozen=True, kw_only=True)
class Announcer:
    """Watches the start from outside, as a user would."""

    plan: Plan
    folders: Folders
    engine: Engine
    phases: Phases
    sign_in: Sequence[str]  # what the first user needs to know; empty when they know it
    since: datetime

    def start(self) -> None:
        """Watch in the background until the first label."""
        threading.Thread(target=self._watch, name="announcer", daemon=True).start()

    def _watch(self) -> None:
        steps: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("SQS with its queues", self._sqs_is_up),
            ("intake and dashboard", self._pages_are_up),
            ("workers", self._workers_are_up),
        )
        for name, is_up in steps:
            if not _wait(is_up, _WAIT_FOR_PROCESSES_S):
                say([f"{name}: not up after {_WAIT_FOR_PROCESSES_S:.0f} s. See {self._logs()}"])
                return
            self.phases.done(name)
        say(box(self._welcome()))
        if _wait(self._has_label, _WAIT_FOR_LABEL_S):
            self.phases.done("first message labelled")
        say(self.phases.table())

    def _welcome(self) -> list[str]:
        lines = [
            "Carelane is up.",
            "",
            f"Dashboard            {self.plan.dashboard_url}",
            *self.sign_in,
            f"Write as a patient   {self.plan.intake_url}/portal/",
            f"Intake for programs  {self.plan.intake_url}/openapi.json",
            f"                     key: CARELANE_API_KEY in {self.folders.secrets}",
            f"Logs                 {self._logs()}",
        ]
        if self.plan.standin_llm:
            lines += [
                "",
                "The LLM is SIMULATED (localstack/standin). OPENAI_API_KEY uses a real one.",
            ]
        return [*lines, "", "Ctrl-C stops everything; the data stays for the next `make run`."]

    def _logs(self) -> str:
        return str(self.folders.home / "logs")

    def _sqs_is_up(self) -> bool:
        return not self.plan.local_sqs or self.folders.ready("sqs").exists()

    def _pages_are_up(self) -> bool:
        urls = [f"{self.plan.intake_url}/readyz", f"{self.plan.dashboard_url}/readyz"]
        if self.plan.standin_llm:
            urls.append(f"{self.plan.llm_url}/models")
        return all(map(_answers, urls))

    def _workers_are_up(self) -> bool:
        wanted = select(func.count(workers.c.lane.distinct())).where(
            workers.c.started_at >= self.since
        )
        return self._scalar(wanted) >= 2

    def _has_label(self) -> bool:
        return self._scalar(select(func.count()).where(labels.c.created_at >= self.since)) > 0

    def _scalar(self, query: object) -> int:
        try:
            with transaction(self.engine) as connection:
                return int(connection.execute(query).scalar_one())  # type: ignore[call-overload]
        except StoreError:
            return 0


def box(lines: Sequence[str]) -> list[str]:
    """The lines in a frame."""
    width = max(map(len, lines))
    inside = [f"│ {line:<{width}} │" for line in lines]
    return ["┌" + "─" * (width + 2) + "┐", *inside, "└" + "─" * (width + 2) + "┘"]


def say(lines: Sequence[str]) -> None:
    """Print in one piece, so that no process's line falls in between."""
    print("\n" + "\n".join(lines) + "\n", flush=True)


def _wait(is_there: Callable[[], bool], longest_s: float) -> bool:
    until = time.monotonic() + longest_s
    while time.monotonic() < until:
        if is_there():
            return True
        time.sleep(_LOOK_EVERY_S)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False
