"""What counts as a text at all, at the live door and in files. Pure."""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


def is_blank(text: str) -> bool:
    """Whether nothing in `text` can be read: only spaces, control and format characters.

    A character that this Python does not know yet, a new emoji say, can be read.
    """
    return all(unicodedata.category(char) in _INVISIBLE for char in text)
