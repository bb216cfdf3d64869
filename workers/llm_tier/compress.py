"""Fewer tokens for the same label: what a patient did not write goes. Pure.

Quoted threads, mail headers, disclaimers and repeated lines say nothing about what is wanted now.
A text that is still long can keep its head, its tail and the sentences that carry danger, numbers
or a wish. `python -m bench.compression` measures tokens saved and label drift.
"""

from __future__ import annotations

import re
from typing import Final

#: Longer texts are cut to about this many characters (some 500 tokens).
MOST_CHARS: Final = 2_000
_HEAD_CHARS: Final = 700
_TAIL_CHARS: Final = 500

_QUOTE_STARTS: Final = re.compile(
    r"^\s*(?:on .{4,80}wrote:|-{3,}\s*(?:original|forwarded) message\s*-{3,}|_{8,}|"
    r"from:\s.+|sent from my .+|begin forwarded message:)\s*$",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"^\s*>")
_HEADER: Final = re.compile(r"^\s*(?:to|cc|bcc|date|sent|subject|reply-to):\s", re.IGNORECASE)
_DISCLAIMER: Final = re.compile(
    r"\b(?:confidential(?:ity)?\b.{0,80}\b(?:notice|intended|recipient)|intended (?:only )?for the "
    r"(?:use of the )?(?:individual|addressee|recipient)|if you (?:have )?received this "
    r"(?:e-?mail|message) in error|please consider the environment)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?\n]*")
_MATTERS: Final = re.compile(
    r"\d|\?|\b(?:not|no|never|cannot|can't|won't|pain|bleed|blood|breath|chest|faint|fever|swell|"
    r"suicid|kill|die|dying|numb|weak|vision|pregnan|allerg|overdose|worse|urgent|emergency|need|"
    r"want|please|refill|appointment|result|referral|bill|charge|form|letter|help|stop|start)",
    re.IGNORECASE,
)


def compress(text: str, most_chars: int | None = None) -> str:
    """The text without what does not bear on its label; the text itself if nothing were left.

    Cutting to `most_chars` is off by default: on long texts of several topics it moved a quarter
    of the labels (bench/compression.py), where leaving out what others wrote moved 0.1 %.
    """
    kept = _own_lines(text)
    short = "\n".join(kept).strip() or text.strip()
    return short if most_chars is None or len(short) <= most_chars else _cut(short, most_chars)


def _own_lines(text: str) -> list[str]:
    kept: list[str] = []
    seen: set[str] = set()
    for line in text.splitlines():
        if _QUOTE_STARTS.match(line) and kept:
            break
        plain = " ".join(line.split())
        if not plain or _QUOTED.match(line) or _HEADER.match(line) or _DISCLAIMER.search(line):
            continue
        if len(plain) > 20 and plain.casefold() in seen:
            continue
        seen.add(plain.casefold())
        kept.append(plain)
    return kept


def _cut(text: str, most_chars: int) -> str:
    head, middle, tail = text[:_HEAD_CHARS], text[_HEAD_CHARS:-_TAIL_CHARS], text[-_TAIL_CHARS:]
    room = most_chars - _HEAD_CHARS - _TAIL_CHARS
    chosen: list[str] = []
    sentences = [each.strip() for each in _SENTENCE.findall(middle) if each.strip()]
    weight = {each: len(set(_MATTERS.findall(each.lower()))) for each in sentences}
    for sentence in sorted(weight, key=lambda each: -weight[each]):
        if weight[sentence] and len(sentence) <= room:
            chosen.append(sentence)
            room -= len(sentence) + 1
    in_order = [each for each in dict.fromkeys(sentences) if each in chosen]
    return " … ".join(part for part in (head, " ".join(in_order), tail) if part)
