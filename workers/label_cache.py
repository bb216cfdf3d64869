"""The label cache as the lanes use it: off without a key, waiting for what others ask."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from shared import metrics
from shared.contracts import Label, Tier
from shared.database import transaction
from shared.errors import StoreError
from workers import cache, routing
from workers.cache import Cached, Entry
from workers.llm_tier.wording import Keys
from workers.seams import Clock
from workers.store import Claimed

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_DAY_S = 86_400.0
#: The cache is pruned when an entry's key begins like this: at one entry in 256.
_PRUNES = "00"


@dataclass(frozen=True, kw_only=True)
class LabelCache:
    """The cache of one process."""

    engine: Engine
    clock: Clock
    keys: Keys | None  # None: off
    days: float
    most_entries: int

    def key(self, row: Claimed, text: str) -> str | None:
        """The key of a message; None where its label is neither looked up nor kept.

        A red flag is a reason for eyes on this very message, whatever an equal one was called.
        """
        return None if self.keys is None or row.red_flags else self.keys.of(text)

    def find(self, keys: Iterable[str | None]) -> dict[str, Cached]:
        """The labels under these keys; every key counts as a hit as often as it comes.

        A look-up that fails finds nothing: messages are labelled without the cache too.
        """
        counts = Counter(key for key in keys if key is not None)
        if not counts:
            return {}
        try:
            with transaction(self.engine) as connection:
                found = cache.find(connection, counts)
        except StoreError as error:
            logger.warning("cache not looked up", extra={"reason": str(error)})
            return {}
        hits = sum(count for key, count in counts.items() if key in found)
        metrics.CACHE_LOOKUPS.inc(hits, result="hit")
        metrics.CACHE_LOOKUPS.inc(counts.total() - hits, result="miss")
        return found

    def start_asking(self, keys: Sequence[str], owner: str, for_s: float) -> set[str]:
        """The keys that `owner` is to ask about; others are asking about the rest."""
        if not keys:
            return set()
        with transaction(self.engine) as connection:
            return cache.start_asking(connection, keys, owner, for_s)

    def store(self, owner: str, entry: Entry) -> None:
        """Keep an answer."""
        with transaction(self.engine) as connection:
            cache.store(connection, owner, [entry], self.days * _DAY_S)
            if entry.key.startswith(_PRUNES):
                cache.prune(connection, self.most_entries)

    def stop_asking(self, owner: str) -> None:
        """What `owner` asked about without an answer is free for others to ask."""
        if self.keys is not None:
            with transaction(self.engine) as connection:
                cache.stop_asking(connection, owner)

    def wait(
        self, keys: Sequence[str], owner: str, for_s: float, still_ours: Callable[[], bool]
    ) -> set[str]:
        """Wait until others have answered `keys`; returns those that are `owner`'s to ask now."""
        mine: set[str] = set()
        until_s = self.clock.monotonic_s() + for_s
        left = set(keys)
        while left and self.clock.monotonic_s() < until_s and still_ours():
            self.clock.sleep(_LOOK_EVERY_S)
            with transaction(self.engine) as connection:
                left -= cache.known(connection, left)
                mine |= cache.start_asking(connection, sorted(left), owner, for_s)
            left -= mine
        return mine


def label_of(cached: Cached, row: Claimed, taxonomy_version: str) -> Label:
    """The label that a message gets from an equal one."""
    lowest = routing.floor(row.red_flags)
    corrected = cached.tier is Tier.HUMAN
    return Label(
        categories=cached.categories,
        urgency=min(cached.urgency, lowest, key=lambda urgency: urgency.rank),
        tier=Tier.CACHE,
        taxonomy_version=taxonomy_version,
        model_version=cached.model_version,
        prompt_version=cached.prompt_version,
        reasons=("equal_message", "corrected_by_person") if corrected else ("equal_message",),
    )
