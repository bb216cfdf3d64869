"""A message as the red-flag rules read it: plain words with their places, typos mended.

People type in a hurry, dictate, and leave out apostrophes. So the rules never see the raw text
but words in one spelling: lower case, no apostrophes, no accents ("can't", "cannot" and "can not"
are all `cant`), numbers with their values, and blood pressures as pairs. Each word knows where it
stood, so that a hit can be shown in the message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Each part consumes what it matches and none can match empty, so the scan is linear.
_TOKEN = re.compile(r"\d+(?:[.,/:]\d+)*|[^\W\d_]\w*(?:['’‘`´]\w+)*|[.!?;:,\n()\-–—…]")
_APOSTROPHES = str.maketrans("", "", "'’‘`´")
_SENTENCE_ENDS = frozenset(".!?;\n…")
_TITLES = frozenset(["dr", "mr", "mrs", "ms", "st", "vs", "approx", "sra", "sr", "dra"])
_AUXILIARIES = frozenset(
    [
        "can",
        "could",
        "do",
        "does",
        "did",
        "is",
        "are",
        "was",
        "were",
        "will",
        "would",
        "has",
        "have",
        "had",
        "should",
    ]
)
_NUMBER_WORDS = {
    word: float(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "hundred": 100.0}
# No word of a rule is longer; what is longer is never looked up piece by piece.
_LONGEST_WORD = 24
_SHORTEST_TYPO = 6
# Words without a full stop are cut here, so that no work grows with the square of their number.
_LONGEST_SENTENCE = 80


@dataclass(slots=True)
class Words:
    """The words of one message, as parallel lists."""

    word: list[str]
    value: list[float | None]  # of numbers and number words
    pressure: list[tuple[int, int] | None]  # of "168/112" and "168 over 112"
    start: list[int]  # place in the message, characters
    end: list[int]
    sentence: list[int]  # number of the sentence
    clause: list[int]  # number of the clause: commas, dashes and brackets end one too
    sentence_end: list[int]  # index of the first word after this word's sentence


class Speller:
    """Maps a written word to the rules' spelling: variants first, then slips in chosen words."""

    def __init__(
        self, spelling: Mapping[str, str], mended: Iterable[str], known: Iterable[str]
    ) -> None:
        """`mended`: the words in which one slip is put right; `known` words are left alone."""
        self._spelling = dict(spelling)
        self._known = frozenset(known) | frozenset(mended) | self._spelling.keys()
        self._slips: dict[str, list[str]] = {}
        for word in sorted(set(mended)):
            for slip in (word, *_deletions(word)):
                self._slips.setdefault(slip, []).append(word)

    def __call__(self, word: str) -> str:
        if word in self._known:
            return self._spelling.get(word, word)
        if not _SHORTEST_TYPO - 1 <= len(word) <= _LONGEST_WORD or not word.isalpha():
            return word
        for slip in (word, *_deletions(word)):
            for meant in self._slips.get(slip, ()):
                if meant[0] == word[0] and _one_slip_apart(word, meant):
                    return meant
        return word


def _deletions(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _one_slip_apart(written: str, meant: str) -> bool:
    """Whether one letter is missing, added or wrong, or two neighbours changed places.

    A missing or wrong last letter is no slip but mostly another form ("breathe", "breaths").
    """
    if len(written) < len(meant):
        return written in _deletions(meant)[:-1]
    if len(written) > len(meant):
        return meant in _deletions(written)[:-1]
    differing = [i for i, (a, b) in enumerate(zip(written, meant, strict=True)) if a != b]
    if len(differing) == 1:
        return len(meant) > _SHORTEST_TYPO and differing[0] < len(meant) - 1
    if len(differing) != 2:
        return False
    i, j = differing
    return j == i + 1 and written[i] == meant[j] and written[j] == meant[i]


def read_words(text: str, spell: Speller) -> Words:
    """Split `text` into words. Linear in its length."""
    words = Words([], [], [], [], [], [], [], [])
    sentence = clause = began = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token.isalnum() or len(token) > 1:
            if len(words.word) - began >= _LONGEST_SENTENCE:
                sentence, clause, began = sentence + 1, clause + 1, len(words.word)
            _add(words, token, match.start(), match.end(), sentence, clause, spell)
        elif token in _SENTENCE_ENDS and not (
            token == "." and words.word and words.word[-1] in _TITLES  # noqa: S105
        ):
            sentence, clause, began = sentence + 1, clause + 1, len(words.word)
        else:
            clause += 1
    _mark_sentence_ends(words)
    return words


def _add(
    words: Words, token: str, start: int, end: int, sentence: int, clause: int, spell: Speller
) -> None:
    if token[0].isdigit():
        if words.word and words.word[-1] == "over" and _joins_pressure(words, token):
            _join_pressure(words, token, end)
            return
        word = token
        value = _number(token)
        pressure = _slashed_pressure(token)
    else:
        word = token.casefold().translate(_APOSTROPHES)
        if not word.isascii():
            word = _without_accents(word)
        if word == "not" and words.word and words.word[-1] in _AUXILIARIES:
            auxiliary = words.word[-1]
            words.word[-1] = {"can": "cant", "will": "wont"}.get(auxiliary, f"{auxiliary}nt")
            words.end[-1] = end
            return
        word = spell(word)
        value, pressure = _NUMBER_WORDS.get(word), None
    words.word.append(word)
    words.value.append(value)
    words.pressure.append(pressure)
    words.start.append(start)
    words.end.append(end)
    words.sentence.append(sentence)
    words.clause.append(clause)


def _joins_pressure(words: Words, token: str) -> bool:
    upper = words.value[-2] if len(words.value) > 1 else None
    return upper is not None and token.isdigit() and _plausible_pressure(upper, _number(token))


def _join_pressure(words: Words, token: str, end: int) -> None:
    """Turn "168 over 112" into one word."""
    upper = words.value[-2] or 0.0
    for column in (words.word, words.value, words.pressure, words.start, words.end):
        column.pop()
    words.sentence.pop()
    words.clause.pop()
    words.word[-1] = f"{upper:.0f}/{token}"
    words.pressure[-1] = (int(upper), int(token))
    words.end[-1] = end


def _number(token: str) -> float | None:
    digits = re.sub(r",(?=\d{3}(?:\D|$))", "", token) if "," in token else token
    if len(digits) > 9:
        return None
    try:
        return float(digits)
    except ValueError:
        return None


def _slashed_pressure(token: str) -> tuple[int, int] | None:
    upper, slash, lower = token.partition("/")
    if not slash or not (upper.isdigit() and lower.isdigit()) or len(token) > 7:
        return None
    if not _plausible_pressure(float(upper), float(lower)):
        return None
    return int(upper), int(lower)


def _plausible_pressure(upper: float, lower: float | None) -> bool:
    return lower is not None and 60 <= upper <= 280 and 30 <= lower <= 180 and upper > lower + 9


def _without_accents(word: str) -> str:
    parts = unicodedata.normalize("NFKD", word)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _mark_sentence_ends(words: Words) -> None:
    n = len(words.word)
    words.sentence_end = [n] * n
    for i in range(n - 2, -1, -1):
        same = words.sentence[i] == words.sentence[i + 1]
        words.sentence_end[i] = words.sentence_end[i + 1] if same else i + 1
