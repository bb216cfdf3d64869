"""Starts our real processes, ends them and hurts them: for benchmarks and whole-system tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.waiting import wait_until
from localstack.stack import die_with_parent

_CHECKOUT = Path(__file__).resolve().parent.parent
#: Longer than any process takes to finish what it has in hand.
_GRACE_S = 30.0


class Processes:
    """Named processes with one environment, each with a log of its own.

    Every process gets a session of its own, so that a signal can be meant for it alone or for its
    whole family, and dies with this process whatever happens.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = dict(environment)
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *command: str, **environment: str) -> int:
        """Start `command` under `name`; its first word may be a program of this environment.

        Returns:
            The process id.
        """
        if self.runs(name):
            raise ValueError(f"{name} runs already; stop it, or give this one another name")
        own = Path(sys.executable).with_name(command[0])
        program = str(own) if own.exists() else command[0]
        with self.log_path(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [program, *command[1:]],
                env={**self._environment, **environment},
                cwd=_CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        return self._running[name].pid

    def pid(self, name: str) -> int:
        """Process id of a process that was started."""
        return self._running[name].pid

    def names(self) -> list[str]:
        """What was started and not yet stopped; some may have died by themselves."""
        return list(self._running)

    def runs(self, name: str) -> bool:
        """Whether the process lives."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def stop(self, name: str) -> int:
        """SIGTERM, and SIGKILL after the grace; the exit status."""
        process = self._running.pop(name)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._kill_family(process)
        return process.wait()

    def kill(self, name: str) -> None:
        """SIGKILL the process and its children, as a crashed machine would."""
        process = self._running.pop(name)
        self._kill_family(process)
        process.wait()

    def stop_all(self) -> None:
        """Ask all at once, then wait for each."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        for name in list(self._running):
            self.stop(name)

    def log_path(self, name: str) -> Path:
        """Where the process's output goes."""
        return self._logs / f"{name}.log"

    def log(self, name: str) -> str:
        """The output so far."""
        path = self.log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, name: str, words: str, timeout_s: float = 60.0) -> None:
        """Wait until `words` stand in the process's output.

        Raises:
            RuntimeError: the process ended first; the text has the end of its output.
            TimeoutError: they never came.
        """

        def seen() -> bool:
            if words in self.log(name):
                return True
            if not self.runs(name):
                raise RuntimeError(f"{name} ended: {self.log(name)[-2000:]}")
            return False

        wait_until(seen, timeout_s, f"{words!r} in {self.log_path(name)}")

    @staticmethod
    def _kill_family(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
