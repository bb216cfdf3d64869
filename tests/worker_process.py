"""A worker process for tests: the real command, with a fast tier that does what the text says.

python -m tests.worker_process fast|llm CONCURRENCY
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from shared.contracts import Lane
from shared.errors import CarelaneError
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers import liveness
from workers.cli import run
from workers.composition import BUILDERS, fast_runtime, words_explainer
from workers.fast_tier.scores import Scores
from workers.routing import RoutingPolicy
from workers.runtime import Runtime

SURE = "[sure]"
UNSURE = "[unsure]"
KILLS = "[kills its process]"
RAISES = "[raises]"
SLOW = "[slow]"  # a tenth of a second
HANGS = "[hangs]"  # where Python's signals reach it
STUCK = "[stuck]"  # where they do not, as in native code


class ObedientLabeller:
    """Scores by what stands in the text."""

    version = "obedient-1"

    def __init__(self) -> None:
        taxonomy = Taxonomy.load()
        self._names = taxonomy.category_names
        self.policy = RoutingPolicy(
            min_joint=0.5,
            min_category=0.5,
            min_urgency=0.5,
            max_emergent=0.5,
            min_familiarity=-1.0,
            languages=("en",),
            emergent_categories=("symptom", "medication"),
            model_version=self.version,
            taxonomy_version=taxonomy.version,
        )

    def score(self, text: str) -> Scores:
        """Sure of `refill`, or not sure of anything."""
        if KILLS in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if RAISES in text:
            raise ValueError("as asked")
        if STUCK in text:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
        if HANGS in text or STUCK in text:
            time.sleep(3600)
        if SLOW in text:
            time.sleep(0.1)
        refill = self._names.index("refill")
        confidence = 0.95 if SURE in text else 0.3
        rest = (1 - confidence) / (len(self._names) - 1)
        categories = tuple(
            confidence if index == refill else rest for index in range(len(self._names))
        )
        return Scores(
            category_probabilities=categories,
            member_probabilities=categories,
            category_set=("refill",),
            urgency_probabilities=(0.01, 0.01, 0.98),
            n_tokens=len(text.split()),
            truncated=False,
            language="en",
            familiarity=1.0,
        )


def build_fast(settings: Settings, queue_urls: Mapping[Lane, str]) -> Runtime:
    """The fast worker's runtime with the obedient labeller."""
    runtime = fast_runtime(settings, Taxonomy.load(), ObedientLabeller())
    return replace(runtime, explainers=(words_explainer(settings, ObedientLabeller),))


def main(kind: str, concurrency: int) -> int:
    """Run until told to stop."""
    liveness.BEAT_EVERY_S = float(os.environ.get("TESTS_BEAT_EVERY_S", liveness.BEAT_EVERY_S))
    build = build_fast if kind == "fast" else BUILDERS[kind]
    try:
        return run(kind, Settings.from_env(os.environ), concurrency, build)
    except CarelaneError as error:  # as shared.cli does
        sys.stderr.write(f"carelane: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
