"""Hits, spans and placeholders: how what was found becomes one masked text. Pure.

The rule for overlaps: hits that share a character become one span that covers them all, so that
nothing which any recogniser found is left standing. The span takes the type of the longest hit,
of the higher score where two are equally long. Neighbouring pieces of one address, parted only by
a comma or blanks, become one span too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TYPES = ("NAME", "DATE", "PHONE", "EMAIL", "ADDRESS", "ID", "ORG", "AGE")

PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(TYPES)})_\d{{1,6}}\]")
_ADDRESS_JOINT = re.compile(r"[\s,]{1,4}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One find of one recogniser, before merging."""

    start: int  # first character, in the text as the recogniser saw it
    end: int  # one past the last
    type: str  # one of TYPES
    score: float  # 0 to 1
    certain: bool = True  # False: counts only where the token classifier does not rule it out


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One replaced stretch of the input."""

    start: int  # first character, in the text as given to `mask`
    end: int  # one past the last
    type: str  # one of TYPES
    score: float  # 0 to 1, of the surest recogniser that found it
    placeholder: str  # what stands there now, e.g. [NAME_1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Masked:
    """A text without its identifiers, and what was taken out."""

    text: str
    spans: tuple[Span, ...]


def merge(hits: Iterable[Hit], text: str) -> list[Hit]:
    """Unite overlapping hits, cut at placeholders that the text already holds."""
    free = _outside_placeholders(hits, text)
    merged: list[Hit] = []
    longest = 0
    for hit in sorted(free, key=lambda h: (h.start, -h.end)):
        length = hit.end - hit.start
        last = merged[-1] if merged else None
        if last is None or (hit.start >= last.end and not _same_address(last, hit, text)):
            merged.append(hit)
            longest = length
            continue
        wins = (length, hit.score) > (longest, last.score)
        merged[-1] = Hit(
            start=last.start,
            end=max(last.end, hit.end),
            type=hit.type if wins else last.type,
            score=max(last.score, hit.score),
        )
        longest = max(longest, length)
    return merged


def _same_address(last: Hit, hit: Hit, text: str) -> bool:
    if last.type != "ADDRESS" or hit.type != "ADDRESS":
        return False
    return _ADDRESS_JOINT.fullmatch(text, last.end, hit.start) is not None


def _outside_placeholders(hits: Iterable[Hit], text: str) -> list[Hit]:
    """Cut hits down to what lies outside existing placeholders, and trim blanks."""
    taken = [match.span() for match in PLACEHOLDER.finditer(text)] if "[" in text else []
    kept = []
    for hit in hits:
        pieces = [(hit.start, hit.end)]
        for start, end in taken:
            pieces = [part for piece in pieces for part in _cut(piece, start, end)]
        for start, end in pieces:
            start, end = _trim(text, start, end)
            if start < end:
                kept.append(Hit(start=start, end=end, type=hit.type, score=hit.score))
    return kept


def _cut(piece: tuple[int, int], start: int, end: int) -> list[tuple[int, int]]:
    if piece[1] <= start or piece[0] >= end:
        return [piece]
    return [(piece[0], start), (end, piece[1])]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def replace(text: str, hits: Sequence[Hit]) -> Masked:
    """Put numbered placeholders in the place of merged `hits` (sorted, apart).

    One value keeps one number within the text: equal names (in any case) get the same
    placeholder, and a lone first or last name gets that of the only full name it is part of.
    """
    numbers = _Numbers(text, hits)
    parts, spans, at = [], [], 0
    for hit in hits:
        placeholder = numbers.placeholder(hit.type, text[hit.start : hit.end])
        parts += [text[at : hit.start], placeholder]
        at = hit.end
        spans.append(
            Span(
                start=hit.start,
                end=hit.end,
                type=hit.type,
                score=hit.score,
                placeholder=placeholder,
            )
        )
    return Masked(text="".join([*parts, text[at:]]), spans=tuple(spans))


class _Numbers:
    """Hands out placeholder numbers, consistent within one text."""

    def __init__(self, text: str, hits: Sequence[Hit]) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._next = dict.fromkeys(TYPES, 1)
        for match in PLACEHOLDER.finditer(text):
            kind, number = match[0][1:-1].split("_")
            self._next[kind] = max(self._next[kind], int(number) + 1)
        names = {_value("NAME", text[h.start : h.end]) for h in hits if h.type == "NAME"}
        self._full_names = {name for name in names if " " in name}

    def placeholder(self, kind: str, surface: str) -> str:
        value = _value(kind, surface)
        if kind == "NAME" and " " not in value:
            whole = [name for name in self._full_names if value in name.split()]
            value = whole[0] if len(whole) == 1 else value
        if (kind, value) not in self._known:
            self._known[kind, value] = f"[{kind}_{self._next[kind]}]"
            self._next[kind] += 1
        return self._known[kind, value]


def _value(kind: str, surface: str) -> str:
    """What counts as the same value: case and spacing do not, nor a number's punctuation."""
    folded = surface.casefold()
    if kind in ("PHONE", "ID"):
        return re.sub(r"[\W_]+", "", folded)
    return " ".join(re.findall(r"[\w'’-]+", folded)) or folded
