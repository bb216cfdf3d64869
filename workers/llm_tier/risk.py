"""Messages that talk to the machine instead of the clinic: how far they may go. Pure.

Nothing can tell for certain whether a model will obey an instruction inside a message. So a
message that looks like one is asked alone, where it can harm nobody else's label, and its answer
counts only if the small model, which cannot be talked to, says the same; and one that clearly
tries goes to a person without being asked about.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Final

from workers.llm_tier import orders
from workers.llm_tier.wording import collapsed


class Risk(StrEnum):
    """What to do with a message."""

    NONE = "none"  # may share a prompt
    ALONE = "alone"  # a prompt of its own, and the small model must agree
    PERSON = "person"  # not asked about


#: Characters that hide words from readers, not from tokenizers: of no width, marks of direction,
#: tags, the variation selectors that no emoji has.
_HIDDEN: Final = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\U000e0000-\U000e01ef]"
)
_MOST_HIDDEN: Final = 3
#: Joins emoji into one, a family for example; hides nothing.
_EMOJI_JOINT: Final = re.compile("(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d")


def risk_of(text: str) -> Risk:
    """How a message may be asked about."""
    plain = _EMOJI_JOINT.sub("", unicodedata.normalize("NFKC", text))
    shown = _HIDDEN.sub("", plain)
    hidden = len(plain) - len(shown)
    shown = collapsed(shown)
    if hidden > _MOST_HIDDEN or orders.CLEAR.search(shown):
        return Risk.PERSON
    found = orders.finds(shown)
    if orders.meets(found, orders.CLEAR_RULES):
        return Risk.PERSON
    if (
        orders.DOUBTFUL.search(shown)
        or orders.meets(found, orders.DOUBTFUL_RULES)
        or _disguised(shown)
    ):
        return Risk.ALONE
    return Risk.NONE


def _disguised(text: str) -> bool:
    """Whether digits in place of letters hide a word ("1gn0re")."""
    read = text.translate(orders.DIGITS_AS_LETTERS)
    return len(orders.DISGUISED.findall(read)) > len(orders.DISGUISED.findall(text))
