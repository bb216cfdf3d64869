"""What the uncased tokenizer throws away, given back to the model: case, digits, line breaks. Pure.

Each token gets two small numbers: the shape of the word it belongs to, and what stands before it.
Training and run time share this module, so that both see the same.
"""

from __future__ import annotations

from collections.abc import Sequence

# Shapes of words.
(NONE, LOWER, TITLE, CAPS, LETTER, MIXED, DIGITS_2, DIGITS_4, DIGITS_MORE, ALNUM, SYMBOL, OTHER) = (
    range(12)
)
SHAPES = 12
# What stands before a token.
GLUED, BLANK, NEWLINE, START, SENTENCE, INSIDE = range(6)
GAPS = 6


def shape(word: str) -> int:
    """The shape of one word."""
    if word.islower() and word.isalpha():
        return LOWER
    if word.isdigit():
        return DIGITS_2 if len(word) <= 2 else DIGITS_4 if len(word) <= 4 else DIGITS_MORE
    if word.isalpha():
        if word.isupper():
            return CAPS if len(word) > 1 else LETTER
        if word[0].isupper() and word[1:].islower():
            return TITLE
        return MIXED if word.lower() != word else OTHER
    if word.isalnum():
        return ALNUM
    return SYMBOL


def gap(text: str, start: int) -> int:
    """What stands before the word that begins at `start`."""
    if start == 0:
        return START
    before = text[start - 1]
    if not before.isspace():
        return GLUED
    at = start - 1
    while at >= 0 and text[at].isspace():
        if text[at] == "\n":
            return NEWLINE
        at -= 1
    if at < 0:
        return START
    return SENTENCE if text[at] in ".!?:" else BLANK


def features(
    text: str, offsets: Sequence[tuple[int, int]], words: Sequence[int | None]
) -> tuple[list[int], list[int]]:
    """Shape and gap of every token; `words` is the tokenizer's word number (None: special)."""
    shapes, gaps = [], []
    count, index = len(offsets), 0
    while index < count:
        word = words[index]
        if word is None:
            shapes.append(NONE)
            gaps.append(GLUED)
            index += 1
            continue
        last = index
        while last + 1 < count and words[last + 1] == word:
            last += 1
        start = offsets[index][0]
        tokens = last - index + 1
        shapes += [shape(text[start : offsets[last][1]])] * tokens
        gaps += [gap(text, start)] + [INSIDE] * (tokens - 1)
        index = last + 1
    return shapes, gaps
