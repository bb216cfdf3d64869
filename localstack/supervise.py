"""Keeps one process of the local stack alive, and ends it with the stack.

    python -m localstack.supervise [--after sqs] [--last] NAME -- COMMAND ...

Celery on SQS may end by itself, and honcho ends everything when one process ends; so each process
runs under one of these. It starts the command, starts it again when it ends (waiting longer each
time), writes its output to .carelane/logs/NAME.log and says on the terminal only what concerns its
life. SIGTERM is handed on; what does not end in time is killed. When the stack itself is killed,
the command is stopped too. A command that ends with 0 has done its work and is not run again.

What others need to end well (SQS, the LLM, Postgres) is marked --last: it is stopped when all
others have ended.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import click

from localstack.settings import LocalSettings
from localstack.stack import STACK_PID, Folders, die_with_parent

#: Below honcho's own patience, so that nothing is left to honcho's SIGKILL.
GRACE_S = 6.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
#: A process that lived so long starts again without waiting.
_WELL_AFTER_S = 60.0
_LARGEST_LOG_BYTES = 20_000_000


class Supervisor:
    """One command with its log."""

    def __init__(
        self,
        name: str,
        command: list[str],
        folders: Folders,
        *,
        last: bool = False,
        grace_s: float = GRACE_S,
    ) -> None:
        self._last = last
        self._grace_s = grace_s
        # Held by every process that is not `last`; the kernel lets go when its holder is gone.
        self._others = (folders.home / "run" / "others.lock").open("a")
        if not last:
            fcntl.flock(self._others, fcntl.LOCK_SH)
        self._name = name
        self._command = command
        self._folders = folders
        self._told_to_stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._watch_signals()
        self._watch_stack()

    def run(self, after: tuple[str, ...]) -> None:
        """Supervise until told to stop."""
        for part in after:
            while not self._folders.ready(part).exists() and not self._told_to_stop.is_set():
                self._rest(0.1)
        wait_s = _FIRST_WAIT_S
        while not self._told_to_stop.is_set():
            began = time.monotonic()
            code = self._run_once()
            if self._told_to_stop.is_set():
                return
            if code == 0:
                self._rest(float("inf"))
                return
            if time.monotonic() - began > _WELL_AFTER_S:
                wait_s = _FIRST_WAIT_S
            self._report(code, wait_s)
            self._rest(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _run_once(self) -> int:
        log = self._folders.log(self._name)
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Out of reach of the terminal's Ctrl-C: it is stopped once, by us.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        handle = os.pidfd_open(child.pid)
        self._selector.register(handle, selectors.EVENT_READ, "child")
        try:
            while child.poll() is None and not self._told_to_stop.is_set():
                self._rest(float("inf"))
            if child.poll() is None:
                self._end(child)
        finally:
            self._selector.unregister(handle)
            os.close(handle)
        return child.returncode or 0

    def _wait_for_others(self) -> None:
        until = time.monotonic() + self._grace_s
        while time.monotonic() < until:
            try:
                fcntl.flock(self._others, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                # Let go at once: the next one that is last waits for the same.
                fcntl.flock(self._others, fcntl.LOCK_UN)
                return

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        if self._last:
            self._wait_for_others()
        child.terminate()
        try:
            child.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            print(f"{self._name} does not end; killing it", flush=True)
        # Its own children too, should it have left some behind.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def _rest(self, longest_s: float) -> None:
        """Sleep until something happens or the time is over."""
        until = time.monotonic() + longest_s
        while not self._told_to_stop.is_set() and (left_s := until - time.monotonic()) > 0:
            happened = [key.data for key, _ in self._selector.select(min(left_s, 3600.0))]
            if "signal" in happened or "stack" in happened:
                self._told_to_stop.set()
            if "child" in happened:
                return

    def _watch_signals(self) -> None:
        read, write = os.pipe()
        for end in (read, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._selector.register(read, selectors.EVENT_READ, "signal")

    def _watch_stack(self) -> None:
        stack = os.environ.get(STACK_PID)
        if stack is None:
            return
        try:
            handle = os.pidfd_open(int(stack))
        except ProcessLookupError:
            self._told_to_stop.set()
            return
        self._selector.register(handle, selectors.EVENT_READ, "stack")

    def _report(self, code: int, wait_s: float) -> None:
        how = f"killed by signal {-code}" if code < 0 else f"ended with {code}"
        print(f"{self._name} {how}; starting it again in {wait_s:g} s", flush=True)
        log = self._folders.log(self._name)
        for line in _last_lines(log, 3):
            print(f"    {line}", flush=True)
        print(f"    ({log})", flush=True)


def _last_lines(path: Path, count: int) -> list[str]:
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 4_000))
        text = log.read().decode("utf-8", "replace")
    return [line[:300] for line in text.splitlines() if line.strip()][-count:]


@click.command()
@click.option("--after", multiple=True, help="Wait until this part says that it is ready.")
@click.option("--last", is_flag=True, help="Stop only when the others have ended.")
@click.option("--grace", default=GRACE_S, help="Seconds between SIGTERM and SIGKILL.")
@click.argument("name")
@click.argument("command", nargs=-1, required=True)
def main(
    after: tuple[str, ...], last: bool, grace: float, name: str, command: tuple[str, ...]
) -> None:
    """Run COMMAND as NAME until SIGTERM."""
    folders = Folders(LocalSettings.from_env(os.environ).home)
    folders.make()
    Supervisor(name, list(command), folders, last=last, grace_s=grace).run(after)
    sys.exit(0)


if __name__ == "__main__":
    main()
