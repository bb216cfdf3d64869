"""`Deidentifier`: check the language, run the rules and the classifier, merge, replace.

One pass over the text; the only input and output is the loading of the bundle.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from shared import logs, metrics
from shared.errors import DeidError
from workers.deid.bundle import DEFAULT_BUNDLE, Thresholds, open_bundle
from workers.deid.classifier import TokenClassifier
from workers.deid.decode import model_hits, standing
from workers.deid.language import check_language, check_script
from workers.deid.lists import clinical_words, known_names
from workers.deid.plain import plain_view
from workers.deid.rules import RECOGNISERS
from workers.deid.spans import Hit, Masked, merge, replace

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 20_000
BUDGET_MS = 20.0  # for a message of up to FREE_CHARACTERS
FREE_CHARACTERS = 600
BUDGET_MS_PER_CHARACTER = 0.05  # for each character beyond

# Why a text is refused (DeidError.reason), and what pages say about it.
REASONS = {
    "timeout": "It took longer than its time budget.",
    "too_long": "The text is longer than de-identification vouches for.",
    "unknown_script": "The text holds letters of a script that it cannot read.",
    "unknown_language": "The text is in a language that it does not cover.",
    "failed": "It broke down on this text.",
}


def scaled_budget_ms(text: str, budget_ms: float = BUDGET_MS) -> float:
    """The time that a text may take: `budget_ms`, and in proportion more for a long one."""
    share = BUDGET_MS_PER_CHARACTER * max(0, len(text) - FREE_CHARACTERS) / BUDGET_MS
    return budget_ms * (1 + share)


class Deadline:
    """Raises DeidError once the budget is spent; asked between steps.

    The budget is this thread's own CPU time: it stops a text that is hostile to a rule, and must
    not send a message to a person because other threads or programs had the core meanwhile.
    """

    def __init__(self, budget_ms: float) -> None:
        self._budget_ms = budget_ms
        self._until_s = time.thread_time() + budget_ms / 1000

    def check(self) -> None:
        if time.thread_time() > self._until_s:
            raise DeidError(
                "timeout",
                f"De-identification took longer than its budget of {self._budget_ms:g} ms; "
                "a person has to read the message. If this happens often, the budget is too small "
                "for this machine.",
            )


class Deidentifier:
    """Replaces every identifier in a text. Build with `load`; safe to share between threads."""

    def __init__(
        self,
        classifier: TokenClassifier,
        thresholds: Thresholds,
        version: str,
        budget_ms: float = BUDGET_MS,
    ) -> None:
        self._classifier = classifier
        self._thresholds = thresholds
        self._budget_ms = budget_ms
        self.version = version

    @classmethod
    def load(cls, bundle: Path | None = None, budget_ms: float = BUDGET_MS) -> Deidentifier:
        """Load a bundle folder, by default the one that Carelane ships. Raises BundleError.

        `budget_ms` is what a message of usual length may take; a long one gets more.
        """
        opened = open_bundle(DEFAULT_BUNDLE if bundle is None else bundle)
        classifier = TokenClassifier.load(opened)
        deidentifier = cls(classifier, opened.thresholds, opened.version, budget_ms)
        clinical_words()
        known_names()
        # The first run pays for memory and code paths; here, so that no message does.
        deidentifier.mask("Dr. Smith called 555-0100 on 3/14.", budget_ms=60_000)
        return deidentifier

    def mask(self, text: str, budget_ms: float | None = None) -> Masked:
        """`text` with its identifiers replaced by numbered placeholders.

        `budget_ms` holds for this text as it is; without it the budget of `load` does, scaled to
        the text's length. Offsets of spans are characters of `text`. Raises DeidError, with a
        `reason` out of REASONS: then nothing of the text may leave.
        """
        if budget_ms is None:
            budget_ms = scaled_budget_ms(text, self._budget_ms)
        deadline = Deadline(budget_ms)
        started_s = time.perf_counter()
        try:
            return self._mask(text, deadline)
        except DeidError:
            raise
        except Exception as error:  # noqa: BLE001
            # Fails closed, whatever went wrong. The error's own text may quote the message, so
            # only its kind and place are told.
            logger.error("de-identification broke down", extra=logs.kind_of(error))
            raise DeidError(
                "failed",
                f"De-identification broke down ({type(error).__name__}); "
                "a person has to read the message.",
            ) from None
        finally:
            metrics.DEID_SECONDS.observe(time.perf_counter() - started_s)

    def _mask(self, text: str, deadline: Deadline) -> Masked:
        if len(text) > MAX_CHARACTERS:
            raise DeidError(
                "too_long",
                f"The message has {len(text)} characters; de-identification vouches for "
                f"{MAX_CHARACTERS} at most. A person has to read it.",
            )
        check_script(text)
        check_language(text)
        deadline.check()
        found = _by_rules(text, deadline)
        words = self._classifier.score(text, deadline.check)
        deadline.check()
        hits = list(standing(found, words, self._thresholds))
        if words is not None:
            hits += model_hits(text, words, self._thresholds)
        masked = replace(text, merge(hits, text))
        deadline.check()
        return masked


def _by_rules(text: str, deadline: Deadline) -> list[Hit]:
    """What the rules find, with offsets into `text`."""
    view = plain_view(text)
    hits: list[Hit] = []
    for recognise in RECOGNISERS:
        found = recognise(view.text)
        if view.origin is None:
            hits += found
        else:
            for hit in found:
                start, end = view.back(hit.start, hit.end)
                hits.append(
                    Hit(start=start, end=end, type=hit.type, score=hit.score, certain=hit.certain)
                )
        deadline.check()
    return hits
