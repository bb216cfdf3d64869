"""`make run` as somebody at a terminal has it: started, read, held still, interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from localstack.stack import free_port
from tests.services import eventually

ROOT = Path(__file__).parent.parent


@dataclass
class MakeRun:
    """One folder with its ports; may be started again and again."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    runs: int = 0

    def __post_init__(self) -> None:
        ports = ("INTAKE", "DASHBOARD", "LLM", "SQS")
        self.settings = {
            "CARELANE_HOME": str(self.home),
            **{f"CARELANE_PORT_{name}": str(free_port()) for name in ports},
            **self.settings,
        }

    def url(self, name: str) -> str:
        """The address of INTAKE, DASHBOARD or LLM."""
        return f"http://127.0.0.1:{self.settings[f'CARELANE_PORT_{name}']}"

    def start(self) -> None:
        """What `make run` starts once its environments are built."""
        self.runs += 1
        kept = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with self._output_path().open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "localstack.up"],
                cwd=ROOT,
                env={**kept, "PATH": path, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, words: str, timeout_s: float = 120) -> None:
        """Wait until `words` stand on the terminal."""

        def seen() -> bool:
            assert self.process is not None
            assert self.process.poll() is None or words in self.output(), self.output()
            return words in self.output()

        eventually(seen, what=f"{words!r} on the terminal", timeout_s=timeout_s)

    def output(self) -> str:
        """What stands on the terminal of this run."""
        return self._output_path().read_text(errors="replace")

    def first_user(self) -> tuple[str, str]:
        """Name and one-time password, read off the terminal."""
        found = re.search(r"User:\s+(\S+).*?One-time password:\s+(\S+)", self.output(), re.DOTALL)
        assert found, self.output()
        return found[1], found[2]

    def interrupt(self) -> int:
        """Ctrl-C: the terminal sends SIGINT to every process of its foreground group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process is not None and self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.interrupt()
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self, words: str = "") -> list[int]:
        """Living processes of this folder whose command line has `words`."""
        return [pid for pid, command in self._commands() if words in command]

    def commands(self) -> list[str]:
        """Command lines of the living processes of this folder."""
        return [command for _, command in self._commands()]

    @contextmanager
    def held(self, kind: str) -> Iterator[None]:
        """Stop the workers of a kind in their tracks for the block: nothing is labelled by them."""
        pids = [
            pid
            for pid, command in self._commands()
            if f"worker {kind}" in command and "localstack.supervise" not in command
        ]
        assert pids, f"no {kind} worker among {self.commands()}"
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def turn_llm(self, **knobs: object) -> None:
        """Turn knobs of the stand-in LLM."""
        request = urllib.request.Request(
            f"{self.url('LLM')}/standin/knobs",
            data=json.dumps(knobs).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def _commands(self) -> Iterator[tuple[int, str]]:
        mine = f"CARELANE_HOME={self.home}".encode()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with suppress(OSError):
                # Postgres writes over its environment, and works in its data folder.
                ours = mine in (folder / "environ").read_bytes().split(b"\0")
                if ours or (folder / "cwd").resolve().is_relative_to(self.home):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:  # a zombie has none
                        yield int(folder.name), command

    def _output_path(self) -> Path:
        self.home.mkdir(parents=True, exist_ok=True)
        return self.home.with_name(f"{self.home.name}-terminal-{self.runs}.txt")
