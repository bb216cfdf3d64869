"""From word probabilities and rule hits to the hits that stand. Pure.

A word at or above `find` begins a span; neighbours of its type join from `extend` on, and so does
what is written to it without a blank. A name on the list, or found elsewhere in the text, is found
from `rule` on; an uncertain rule hit stands where some word of it reaches `rule`. A span that
consists of clinical words alone is kept only from `protected` on: the allow-list never overrules
a sure model, nor a certain rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from workers.deid.bundle import Thresholds
from workers.deid.classifier import Words
from workers.deid.lists import clinical_words, known_names
from workers.deid.spans import TYPES, Hit

_WORD = re.compile(r"[^\W\d_]+")
_LITTLE = r"(?:and|at|for|from|in|is|of|on|or|the|to|with)"
_LITTLE_BEFORE = re.compile(rf"{_LITTLE}\s{{1,3}}")
_LITTLE_AFTER = re.compile(rf"\s{{1,3}}{_LITTLE}$")
_EDGES = ",;:!?/|-–—()[]<>'\"* \n"


def model_hits(text: str, words: Words, thresholds: Thresholds) -> list[Hit]:
    """Spans of the token classifier."""
    kinds = words.types.argmax(axis=1)
    hits: list[Hit] = []
    last_word = -1
    for index in np.flatnonzero(words.any >= thresholds.find):
        if index <= last_word:
            continue
        first = last = int(index)
        while first - 1 > last_word and _joins(words, kinds, first - 1, first, thresholds):
            first -= 1
        while last + 1 < len(kinds) and _joins(words, kinds, last + 1, last, thresholds):
            last += 1
        last_word = last
        start, end = _without_edges(text, int(words.starts[first]), int(words.ends[last]))
        score = float(words.any[first : last + 1].max())
        if start >= end or (score < thresholds.protected and is_clinical(text[start:end])):
            continue
        kind = TYPES[int(words.types[first : last + 1].sum(axis=0).argmax())]
        hits.append(Hit(start=start, end=end, type=kind, score=round(score, 4)))
    return hits + _known(text, words, hits, thresholds)


def _joins(
    words: Words, kinds: NDArray[np.intp], other: int, index: int, thresholds: Thresholds
) -> bool:
    """Whether word `other`, beside `index`, belongs to the same span."""
    if words.any[other] < thresholds.extend:
        return False
    later = max(other, index)
    if words.starts[later] == words.ends[later - 1]:
        return True
    return bool(kinds[other] == kinds[index] and words.begins[later] <= 0.5)


def _known(text: str, words: Words, hits: Sequence[Hit], thresholds: Thresholds) -> list[Hit]:
    """Names on the list, or found elsewhere in the text: for them, `rule` is suspicion enough.

    A name that is both needs no suspicion at all.
    """
    here = {
        part.lower(): hit.type
        for hit in hits
        if hit.type in ("NAME", "ORG", "ADDRESS")
        for part in _WORD.findall(text[hit.start : hit.end])
        if len(part) > 2 and part.lower() not in clinical_words()
    }
    again = []
    for index in np.flatnonzero(words.any < thresholds.find):
        start, end = int(words.starts[index]), int(words.ends[index])
        word = text[start:end].lower()
        listed = known_names().get(word)
        kind = here.get(word, listed)
        sure = listed is not None and word in here
        if kind is not None and (sure or words.any[index] >= thresholds.rule):
            score = round(float(words.any[index]), 4)
            again.append(Hit(start=start, end=end, type=kind, score=score))
    return again


def _without_edges(text: str, start: int, end: int) -> tuple[int, int]:
    """Cut punctuation and little words off the ends; a full stop may belong to an initial."""
    while start < end and text[start] in _EDGES + ".":
        start += 1
    while end > start and text[end - 1] in _EDGES:
        end -= 1
    before, after = _LITTLE_BEFORE.match(text, start, end), _LITTLE_AFTER.search(text, start, end)
    if before is not None and before.end() < end:
        start = before.end()
    if after is not None and after.start() > start:
        end = after.start()
    return start, end


def is_clinical(surface: str) -> bool:
    """Whether every word of `surface` is on the allow-list."""
    found = _WORD.findall(surface.lower())
    return bool(found) and all(word in clinical_words() or len(word) == 1 for word in found)


def standing(hits: Iterable[Hit], words: Words | None, thresholds: Thresholds) -> Iterator[Hit]:
    """The rule hits that stand once the classifier has been heard."""
    for hit in hits:
        if hit.certain:
            yield hit
        elif words is not None:
            inside = (words.starts < hit.end) & (words.ends > hit.start)
            heard = float(words.any[inside].max(initial=0.0))
            if heard >= thresholds.rule:
                yield hit
