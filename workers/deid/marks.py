"""Inline marks, as the corpus has them: ``Dr. [[NAME|Osei]] called``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"\[\[([A-Z]+)\|(.*?)\]\]", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One marked value; offsets are characters of the plain text."""

    start: int
    end: int
    type: str


def segments(marked: str) -> list[tuple[str, str | None]]:
    """The text in pieces, each with its type, or None outside marks."""
    pieces: list[tuple[str, str | None]] = []
    at = 0
    for match in _MARK.finditer(marked):
        if match.start() > at:
            pieces.append((marked[at : match.start()], None))
        pieces.append((match[2], match[1]))
        at = match.end()
    if at < len(marked):
        pieces.append((marked[at:], None))
    return pieces


def join(pieces: list[tuple[str, str | None]]) -> tuple[str, tuple[Mark, ...]]:
    """The plain text of pieces, and where the marked ones stand in it."""
    text, marks = "", []
    for piece, kind in pieces:
        if kind is not None and piece:
            marks.append(Mark(start=len(text), end=len(text) + len(piece), type=kind))
        text += piece
    return text, tuple(marks)


def parse(marked: str) -> tuple[str, tuple[Mark, ...]]:
    """The plain text of a marked one, and its marks."""
    return join(segments(marked))
