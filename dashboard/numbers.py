"""The page's numbers, counted at most so often per process, whoever asks."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine

from dashboard import facets, queries
from dashboard.facets import Counts
from shared.database import transaction
from shared.taxonomy import Taxonomy

#: Counting takes at most one part in so many of the process's time.
_SHARE: Final = 20
_FIRST_READ_EVERY_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Numbers of one moment."""

    counts: Counts
    first_read: list[dict[str, Any]]
    began_s: float  # time.monotonic()
    at_s: float
    took_s: float


class Numbers:
    """Counts what is open; safe to share between threads."""

    def __init__(self, engine: Engine, taxonomy: Taxonomy) -> None:
        self._engine = engine
        self._taxonomy = taxonomy
        self._lock = threading.Lock()
        self._last: Snapshot | None = None
        self._first_read: list[dict[str, Any]] = []
        self._first_read_at_s = float("-inf")

    def now(self, max_age_s: float = 3.0) -> Snapshot:
        """Numbers that are at most so old, or as young as counting them allows."""
        last = self._last
        if last is not None and not self._stale(last, max_age_s):
            return last
        with self._lock:
            last = self._last
            if last is None or self._stale(last, max_age_s):
                self._last = last = self._count()
            return last

    def as_json(self) -> str | None:
        """The counts, for a page's script; None when counting anew would take too large a share."""
        asked_s = time.monotonic()
        snapshot = self.now(0.0)
        return json.dumps(snapshot.counts) if snapshot.began_s >= asked_s else None

    @staticmethod
    def _stale(last: Snapshot, max_age_s: float) -> bool:
        return time.monotonic() - last.at_s > max(max_age_s, _SHARE * last.took_s)

    def _count(self) -> Snapshot:
        began = time.monotonic()
        with transaction(self._engine) as connection:
            counts = facets.count(queries.facets(connection), self._taxonomy)
            if began - self._first_read_at_s > _FIRST_READ_EVERY_S:
                rows = queries.first_read(connection)
                self._first_read = facets.first_read(rows, self._taxonomy)
                self._first_read_at_s = began
        now = time.monotonic()
        return Snapshot(
            counts=counts,
            first_read=self._first_read,
            began_s=began,
            at_s=now,
            took_s=now - began,
        )
