"""Carelane's own processes on free ports, as a deployment runs them, with a caller's settings."""

from __future__ import annotations

import os
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from string import Template
from typing import Final

from honcho.environ import parse_procfile
from sqlalchemy import make_url

from bench.processes import Processes
from bench.waiting import wait_until
from localstack.stack import free_port
from producer.keys import add_key
from shared.database import make_engine, transaction
from shared.queues import create_queues
from shared.schema import upgrade
from shared.settings import Settings

#: Every process of a deployment, in the order in which they are started here.
NAMES: Final = ("intake", "dashboard", "relay", "sweeper", "fast", "llm")
SOURCE: Final = "city-clinic"
_CHECKOUT: Final = Path(__file__).resolve().parent.parent


class Stack:
    """The processes, by name; each can be started, stopped and killed on its own."""

    def __init__(
        self,
        settings: Settings,
        logs: Path,
        *,
        fast_processes: int = 1,
        inside: Callable[[str], Sequence[str]] = lambda _: (),
    ) -> None:
        """`inside` gives what stands before a process's command: where it runs."""
        intake_port, dashboard_port = free_port(), free_port()
        self.settings = replace(
            settings,
            intake_url=f"http://127.0.0.1:{intake_port}",
            dashboard_url=f"http://127.0.0.1:{dashboard_port}",
        )
        self.processes = Processes(_environment(self.settings), logs)
        self.api_key = ""
        ports = {"CARELANE_PORT_INTAKE": intake_port, "CARELANE_PORT_DASHBOARD": dashboard_port}
        self._commands = _commands(ports, fast_processes)
        self._inside = inside

    def prepare(self) -> None:
        """Bring the schema up to date, make the queues and a key for the portal."""
        assert self.settings.database_url is not None
        upgrade(make_url(self.settings.database_url).set(drivername="postgresql+psycopg2"))
        create_queues(self.settings)
        engine = make_engine(self.settings, "carelane-stack", pool_size=1)
        with transaction(engine) as connection:
            self.api_key = add_key(connection, SOURCE, self.settings.require("hmac_key"))
        engine.dispose()

    def start(self, *names: str) -> None:
        """Start these processes, by default all; returns when those with an address answer."""
        for name in names or NAMES:
            self.start_copy(name, name)
        for name in names or NAMES:
            self.wait_until_up(name)

    def start_copy(self, name: str, copy: str) -> None:
        """Start one more process like `name`, under the name `copy`."""
        program, *arguments = self._commands[name]
        if before := self._inside(copy):
            # Their own folder of programs is looked up for the first word only.
            program = str(Path(sys.executable).with_name(program))
        self.processes.start(copy, *before, program, *arguments)

    def wait_until_up(self, name: str, timeout_s: float = 60.0) -> None:
        """Wait until a process with an address answers on it.

        Raises:
            RuntimeError: it ended instead; the text has the end of its output.
        """
        address = {"intake": self.settings.intake_url, "dashboard": self.settings.dashboard_url}
        if name not in address:
            return

        def up() -> bool:
            if not self.processes.runs(name):
                raise RuntimeError(f"{name} ended: {self.processes.log(name)[-2000:]}")
            return _answers(f"{address[name]}/healthz")

        wait_until(up, timeout_s, f"{name} at {address[name]}")

    def stop(self) -> None:
        """Stop all."""
        self.processes.stop_all()

    def headers(self) -> dict[str, str]:
        """What a portal sends with each call."""
        return {"Authorization": f"Bearer {self.api_key}"}


def _commands(ports: Mapping[str, int], fast_processes: int) -> dict[str, list[str]]:
    """What the Procfile runs, without its supervisor."""
    procfile = parse_procfile((_CHECKOUT / "Procfile").read_text()).processes
    commands = {}
    for name in NAMES:
        line = procfile[name].partition(" -- ")[2]
        commands[name] = shlex.split(Template(line).substitute(ports))
    commands["fast"][-1] = str(fast_processes)
    return commands


def _environment(settings: Settings) -> dict[str, str]:
    ours = {
        each.metadata["env"]: str(int(value) if isinstance(value, bool) else value)
        for each in fields(settings)
        if (value := getattr(settings, each.name)) is not None
    }
    foreign = ("CARELANE_", "OPENAI_", "AZURE_OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **ours}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own process
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
