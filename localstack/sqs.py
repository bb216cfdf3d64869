"""SQS on this machine: LocalStack as a plain program, ready once its queues are there.

    python -m localstack.sqs

Runs LocalStack in its own environment, applies deploy/queues.yaml as soon as it answers, then marks
itself ready and stays until either side ends. LocalStack keeps nothing: after a restart the queues
are made again, and Carelane's sweeper sends again what had been waiting in them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

from localstack.settings import LocalSettings
from localstack.stack import Folders, die_with_parent, refuse_taken_ports
from shared.errors import CarelaneError
from shared.queues import create_queues

#: Only what we use is loaded. Nothing is fetched from the network, nothing is reported home.
_ENVIRONMENT = {
    "SERVICES": "sqs,cloudformation",
    "EAGER_SERVICE_LOADING": "1",
    "SKIP_SSL_CERT_DOWNLOAD": "1",
    "DISABLE_EVENTS": "1",
    "DNS_ADDRESS": "0",
    "LS_LOG": "warning",
    "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
    # Queue URLs with our own address: the usual ones need a DNS that knows localstack.cloud.
    "SQS_ENDPOINT_STRATEGY": "path",
}
#: It is taken for dead after so many looks in a row without an answer.
_MISSES = 6
_LOOK_EVERY_S = 5.0
_PYTHON = Path(__file__).resolve().parent.parent / ".venvs/localstack/bin/python"


class LocalStackError(CarelaneError):
    """LocalStack did not start or answer; the text says where its log is."""


def start(folders: Folders, port: int, python: Path = _PYTHON) -> subprocess.Popen[bytes]:
    """Start LocalStack on 127.0.0.1:`port`; returns at once, `wait_until_healthy` waits.

    Raises:
        LocalStackError: its environment is missing.
    """
    if not python.exists():
        raise LocalStackError(
            f"LocalStack's environment {python} is not there: `make env` builds it"
        )
    folder = folders.home / "localstack"
    (folder / "work").mkdir(parents=True, exist_ok=True)
    environment = {
        # Ours is not handed on: PYTHONPATH or a stray setting must not reach this program.
        **{
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "TMPDIR")
            if name in os.environ
        },
        **_ENVIRONMENT,
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "LOCALSTACK_VOLUME_DIR": str(folder / "volume"),
        "TMPDIR": str(folder / "work"),
    }
    # From another folder: here, `localstack` would be our own package.
    with folders.log("localstack").open("ab") as log:
        return subprocess.Popen(
            [python, "-m", "localstack.runtime.main"],
            cwd=folder / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def wait_until_healthy(
    port: int, log: Path, alive: Callable[[], bool], timeout_s: float = 60.0
) -> None:
    """Return when SQS and CloudFormation run.

    Raises:
        LocalStackError: the program ended, or the time is over.
    """
    deadline = monotonic() + timeout_s
    while monotonic() < deadline:
        if not alive():
            raise LocalStackError(f"LocalStack ended while starting; its log: {log}")
        if _healthy(port):
            return
        sleep(0.1)
    raise LocalStackError(
        f"LocalStack did not answer on port {port} within {timeout_s:.0f} s; its log: {log}"
    )


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/_localstack/health", timeout=2
        ) as answer:
            services = json.load(answer)["services"]
    except (OSError, ValueError, urllib.error.URLError):
        return False
    return all(services.get(name) in ("running", "available") for name in ("sqs", "cloudformation"))


def main() -> None:
    """Run LocalStack with Carelane's queues until SIGTERM or its own end."""
    settings = LocalSettings.from_env(os.environ)
    folders = Folders(settings.home)
    ready = folders.ready("sqs")
    ready.unlink(missing_ok=True)
    try:
        # LocalStack itself would run on without a word, and somebody else's would answer for it.
        refuse_taken_ports({"CARELANE_PORT_SQS": settings.port_sqs})
        process = start(folders, settings.port_sqs)
        # It keeps nothing that a gentler end would save.
        signal.signal(signal.SIGTERM, lambda *_: process.kill())
        try:
            _serve(settings, folders, process)
        finally:
            ready.unlink(missing_ok=True)
            process.kill()
    except CarelaneError as error:
        sys.exit(f"carelane: {error}")


def _serve(settings: LocalSettings, folders: Folders, process: subprocess.Popen[bytes]) -> None:
    log = folders.log("localstack")
    wait_until_healthy(settings.port_sqs, log, lambda: process.poll() is None)
    endpoint = f"http://127.0.0.1:{settings.port_sqs}"
    create_queues(replace(settings, sqs_endpoint_url=endpoint))
    folders.ready("sqs").touch()
    print(f"LocalStack is up on {endpoint}, with its queues", flush=True)
    misses = 0
    while process.poll() is None and misses < _MISSES:
        misses = 0 if _healthy(settings.port_sqs) else misses + 1
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY_S)
    how = "answers no more" if process.poll() is None else f"has ended ({process.returncode})"
    raise LocalStackError(f"LocalStack {how}; its log: {log}")


if __name__ == "__main__":
    main()
