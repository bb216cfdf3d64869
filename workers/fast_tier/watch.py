"""A bundle that can be changed while the worker runs, and a second one tried in its shadow.

Between messages the folder's manifest is looked at, at most every few seconds; when it has
changed, the new bundle is loaded beside the old one and takes over only when it is whole. A
broken one is reported once and the old one goes on. A shadow bundle reads the same messages
and its disagreements are counted; it decides nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from shared.errors import BundleError
from shared.red_flags import RedFlag
from shared.taxonomy import Taxonomy
from workers.fast_tier.explain import Attribution, explain
from workers.fast_tier.manifest import MANIFEST
from workers.fast_tier.scores import Scores
from workers.fast_tier.tier import SHIPPED, FastTier
from workers.routing import Decision, RoutingPolicy, decide

LOG: Final = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 5.0
_TELL_EVERY: Final = 500  # messages between two log lines about the shadow, then counted anew

Signature = tuple[int, int, int]


class _Slot:
    """One bundle folder: what is loaded from it, and what it looked like then."""

    def __init__(self, folder: Path, taxonomy: Taxonomy | None) -> None:
        self._folder = folder
        self._taxonomy = taxonomy
        self._seen = self._signature()
        self.tier = FastTier.load(folder, taxonomy=taxonomy)

    def _signature(self) -> Signature | None:
        """Changes when the manifest is replaced, or when a link points to another folder."""
        try:
            found = (self._folder / MANIFEST).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def refresh(self) -> bool:
        """Load the folder's new content if it changed; a broken one leaves the old in place."""
        now = self._signature()
        if now is None or now == self._seen:
            return False
        old = self.tier.version
        try:
            self.tier = FastTier.load(self._folder, taxonomy=self._taxonomy)
        except BundleError as error:
            # Also the moment in which a copy is half done: the next change is looked at again.
            LOG.error("bundle.refused", extra={"reason": str(error), "serving": old})
            self._seen = now
            return False
        self._seen = now
        LOG.info("bundle.swapped", extra={"old": old, "new": self.tier.version})
        return True


class LiveTier:
    """The fast tier of a running worker: hot-swapped, with an optional shadow."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        shadow: Path | None = None,
        taxonomy: Taxonomy | None = None,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        self._live = _Slot(folder or SHIPPED, taxonomy)
        self._shadow = _Slot(shadow, taxonomy) if shadow else None
        self._clock_s = clock_s
        self._next_look_s = clock_s() + _LOOK_EVERY_S
        self._counts: Counter[str] = Counter()

    @property
    def version(self) -> str:
        """Name and version of the bundle that decides."""
        return self._live.tier.version

    @property
    def policy(self) -> RoutingPolicy:
        """Thresholds of the bundle that decides."""
        return self._live.tier.policy

    @property
    def tier(self) -> FastTier:
        """The bundle that decides, for work beside the lanes: it swaps nothing, counts nothing."""
        return self._live.tier

    @property
    def shadow_version(self) -> str | None:
        """Name and version of the bundle that is being tried, if any."""
        return self._shadow.tier.version if self._shadow else None

    @property
    def shadow_counts(self) -> Mapping[str, int]:
        """Since the last log line or swap: messages, and on how many the two differ in what."""
        return dict(self._counts)

    def score(self, text: str) -> Scores:
        """Scores by the live bundle; the shadow reads along.

        Bundles are swapped here and nowhere else, so `policy` belongs to the last scores.
        """
        self._look()
        scores = self._live.tier.score(text)
        if self._shadow:
            self._compare(decide(scores, (), self.policy), self._shadow.tier.judge(text, ()))
        return scores

    def judge(self, text: str, red_flags: Sequence[RedFlag]) -> Decision:
        """Score and route one message."""
        scores = self.score(text)
        return decide(scores, red_flags, self.policy)

    def explain(self, text: str) -> tuple[Attribution, ...]:
        """The words that carried the live bundle's decision; dozens of runs, for a page."""
        return explain(text, self._live.tier.score)

    def _look(self) -> None:
        now = self._clock_s()
        if now < self._next_look_s:
            return
        self._next_look_s = now + _LOOK_EVERY_S
        if self._counts["messages"] >= _TELL_EVERY:
            LOG.info("bundle.shadow", extra={"shadow": self.shadow_version, **self._counts})
            self._counts.clear()
        slots = (self._live, self._shadow) if self._shadow else (self._live,)
        swapped = [slot.refresh() for slot in slots]  # each of them, whatever the first says
        if any(swapped):
            self._counts.clear()

    def _compare(self, live: Decision, shadow: Decision) -> None:
        self._counts.update(
            messages=1,
            category=live.label.categories[0] != shadow.label.categories[0],
            urgency=live.label.urgency is not shadow.label.urgency,
            accepted=live.accepted is not shadow.accepted,
            missed_emergent=live.label.urgency.rank == 0 and shadow.label.urgency.rank > 0,
        )
