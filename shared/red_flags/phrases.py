"""The small language of phrases in red_flags.yaml, and its matching. docs/red_flags.md explains it.

    chest              the word, in the rules' spelling (see text.py)
    bleed*             any word that begins so
    (bad|severe)       one of these words
    {pain}             one word of the list `pain`
    my?                may be missing; also after brackets and braces
    ..                 up to three further words; `..6`: up to six
    #38-42             a number in that range, digits or a word
    decimal#100.4-107  a number written with a decimal point
    BP>=160/110        a blood pressure with either value at or above; `BP<90`: the upper below
    !mg                the next word is not this one

A phrase never runs over the end of a sentence, and a gap is short, so that matching takes time
proportional to the length of the message, whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from shared.red_flags.text import Words

_GAP = re.compile(r"\.\.(\d?|1\d)$")
_NUMBER = re.compile(r"(decimal)?#(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$")
_PRESSURE = re.compile(r"BP(?:>=(\d+)/(\d+)|<(\d+))$")
_WORD = re.compile(r"[a-z0-9]+\*?$")
_PART = re.compile(r"!?\([^()]*\)\??|\S+")
NEGATIONS = frozenset(
    "not no never without none isnt arent wasnt werent hasnt havent hadnt dont doesnt didnt".split()
)
_MOST_READINGS = 64  # of one phrase, by its optional parts


@dataclass(frozen=True, slots=True)
class OneOf:
    """One word out of a set, or beginning like one of `prefixes`."""

    words: frozenset[str]
    prefixes: tuple[str, ...] = ()

    def accepts(self, words: Words, i: int) -> bool:
        word = words.word[i]
        return word in self.words or (bool(self.prefixes) and word.startswith(self.prefixes))


@dataclass(frozen=True, slots=True)
class NoneOf:
    """The next word is none of these; takes up no word."""

    unwanted: OneOf


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range."""

    low: float
    high: float
    decimal: bool

    def accepts(self, words: Words, i: int) -> bool:
        value = words.value[i]
        if value is None or not self.low <= value <= self.high:
            return False
        return not self.decimal or "." in words.word[i]


@dataclass(frozen=True, slots=True)
class Pressure:
    """A blood pressure at or above either of two values, or below one."""

    upper: int
    lower: int
    below: bool

    def accepts(self, words: Words, i: int) -> bool:
        pressure = words.pressure[i]
        if pressure is None:
            return False
        if self.below:
            return pressure[0] < self.upper
        return pressure[0] >= self.upper or pressure[1] >= self.lower


@dataclass(frozen=True, slots=True)
class Gap:
    """Up to `most` words of any kind."""

    most: int


Element = OneOf | NoneOf | Number | Pressure | Gap
Phrase = tuple[Element, ...]


class PhraseError(ValueError):
    """A phrase that cannot be read; the text says which part and what is allowed."""


def parse_phrase(text: str, lists: Mapping[str, Sequence[str]]) -> list[Phrase]:
    """Read one phrase into its readings, one for each choice that is more than a word."""
    choices = [_parse_part(part, text, lists) for part in _PART.findall(text)]
    phrases = [
        tuple(element for group in chosen for element in group)
        for chosen in islice(product(*choices), _MOST_READINGS + 1)
    ]
    if len(phrases) > _MOST_READINGS:
        raise PhraseError(f"{text!r} has too many optional parts; write it as two phrases")
    if any(not phrase or isinstance(phrase[0], Gap | NoneOf) for phrase in phrases):
        raise PhraseError(f"{text!r} must begin with a word or a number that cannot be missing")
    return phrases


def _parse_part(part: str, phrase: str, lists: Mapping[str, Sequence[str]]) -> list[Phrase]:
    """The choices of one part; a part that may be missing has the empty choice too."""
    if gap := _GAP.match(part):
        return [(Gap(int(gap[1] or 3)),)]
    if part.startswith("!"):
        return [(NoneOf(_one_of(part[1:].strip("()").split("|"), phrase, lists)),)]
    optional: list[Phrase] = [()] if part.endswith("?") else []
    part = part.removesuffix("?")
    inside = part[1:-1].split("|") if part.startswith("(") else [part]
    single = [word for word in inside if " " not in word and not _is_value(word)]
    readings: list[Phrase] = [(_one_of(single, phrase, lists),)] if single else []
    readings += [
        tuple(_element(word, phrase, lists) for word in alternative.split())
        for alternative in inside
        if alternative not in single
    ]
    return readings + optional


def _is_value(word: str) -> bool:
    return bool(_NUMBER.match(word) or _PRESSURE.match(word))


def _element(word: str, phrase: str, lists: Mapping[str, Sequence[str]]) -> Element:
    if number := _NUMBER.match(word):
        return Number(float(number[2]), float(number[3]), bool(number[1]))
    if pressure := _PRESSURE.match(word):
        if pressure[3]:
            return Pressure(int(pressure[3]), 0, True)
        return Pressure(int(pressure[1]), int(pressure[2]), False)
    return _one_of([word], phrase, lists)


def _one_of(parts: Sequence[str], phrase: str, lists: Mapping[str, Sequence[str]]) -> OneOf:
    words: list[str] = []
    for part in parts:
        if part.startswith("{") and part.endswith("}"):
            if part[1:-1] not in lists:
                raise PhraseError(f"{phrase!r} uses the list {part}, which is not under `lists`")
            words += lists[part[1:-1]]
        else:
            words.append(part)
    for word in words:
        if not _WORD.match(word):
            raise PhraseError(
                f"{phrase!r}: {word!r} is not a word; use lower case without apostrophes or "
                "accents, `word*`, (a|b), {list}, `..`, #1-5 or BP>=160/110"
            )
    return OneOf(
        frozenset(word for word in words if not word.endswith("*")),
        tuple(word[:-1] for word in words if word.endswith("*")),
    )


def says_no(phrase: Phrase) -> bool:
    """Whether the phrase itself names a negation ("wont stop", "no pulse")."""
    return any(isinstance(e, OneOf) and not NEGATIONS.isdisjoint(e.words) for e in phrase)


def match_end(phrase: Phrase, words: Words, start: int) -> int | None:
    """Index after the shortest match of `phrase` that begins at word `start`, or None."""
    limit = words.sentence_end[start]
    i = start
    for k, element in enumerate(phrase):
        if isinstance(element, Gap):
            return _match_with_gaps(phrase[k:], words, i, limit)
        if isinstance(element, NoneOf):
            if i < limit and element.unwanted.accepts(words, i):
                return None
        elif i < limit and element.accepts(words, i):
            i += 1
        else:
            return None
    return i


def _match_with_gaps(phrase: Phrase, words: Words, start: int, limit: int) -> int | None:
    """As match_end, keeping every place that could have been reached."""
    reached = [start]
    for element in phrase:
        if isinstance(element, Gap):
            reached = _spread(reached, element.most, limit)
        elif isinstance(element, NoneOf):
            reached = [i for i in reached if i >= limit or not element.unwanted.accepts(words, i)]
        else:
            reached = [i + 1 for i in reached if i < limit and element.accepts(words, i)]
        if not reached:
            return None
    return reached[0]


def _spread(reached: Sequence[int], most: int, limit: int) -> list[int]:
    if len(reached) == 1:
        return list(range(reached[0], min(reached[0] + most, limit) + 1))
    return sorted({j for i in reached for j in range(i, min(i + most, limit) + 1)})


class _Entry:
    """A phrase of a concept, as the index keeps it."""

    __slots__ = ("concept", "needed", "phrase", "says_no", "second")

    def __init__(self, concept: str, phrase: Phrase) -> None:
        self.concept = concept
        self.phrase = phrase
        self.says_no = says_no(phrase)
        self.needed = _needed(phrase)
        self.second = _second(phrase)


def _needed(phrase: Phrase) -> OneOf | None:
    """The part of `phrase` that ordinary messages hold least often, by a rule of thumb."""
    parts = [e for e in phrase if isinstance(e, OneOf) and not e.prefixes]
    # Short words ("is", "not") are common; a part with many choices is met more often.
    return min(parts, key=lambda e: sum(20 / len(w) ** 2 for w in e.words), default=None)


def _second(phrase: Phrase) -> frozenset[str] | None:
    """The words of which one must follow the first; None where another word may."""
    second = phrase[1] if len(phrase) > 1 else None
    return second.words if isinstance(second, OneOf) and not second.prefixes else None


class PhraseIndex:
    """Phrases of many concepts, found by their first word."""

    def __init__(self, phrases: Sequence[tuple[str, Phrase]]) -> None:
        self._by_word: dict[str, list[_Entry]] = {}
        self._by_prefix: dict[str, list[_Entry]] = {}
        self._by_value: list[_Entry] = []
        self._by_pressure: list[_Entry] = []
        self._waiting: dict[str, list[_Entry]] = {}  # by each word that can fill what is needed
        self._always: set[_Entry] = set()
        for entry in (_Entry(concept, phrase) for concept, phrase in phrases):
            self._add(entry)
        self._prefix_lengths = sorted({len(prefix) for prefix in self._by_prefix})

    def _add(self, entry: _Entry) -> None:
        first = entry.phrase[0]
        if isinstance(first, OneOf):
            for word in first.words:
                self._by_word.setdefault(word, []).append(entry)
            for prefix in first.prefixes:
                self._by_prefix.setdefault(prefix, []).append(entry)
        else:
            (self._by_pressure if isinstance(first, Pressure) else self._by_value).append(entry)
        if entry.needed is None:
            self._always.add(entry)
        else:
            for word in entry.needed.words:
                self._waiting.setdefault(word, []).append(entry)

    def find(self, words: Words) -> list[tuple[str, int, int]]:
        """Every (concept, first word, word after the last) in the message, in its order."""
        possible = set(self._always)
        for word in set(words.word):
            possible.update(self._waiting.get(word, ()))
        found: list[tuple[str, int, int]] = []
        for i, follows in zip(range(len(words.word)), [*words.word[1:], ""], strict=False):
            for entry in self._candidates(words, i):
                # Both are cheap, and settle nearly all that match_end would.
                if entry not in possible or (entry.second and follows not in entry.second):
                    continue
                end = match_end(entry.phrase, words, i)
                # "my tongue and throat were not swollen": a gap must not skip over a negation
                if end and (entry.says_no or NEGATIONS.isdisjoint(words.word[i:end])):
                    found.append((entry.concept, i, end))
        return found

    def _candidates(self, words: Words, i: int) -> list[_Entry]:
        word = words.word[i]
        candidates = self._by_word.get(word, [])
        for length in self._prefix_lengths:
            if length > len(word):
                break
            if more := self._by_prefix.get(word[:length]):
                candidates = candidates + more
        if words.value[i] is not None:
            candidates = candidates + self._by_value
        if words.pressure[i] is not None:
            candidates = candidates + self._by_pressure
        return candidates
