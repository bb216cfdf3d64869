"""From marked pieces to token ids, features and BIO labels."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from training.deid.compose import Pieces
from workers.deid.marks import Mark, join
from workers.deid.shapes import features
from workers.deid.spans import TYPES

OUTSIDE = 0
IGNORED = -100
LABELS = ["O"] + [f"{prefix}-{kind}" for kind in TYPES for prefix in ("B", "I")]


@dataclass(frozen=True, slots=True)
class Example:
    """One text, ready for the network."""

    ids: list[int]
    shapes: list[int]
    gaps: list[int]
    labels: list[int]


def label(kind: str, *, begins: bool) -> int:
    """The label's number."""
    return 1 + 2 * TYPES.index(kind) + (0 if begins else 1)


def encode(tokenizer: Tokenizer, pieces: Pieces, max_tokens: int) -> Example:
    """Encode one text; what lies beyond `max_tokens` is cut off."""
    text, marks = join(pieces)
    encoding = tokenizer.encode(text)
    shapes, gaps = features(text, encoding.offsets, encoding.word_ids)
    labels = _labels(encoding.offsets, encoding.word_ids, marks)
    return Example(
        encoding.ids[:max_tokens], shapes[:max_tokens], gaps[:max_tokens], labels[:max_tokens]
    )


def _labels(
    offsets: list[tuple[int, int]], words: list[int | None], marks: tuple[Mark, ...]
) -> list[int]:
    labels, at, open_mark = [], 0, -1
    for (start, end), word in zip(offsets, words, strict=True):
        if word is None:
            labels.append(IGNORED)
            continue
        while at < len(marks) and marks[at].end <= start:
            at += 1
        if at < len(marks) and marks[at].start < end:
            labels.append(label(marks[at].type, begins=open_mark != at))
            open_mark = at
        else:
            labels.append(OUTSIDE)
    return labels
