"""Texts as TF-IDF n-grams, for the linear bundle. Pure; training uses the very same function.

Words alone and in pairs, and 3 to 5 characters inside words; each block scaled to length 1.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from shared.errors import BundleError

_WORD: Final = re.compile(r"\d+|[^\W\d_]+(?:['’][^\W\d_]+)*|[?!$%]")
_CHARACTERS: Final = (3, 4, 5)
_MOST_COUNTED: Final = 1000  # a gram that stands more often counts as if it stood so often
_LOGS: Final = (0.0, *(math.log(n) for n in range(1, _MOST_COUNTED + 1)))
_MOST_KEPT: Final = 20_000  # words, then begun anew


def words(text: str) -> list[str]:
    """Lower-cased words, numbers as their number of digits: `#3` for 180."""
    found = _WORD.findall(text.lower().replace("’", "'"))
    return [f"#{min(len(word), 5)}" if word.isdigit() else word for word in found]


def word_grams(tokens: Sequence[str]) -> list[str]:
    """Words and pairs of words."""
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]


def character_grams(tokens: Iterable[str]) -> list[str]:
    """Runs of characters inside each word, its edges marked by spaces."""
    grams = []
    for token in tokens:
        edged = f" {token[:30]} "
        for n in _CHARACTERS:
            grams += [edged[i : i + n] for i in range(len(edged) - n + 1)]
    return grams


@dataclass(frozen=True)
class Features:
    """A sparse vector."""

    ids: list[int]
    values: list[float]
    known: list[bool]  # for each word, whether training saw it


@dataclass(frozen=True)
class Vocabulary:
    """N-grams of both blocks with their column and inverse document frequency."""

    words: Mapping[str, tuple[int, float]]
    characters: Mapping[str, tuple[int, float]]
    # Words come back in message after message: their known runs of characters are kept.
    _runs: dict[str, list[tuple[int, float]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.words) + len(self.characters)

    def features(self, text: str) -> Features:
        """Columns and values of a text."""
        tokens = words(text)
        in_words = [self.words[gram] for gram in word_grams(tokens) if gram in self.words]
        in_characters = [found for token in tokens for found in self._runs_of(token)]
        ids: list[int] = []
        values: list[float] = []
        for block in (in_words, in_characters):
            weights = {
                column: (1.0 + _LOGS[min(count, _MOST_COUNTED)]) * idf
                for (column, idf), count in Counter(block).items()
            }
            length = math.sqrt(math.fsum(w * w for w in weights.values())) or 1.0
            ids += weights
            values += [w / length for w in weights.values()]
        return Features(ids, values, [token in self.words for token in tokens])

    def _runs_of(self, token: str) -> list[tuple[int, float]]:
        found = self._runs.get(token)
        if found is None:
            grams = character_grams([token])
            found = [self.characters[gram] for gram in grams if gram in self.characters]
            if len(self._runs) >= _MOST_KEPT:
                self._runs.clear()
            self._runs[token] = found
        return found

    def save(self, path: Path) -> None:
        """As JSON: gram → [column, idf]."""
        blocks = {"words": self.words, "characters": self.characters}
        path.write_text(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """From JSON; BundleError when it is none."""
        try:
            data = json.loads(path.read_text("utf-8"))
            blocks = [
                {gram: (int(row[0]), float(row[1])) for gram, row in data[name].items()}
                for name in ("words", "characters")
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"{path} is no n-gram vocabulary: {error!r}") from error
        return cls(blocks[0], blocks[1])
