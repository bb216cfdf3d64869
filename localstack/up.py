"""`make run`: the whole of Carelane on this machine, from nothing to the first label.

Postgres first, with its schema, its first user and a key for the samples; then every line of the
Procfile under honcho. One Ctrl-C ends all of it, Postgres last; data stays in .carelane/.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from honcho import manager
from honcho.environ import parse_procfile

from localstack.announce import Announcer, Phases
from localstack.keys import ensure_secrets, keep
from localstack.plan import Plan
from localstack.postgres import EmbeddedPostgres
from localstack.samples import done_marker
from localstack.settings import LocalSettings
from localstack.stack import STACK_PID, Folders, ports, refuse_taken_ports
from localstack.supervise import GRACE_S
from shared.database import database_url, make_engine
from shared.errors import CarelaneError
from shared.queues import check_queues
from shared.schema import upgrade

_ROOT = Path(__file__).resolve().parent.parent
_API_KEY = "CARELANE_API_KEY"
_SOURCE = "local-samples"


class AlreadyRunning(CarelaneError):
    """Another `make run` works in the same folder."""


class CommandFailed(CarelaneError):
    """One of our own commands failed while the stack was set up; the text has what it said."""


def main() -> None:
    """Run the stack until it is told to stop."""
    # Whatever ends us, Postgres is stopped: SIGTERM and a closed terminal as much as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        settings = LocalSettings.from_env(os.environ)
        sys.exit(run(settings, os.environ))
    except CarelaneError as error:
        sys.exit(f"carelane: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def run(settings: LocalSettings, given: Mapping[str, str]) -> int:
    """Start everything, wait for the end, stop everything; returns the exit code."""
    phases = Phases(began=float(given.get("CARELANE_MAKE_STARTED", time.time())))
    since = datetime.now(UTC)
    phases.done("environments")
    folders = Folders(settings.home.absolute())
    folders.make()
    with _alone(folders):
        plan = Plan.of(settings, samples_done=done_marker(folders).exists())
        wanted = ports(settings, sqs=plan.local_sqs, llm=plan.standin_llm)
        refuse_taken_ports(wanted)
        for stale in [*folders.home.glob("run/*.ready"), *folders.home.glob("run/metrics/*.db")]:
            stale.unlink()
        with _postgres(plan, folders, settings) as url:
            phases.done("Postgres")
            given = {**given, **ensure_secrets(folders.secrets)}
            environment = plan.environment(settings, given, url)
            sign_in = _prepare(plan, folders, environment, phases)
            # That took seconds; a server that another program started meanwhile would answer in
            # the place of ours.
            refuse_taken_ports(wanted)
            Announcer(
                plan=plan,
                folders=folders,
                engine=make_engine(_ours(environment), "carelane-announcer", pool_size=1),
                phases=phases,
                sign_in=sign_in,
                since=since,
            ).start()
            return _run_processes(plan, environment)


def _prepare(
    plan: Plan, folders: Folders, environment: dict[str, str], phases: Phases
) -> list[str]:
    """Schema, key and first user; returns what the first user needs to sign in."""
    environment[STACK_PID] = str(os.getpid())
    settings = _ours(environment)
    upgrade(database_url(settings))
    phases.done("schema")
    _give_key(folders, environment)
    sign_in = _first_user(environment)
    phases.done("first user, key")
    if not plan.local_sqs and settings.broker_url is None:
        check_queues(settings)
    return sign_in


def _ours(environment: Mapping[str, str]) -> LocalSettings:
    return LocalSettings.from_env(environment)


def _run_processes(plan: Plan, environment: Mapping[str, str]) -> int:
    # honcho kills after five seconds. The supervisors kill by themselves, the last ones later.
    manager.KILL_WAIT = 2 * GRACE_S + 2
    processes = plan.processes(parse_procfile((_ROOT / "Procfile").read_text()).processes)
    honcho = manager.Manager()
    for name, command in processes.items():
        honcho.add_process(name, command, env=dict(environment), cwd=str(_ROOT))
    # honcho listens to SIGINT and SIGTERM only.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    honcho.loop()
    # Ended by hand is a good end.
    return 0 if honcho.returncode in (0, 130, 143) else int(honcho.returncode or 1)


@contextmanager
def _alone(folders: Folders) -> Iterator[None]:
    lock = (folders.home / "run" / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        raise AlreadyRunning(
            f"Carelane already runs in {folders.home} (process {lock.read().strip()}). Stop it "
            "first, or run another one in its own folder and on its own ports: CARELANE_HOME, "
            "CARELANE_PORT_INTAKE, CARELANE_PORT_DASHBOARD, CARELANE_PORT_LLM, CARELANE_PORT_SQS."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    with lock:
        yield


@contextmanager
def _postgres(plan: Plan, folders: Folders, settings: LocalSettings) -> Iterator[str]:
    if not plan.embedded_postgres:
        yield settings.require("database_url")
        return
    server = EmbeddedPostgres(folders.home / "postgres")
    server.start()
    try:
        server.create_database("carelane")
        yield server.url("carelane")
    finally:
        # A second Ctrl-C must not leave the server behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop()


def _give_key(folders: Folders, environment: dict[str, str]) -> None:
    """See to it that the samples, and whoever tries the intake, have a key of this database."""
    if _API_KEY in environment and _SOURCE in _carelane(environment, "keys", "list"):
        return
    key = _carelane(environment, "keys", "add", _SOURCE, "--quiet").strip()
    environment[_API_KEY] = key
    keep(folders.secrets, {_API_KEY: key})


def _first_user(environment: Mapping[str, str]) -> list[str]:
    """What the first user needs to sign in; nothing once they have chosen a password."""
    shown = _carelane(environment, "users", "seed")
    if not shown:
        users = _carelane(environment, "users", "list").splitlines()
        if len(users) == 1 and "has yet to sign in" in users[0]:
            shown = _carelane(environment, "users", "reset", users[0].split()[0])
    lines = [line.partition(":") for line in shown.splitlines() if ": " in line]
    return [f"  {name + ':':<19}{value.strip()}" for name, _, value in lines]


def _carelane(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).parent / "carelane", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandFailed(
            f"`carelane {' '.join(arguments)}` failed: {done.stderr.strip()[-600:]}"
        )
    return done.stdout


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
