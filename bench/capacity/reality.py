"""Runs Carelane's real processes under stated loads, and records what each step took.

Nothing is built into the processes for it: step times come from their own logs (relay: `sent`,
fast worker: `chunk labelled`), from the labels' latencies and from the tables' times.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from random import Random
from typing import Any, Self

from sqlalchemy import Engine, create_engine, text

from bench.carelane_side import CarelaneSide
from bench.ground import Ground
from bench.measure import CpuMeter, calibration_ms
from bench.texts import message_texts
from bench.waiting import wait_until

#: Past this the run is broken.
_PATIENCE_S = 600
_SENDERS = 8
#: How long a load without messages is watched: what polling alone costs.
_IDLE_S = 4.0
_MESSAGES = """
    SELECT extract(epoch FROM m.received_at) AS received_s,
           extract(epoch FROM m.settled_at) AS settled_s,
           extract(epoch FROM first.created_at) AS labelled_s,
           first.tier AS first_tier, first.latency_ms,
           m.red_flags <> '[]'::jsonb AS flagged, last.tier AS tier,
           last.latency_ms AS last_latency_ms
    FROM messages m
    JOIN LATERAL (SELECT created_at, tier, latency_ms FROM labels WHERE message_id = m.id
                  ORDER BY id LIMIT 1) first ON true
    LEFT JOIN labels last ON last.id = m.current_label_id
    ORDER BY m.received_at
"""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent: so many messages at a rate, or all at once, or one by one."""

    name: str
    messages: int
    rate_per_s: float | None = None  # None: one call with all of them
    even: bool = False  # evenly spaced; else as chance has it (Poisson)

    def gaps_s(self, random: Random) -> list[float]:
        """Seconds before each message."""
        assert self.rate_per_s
        if self.even:
            return [1 / self.rate_per_s] * self.messages
        return [random.expovariate(self.rate_per_s) for _ in range(self.messages)]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message's times, in seconds of the database's clock."""

    received_s: float
    labelled_s: float
    settled_s: float
    flagged: bool
    escalated: bool
    model_ms: float
    llm_ms: float | None  # of the call that labelled it


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One load, as it went."""

    load: Load
    messages: list[Message]
    sent: list[tuple[str, int, float, float]]  # lane, messages, end (s), duration (ms)
    chunks: list[tuple[int, float, float]]  # messages, end (s), duration (ms)
    calls: list[tuple[int, float, int, int, int]]  # messages, ms, tokens in, cached, out
    cpu_ms: dict[str, float]  # a message, by part
    other_cores: float  # what other programs took meanwhile, in cores
    over_s: float
    slowness: float  # a fixed loop's time over its CPU time, before and after: 1 on an idle machine
    commits: float  # of Postgres, a message
    wal_bytes: float  # written ahead, a message
    table_bytes: float  # a message, indexes included

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Recorded:
        """What `to_json` wrote."""
        return cls(
            **{
                **found,
                "load": Load(**found["load"]),
                "messages": [Message(**each) for each in found["messages"]],
                "sent": [tuple(each) for each in found["sent"]],
                "chunks": [tuple(each) for each in found["chunks"]],
                "calls": [tuple(each) for each in found["calls"]],
            }
        )


class Reality:
    """The processes, started once; takes load after load."""

    def __init__(self, ground: Ground, fast_processes: int, seed: int) -> None:
        self._side = CarelaneSide(ground, fast_processes)
        self._logs = ground.folder / "logs" / "carelane"
        self._engine: Engine = create_engine(ground.database("carelane"))
        self._texts = message_texts(seed)
        self._random = Random(seed)

    def __enter__(self) -> Self:
        self._side.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._side.stop()
        self._engine.dispose()

    def take(self, load: Load) -> Recorded:
        """Send a load, wait until all is settled, read what happened."""
        texts = list(islice(self._texts, load.messages))
        self._side.clear()
        before = _slowness()
        before_db = self._database()
        offsets = {name: self._log(name).stat().st_size for name in ("relay", "fast")}
        meter = CpuMeter(self._side.parts())
        if texts:
            self._send(load, texts)
        else:
            time.sleep(_IDLE_S)
        wait_until(lambda: self._side.settled() >= load.messages, _PATIENCE_S, "all settled")
        used = meter.stop()
        grown = [b - a for a, b in zip(before_db, self._database(), strict=True)]
        each = max(load.messages, 1)
        return Recorded(
            load=load,
            messages=self._messages(),
            sent=[
                (line["lane"], line["sent"], _epoch(line), line["duration_ms"])
                for line in self._lines("relay", offsets["relay"], "sent")
            ],
            chunks=[
                (line["messages"], _epoch(line), line["duration_ms"])
                for line in self._lines("fast", offsets["fast"], "chunk labelled")
            ],
            calls=self._calls(),
            cpu_ms={part: s * 1000 / each for part, s in used.by_part.items()},
            other_cores=max(0.0, used.machine - sum(used.by_part.values())) / used.seconds,
            over_s=used.seconds,
            slowness=(before + _slowness()) / 2,
            table_bytes=grown[0] / each,
            wal_bytes=grown[1] / each,
            commits=grown[2] / each,
        )

    def _send(self, load: Load, texts: Sequence[str]) -> None:
        if load.rate_per_s is None:
            self._side.submit_burst(texts)
            return
        failures: list[BaseException] = []
        lock = threading.Lock()

        def one(each: str) -> None:
            try:
                self._side.submit(each)
            except BaseException as error:  # noqa: BLE001  told to the main thread below
                with lock:
                    failures.append(error)

        due = time.perf_counter()
        with ThreadPoolExecutor(_SENDERS) as senders:
            for each, gap_s in zip(texts, load.gaps_s(self._random), strict=True):
                due += gap_s
                time.sleep(max(0.0, due - time.perf_counter()))
                senders.submit(one, each)
        if failures:
            raise failures[0]

    def _messages(self) -> list[Message]:
        with self._engine.connect() as connection:
            rows = connection.execute(text(_MESSAGES)).all()
        return [
            Message(
                received_s=float(row.received_s),
                labelled_s=float(row.labelled_s),
                settled_s=float(row.settled_s),
                flagged=row.flagged,
                escalated=row.tier != "fast",
                model_ms=row.latency_ms if row.first_tier == "fast" else 0.0,
                llm_ms=row.last_latency_ms if row.tier == "llm" else None,
            )
            for row in rows
        ]

    def _calls(self) -> list[tuple[int, float, int, int, int]]:
        with self._engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT messages, latency_ms, prompt_tokens, cached_tokens, completion_tokens "
                    "FROM llm_calls WHERE outcome = 'ok'"
                )
            )
            return [tuple(row) for row in rows]

    def _database(self) -> tuple[int, int, int]:
        """The database's size, how far its write-ahead log has come, transactions committed."""
        with self._engine.connect() as connection:
            row = connection.execute(
                text(
                    "SELECT pg_database_size(datname) AS size, xact_commit, "
                    "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal "
                    "FROM pg_stat_database WHERE datname = current_database()"
                )
            ).one()
        return int(row.size), int(row.wal), int(row.xact_commit)

    def _log(self, name: str) -> Any:
        return self._logs / f"{name}.log"

    def _lines(self, name: str, offset: int, event: str) -> list[dict[str, Any]]:
        with self._log(name).open() as log:
            log.seek(offset)
            lines = [json.loads(line) for line in log if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


def _slowness() -> float:
    """How much longer than its CPU time a fixed loop takes now."""
    used_s = time.process_time()
    taken_ms = sum(calibration_ms(repeats=20))
    return max(1.0, taken_ms / 1000 / (time.process_time() - used_s))


def _epoch(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
