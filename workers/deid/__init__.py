"""De-identification: every identifier in a message is replaced before its text goes anywhere.

The LLM tier, the cache key, exports for training and ``carelane deid`` all call the same
function::

    deidentifier = Deidentifier.load()
    masked = deidentifier.mask("Anna Smith, DOB 4/2/1957, needs a refill")
    masked.text   # '[NAME_1], DOB [DATE_1], needs a refill'
    masked.spans  # what was replaced, with offsets into the text as given

It fails closed: what cannot be vouched for raises DeidError, and the text must not leave.
"""

from __future__ import annotations

from shared.errors import DeidError
from workers.deid.deidentifier import Deidentifier
from workers.deid.spans import TYPES, Masked, Span

__all__ = ["TYPES", "DeidError", "Deidentifier", "Masked", "Span"]
