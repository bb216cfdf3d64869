"""The supervisor: processes live while the stack lives, and end with it, in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localstack.stack import STACK_PID
from tests.services import eventually

_ROOT = Path(__file__).parents[2]
_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(600)
"""
_MEEK = "import time; print('here', flush=True); time.sleep(600)"

Supervise = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, code: str, stack: int | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "CARELANE_HOME": str(tmp_path)}
        if stack is not None:
            environment[STACK_PID] = str(stack)
        command = [sys.executable, "-m", "localstack.supervise"]
        process = subprocess.Popen(
            [*command, *arguments, "--", sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=_ROOT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_what_ends_is_started_again_and_the_terminal_says_why(
    supervise: Supervise, tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "part.log"
    process = supervise("part", code="import sys; print('up', flush=True); sys.exit('no model')")

    eventually(lambda: _lines(log).count("up") >= 2, what="a second start")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)

    assert "part ended with 1; starting it again in 0.5 s" in said
    assert "no model" in said
    assert process.returncode == 0


def test_what_has_done_its_work_is_not_started_again(supervise: Supervise, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "part.log"
    process = supervise("part", code="print('done', flush=True)")

    eventually(lambda: _lines(log), what="the work")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)

    assert _lines(log) == ["done"]
    assert said == ""


def test_what_does_not_end_is_killed(supervise: Supervise, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "part.log"
    process = supervise("--grace", "0.2", "part", code=_STUBBORN)
    eventually(lambda: _lines(log), what="the process")

    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)

    assert "part does not end; killing it" in said
    assert process.returncode == 0


def test_a_killed_stack_takes_its_processes_with_it(supervise: Supervise, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "part.log"
    stack = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = supervise("part", code=_MEEK, stack=stack.pid)
    eventually(lambda: _lines(log), what="the process")

    stack.kill()
    stack.wait()

    assert process.wait(timeout=20) == 0


def test_a_killed_supervisor_takes_its_process_with_it(
    supervise: Supervise, tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "part.log"
    process = supervise(
        "part", code="import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    )
    pid = int(eventually(lambda: _lines(log), what="the process")[0])

    process.kill()

    eventually(lambda: not _is_running(pid), what="the end of the process")


def test_a_part_waits_for_what_it_needs(supervise: Supervise, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "part.log"
    supervise("--after", "sqs", "part", code=_MEEK)
    other = tmp_path / "logs" / "other.log"
    supervise("other", code=_MEEK)
    eventually(lambda: _lines(other), what="a process that needs nothing")

    assert not _lines(log)
    (tmp_path / "run" / "sqs.ready").touch()

    eventually(lambda: _lines(log), what="the process, once SQS is ready")


def test_what_others_need_is_stopped_last(supervise: Supervise, tmp_path: Path) -> None:
    needed = supervise("--last", "--grace", "15", "needed", code=_MEEK)
    user = supervise("user", code=_MEEK)
    for name in ("needed", "user"):
        log = tmp_path / "logs" / f"{name}.log"
        eventually(lambda log=log: _lines(log), what=f"the process {name}")  # type: ignore[misc]

    needed.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        needed.wait(timeout=0.5)
    user.send_signal(signal.SIGTERM)

    assert user.wait(timeout=20) == 0
    assert needed.wait(timeout=20) == 0


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
