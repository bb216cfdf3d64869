"""From word probabilities and rule hits to the hits that stand. Pure.

A word at or above `find` begins a span; its neighbours join from `extend` on. An uncertain rule
hit stands where some word of it reaches `rule`. A span that consists of clinical words alone is
kept only from `protected` on: the allow-list never overrules a sure model, nor a certain rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from workers.deid.bundle import Thresholds
from workers.deid.classifier import Words
from workers.deid.spans import TYPES, Hit

_WORD = re.compile(r"[^\W\d_]+")
_EDGES = ",;:!?/|-–—()[]<>'\"* \n"


@cache
def clinical_words() -> frozenset[str]:
    """The allow-list: lower-case words of medicine that are also, or look like, names."""
    text = Path(__file__).with_name("clinical_words.txt").read_text(encoding="utf-8")
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    return frozenset(word for line in lines for word in line.split())


def model_hits(text: str, words: Words, thresholds: Thresholds) -> Iterator[Hit]:
    """Spans of the token classifier."""
    joins = words.any >= thresholds.extend
    found = np.flatnonzero(words.any >= thresholds.find)
    last_word = -1
    for index in found:
        if index <= last_word:
            continue
        first, last = int(index), int(index)
        while first - 1 > last_word and joins[first - 1] and not _parts(words, first):
            first -= 1
        while last + 1 < len(joins) and joins[last + 1] and not _parts(words, last + 1):
            last += 1
        last_word = last
        start, end = _without_edges(text, int(words.starts[first]), int(words.ends[last]))
        if start >= end:
            continue
        score = float(words.any[first : last + 1].max())
        if score < thresholds.protected and is_clinical(text[start:end]):
            continue
        kind = TYPES[int(words.types[first : last + 1].sum(axis=0).argmax())]
        yield Hit(start=start, end=end, type=kind, score=round(score, 4))


def _without_edges(text: str, start: int, end: int) -> tuple[int, int]:
    """Cut punctuation that the model took along; a full stop may belong to an initial."""
    while start < end and text[start] in _EDGES + ".":
        start += 1
    while end > start and text[end - 1] in _EDGES:
        end -= 1
    return start, end


def _parts(words: Words, index: int) -> bool:
    """Whether one span ends before word `index` and another begins."""
    if words.starts[index] == words.ends[index - 1]:
        return False
    return bool(words.begins[index] > 0.5)


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
