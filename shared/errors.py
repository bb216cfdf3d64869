"""Every error that Carelane raises on purpose.

CarelaneError
├── SettingsError          a setting is missing or cannot be read
├── TaxonomyError          taxonomy.yaml is broken, or a label is not in it
├── RuleError              red_flags.yaml is broken
├── InvalidInput           a message, row or file that cannot be taken as it is
├── IntakeError            the intake refused a client's call
│   └── IntakeUnavailable  ... or could not be reached; the same call may go through later
├── BundleError            a model bundle is missing, broken or foreign
├── DeidError              de-identification could not vouch for a text: it must not leave
├── StoreError             Postgres
│   ├── StoreUnavailable   ... cannot be reached now; the same call may go through later
│   │   └── StoreOverloaded ... is reached, and has more to do than it can
│   └── SealedTextError    ... has a text that opens with no key given here, or was changed
├── QueueError             the broker
│   ├── QueueUnavailable   ... cannot be reached now; the same call may go through later
│   └── QueueMisconfigured ... is reached, and set up so that it would lose messages
└── LanguageModelError     the LLM tier
    ├── LanguageModelUnavailable  transient: limit, time-out, server error
    ├── LanguageModelRefused      permanent for this message: refusal, filter
    ├── LanguageModelBadAnswer    the answer cannot be used: schema, ids, codes, cut off
    ├── LanguageModelMisconfigured permanent for the tier: key, model name, address
    └── LanguageModelUnwanted     nobody waits for the answer any more: the call was broken off

Adapters translate foreign errors (boto, SQLAlchemy, ONNX Runtime, openai) into these;
nothing above an adapter catches a foreign one. A message says what was wrong, where, and
what to do about it.
"""

from __future__ import annotations


class CarelaneError(Exception):
    """Root of the tree."""


class SettingsError(CarelaneError):
    """A setting is missing or cannot be read; the text names its variable."""


class TaxonomyError(CarelaneError):
    """The taxonomy file is broken, or a label is not in it."""


class RuleError(CarelaneError):
    """The red-flag rules are broken; the text names the rule."""


class InvalidInput(CarelaneError):
    """Input that cannot be taken as it is; the text names the row and the field."""


class IntakeError(CarelaneError):
    """The intake refused a client's call; the text is its reason."""


class IntakeUnavailable(IntakeError):
    """The intake cannot be reached, or asks to wait; the same call may go through later."""


class BundleError(CarelaneError):
    """A model bundle is missing, damaged, or made for another taxonomy or version."""


class DeidError(CarelaneError):
    """De-identification cannot vouch for a text, so the text must not leave.

    `reason` is a stable code (e.g. ``timeout``, ``language``), for counting and for pages.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class StoreError(CarelaneError):
    """The database refused or failed."""


class StoreUnavailable(StoreError):
    """The database cannot be reached now; the same call may go through later."""


class StoreOverloaded(StoreUnavailable):
    """The database has more to do than it can now; the same call may go through later."""


class SealedTextError(StoreError):
    """A stored text cannot be opened, however often one tries; the error names its key."""


class QueueError(CarelaneError):
    """The broker refused or failed."""


class QueueUnavailable(QueueError):
    """The broker cannot be reached now; the same call may go through later."""


class QueueMisconfigured(QueueError):
    """A queue is missing, or set up so that messages would be lost."""


class LanguageModelError(CarelaneError):
    """The LLM tier failed.

    `reason` is a stable code, for counting and for pages.
    """

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after_s = retry_after_s


class LanguageModelUnavailable(LanguageModelError):
    """Transient: rate limit, time-out, connection or server error."""


class LanguageModelRefused(LanguageModelError):
    """Permanent for this message: the model or its filter will not answer."""


class LanguageModelBadAnswer(LanguageModelError):
    """The answer does not fit what was asked: schema, ids, codes, cut off."""


class LanguageModelMisconfigured(LanguageModelError):
    """Permanent for the tier until somebody changes a setting: key, model, address."""


class LanguageModelUnwanted(LanguageModelError):
    """Nobody waits for the answer any more, so the call was broken off while it came."""
