"""A message's text cut into pieces for the page: red-flag words, words that carried a decision,
and hidden characters, which are shown.

The template escapes each piece; nothing here makes markup. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from dashboard.rows import Flag
from shared.contracts import Urgency

#: Characters that reorder or hide what follows them; a dose read backwards is a danger.
_DIRECTION: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_LAYOUT: Final = frozenset("\n\t")


@dataclass(frozen=True, kw_only=True)
class Carried:
    """Words that carried a decision."""

    start: int
    end: int
    of: str  # category or urgency


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of text, alike all through."""

    text: str
    flag: Flag | None = None  # the red flag whose words these are
    carried: tuple[str, ...] = ()  # category, urgency: what these words carried
    control: str | None = None  # the name of a character that would not show


def pieces(text: str, flags: Sequence[Flag], carried: Sequence[Carried] = ()) -> tuple[Piece, ...]:
    """`text` in order, cut where marked words start and end and around hidden characters."""
    # Marks count the text as it is stored; line ends become the page's only after the cut.
    marks = [flag for flag in flags if 0 <= flag.start < flag.end <= len(text)]
    words = [each for each in carried if 0 <= each.start < each.end <= len(text)]
    ends = {at for flag in marks for at in (flag.start, flag.end)}
    ends |= {at for each in words for at in (each.start, each.end)}
    found: list[Piece] = []
    for start, end in pairwise(sorted({0, len(text), *ends})):
        flag = _strongest([m for m in marks if m.start <= start and end <= m.end])
        of = tuple(dict.fromkeys(w.of for w in words if w.start <= start and end <= w.end))
        split = _split_controls(_line_ends(text, start, end), flag)
        found.extend(replace(piece, carried=of) for piece in split)
    return tuple(found)


def _line_ends(text: str, start: int, end: int) -> str:
    """A cut of `text` with plain line ends, also where the cut goes through one."""
    piece = text[start:end].replace("\r\n", "\n")
    cut_through = piece.endswith("\r") and text[end : end + 1] == "\n"
    return piece[:-1] if cut_through else piece


def _strongest(flags: Sequence[Flag]) -> Flag | None:
    return min(flags, key=lambda flag: flag.urgency.rank, default=None)


def _split_controls(text: str, flag: Flag | None) -> Iterator[Piece]:
    start = 0
    for at, character in enumerate(text):
        if character in _DIRECTION or (
            unicodedata.category(character) == "Cc" and character not in _LAYOUT
        ):
            if start < at:
                yield Piece(text=text[start:at], flag=flag)
            yield Piece(text="", flag=flag, control=f"U+{ord(character):04X}")
            start = at + 1
    if start < len(text):
        yield Piece(text=text[start:], flag=flag)


def urgency_class(flag: Flag) -> str:
    """The style of a flag's words."""
    return "emergent" if flag.urgency is Urgency.EMERGENT else "urgent"
