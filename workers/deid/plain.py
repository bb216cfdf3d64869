"""The view of a text that the rules read: invisible characters gone, odd digits made plain.

A zero-width space inside a phone number, or a number in full-width digits, must not hide it from
the rules. Offsets lead back to the text as given, so that spans point into the input.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_QUOTES = {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"'}


@dataclass(frozen=True, slots=True)
class PlainView:
    """`text`, and where each of its characters stood in the input (None: nothing moved)."""

    text: str
    origin: Sequence[int] | None

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The input's offsets of a non-empty stretch of `text`."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def plain_view(text: str) -> PlainView:
    """Normalise character by character; ASCII passes untouched."""
    if text.isascii():
        return PlainView(text, None)
    kept, origin, moved = [], [], False
    for index, character in enumerate(text):
        plain = character if character.isascii() else _plain(character)
        if not plain:
            moved = True
            continue
        kept.append(plain)
        origin.append(index)
    return PlainView("".join(kept), origin if moved else None)


def _plain(character: str) -> str:
    """The plain form of one character: always one character, or none where it is invisible."""
    if character in _QUOTES:
        return _QUOTES[character]
    category = unicodedata.category(character)
    if category in ("Cf", "Mn", "Me", "Co", "Cn", "Cs"):
        # Combining marks go too: a letter with a loose accent is still that letter to the rules.
        return ""
    if category == "Pd":
        return "-"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category in ("Nd", "No", "Nl"):
        digit = unicodedata.digit(character, None)
        return character if digit is None else str(digit)
    return character
