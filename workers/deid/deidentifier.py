"""`Deidentifier`: check the language, run the rules and the classifier, merge, replace.

One pass over the text; the only input and output is the loading of the bundle.
"""

from __future__ import annotations

import time
from pathlib import Path

from shared.errors import DeidError
from workers.deid.language import check_language, check_script
from workers.deid.plain import plain_view
from workers.deid.rules import RECOGNISERS
from workers.deid.spans import Hit, Masked, merge, replace

MAX_CHARACTERS = 20_000
BUDGET_MS = 20.0  # for a message of up to FREE_CHARACTERS
FREE_CHARACTERS = 600
BUDGET_MS_PER_CHARACTER = 0.04  # for each character beyond


def default_budget_ms(text: str) -> float:
    """The time that a text may take: 20 ms, and 40 ms more for every thousand characters."""
    return BUDGET_MS + BUDGET_MS_PER_CHARACTER * max(0, len(text) - FREE_CHARACTERS)


class Deadline:
    """Raises DeidError once the budget is spent; asked between steps."""

    def __init__(self, budget_ms: float) -> None:
        self._budget_ms = budget_ms
        self._until_s = time.perf_counter() + budget_ms / 1000

    def check(self) -> None:
        if time.perf_counter() > self._until_s:
            raise DeidError(
                "timeout",
                f"De-identification took longer than its budget of {self._budget_ms:g} ms; "
                "a person has to read the message. If this happens often, the machine is too "
                "busy, or the budget too small for it.",
            )


class Deidentifier:
    """Replaces every identifier in a text. Build with `load`; safe to share between threads."""

    def __init__(self) -> None:
        pass

    @classmethod
    def load(cls, bundle: Path | None = None) -> Deidentifier:  # noqa: ARG003
        """Load the bundle in `bundle`, the one that Carelane ships by default."""
        return cls()

    def mask(self, text: str, budget_ms: float | None = None) -> Masked:
        """`text` with its identifiers replaced by numbered placeholders.

        Offsets of spans are characters of `text`. Raises DeidError, whose `reason` is one of
        timeout, too_long, unknown_script, unknown_language, failed: then nothing may leave.
        """
        deadline = Deadline(default_budget_ms(text) if budget_ms is None else budget_ms)
        try:
            return self._mask(text, deadline)
        except DeidError:
            raise
        except Exception as error:
            # Fails closed: whatever went wrong, the text does not leave. The error's own text may
            # quote the message, so only its kind is told.
            raise DeidError(
                "failed",
                f"De-identification broke down ({type(error).__name__}); "
                "a person has to read the message.",
            ) from None

    def _mask(self, text: str, deadline: Deadline) -> Masked:
        if len(text) > MAX_CHARACTERS:
            raise DeidError(
                "too_long",
                f"The message has {len(text)} characters; de-identification vouches for "
                f"{MAX_CHARACTERS} at most. A person has to read it.",
            )
        check_script(text)
        check_language(text)
        view = plain_view(text)
        hits: list[Hit] = []
        for recognise in RECOGNISERS:
            for hit in recognise(view.text):
                start, end = view.back(hit.start, hit.end)
                hits.append(
                    Hit(start=start, end=end, type=hit.type, score=hit.score, certain=hit.certain)
                )
            deadline.check()
        masked = replace(text, merge(hits, text))
        deadline.check()
        return masked
