"""Messages expanded from skeletons, to cover what a corpus shows once or never.

`data/composed.txt` holds lines like ``(chest|arm) pain since (noon|today)``; each epoch every
line gives other wordings. It is a lot of its own: it only ever adds to training, never to
validation or test.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.contracts import Urgency
from shared.errors import InvalidInput
from shared.taxonomy import Taxonomy
from training.corpus import DATA, Example

SKELETONS: Final = DATA / "composed.txt"
_CHOICE: Final = re.compile(r"\(([^()]*)\)")
_HEADER: Final = re.compile(r"== *([\w, ]+?) */ *(\w+) *")

_OPENERS: Final = (
    "Hi, ", "Hello Dr, ", "Good morning. ", "hey ", "Quick question. ", "Sorry to bother you. ",
    "To whom it may concern: ", "Hi there, it's me again. ", "Dear doctor, ",
)  # fmt: skip
_CLOSERS: Final = (
    " Thanks!", " Thank you", " thx", " Please advise.", " Call me back please.", " - J.",
    " Appreciate it.", " Sent from my iPhone", " Have a good day.", " Let me know.",
)  # fmt: skip
_FRAME: Final = 0.3  # share with an opener, and with a closer


@dataclass(frozen=True)
class Skeleton:
    """One line with its labels."""

    line: str
    categories: tuple[str, ...]
    urgency: Urgency


def read_skeletons(taxonomy: Taxonomy, path: Path = SKELETONS) -> list[Skeleton]:
    """Skeletons of a file; InvalidInput names a line whose header cannot be read."""
    skeletons: list[Skeleton] = []
    categories: tuple[str, ...] = ()
    urgency = Urgency.ROUTINE
    for number, raw in enumerate(path.read_text("utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("=="):
            header = _HEADER.fullmatch(line)
            if header is None or header[2] not in tuple(Urgency):
                raise InvalidInput(f"{path}:{number}: no header `== category[, ...] / urgency`")
            categories = tuple(name.strip() for name in header[1].split(","))
            urgency = Urgency(header[2])
            unknown = set(categories) - set(taxonomy.category_names)
            if unknown:
                raise InvalidInput(f"{path}:{number}: no category {', '.join(sorted(unknown))}")
            continue
        if line.count("(") != line.count(")") or not categories:
            raise InvalidInput(f"{path}:{number}: parentheses do not match, or no header above")
        skeletons.append(Skeleton(line, categories, urgency))
    return skeletons


def matching_skeletons(names: Sequence[str]) -> list[Skeleton]:
    """The shipped skeletons; none for a taxonomy that lacks one of their categories."""
    skeletons = read_skeletons(Taxonomy.load())
    return skeletons if {c for s in skeletons for c in s.categories} <= set(names) else []


def expand(skeleton: Skeleton, rng: random.Random) -> str:
    """One wording."""
    text = skeleton.line
    while "(" in text:
        text, changed = _CHOICE.subn(lambda m: rng.choice(m[1].split("|")).strip(), text)
        if not changed:
            break
    text = re.sub(r"\s+([,.;?!])", r"\1", re.sub(r"\s{2,}", " ", text)).strip()
    if rng.random() < 0.5:
        text = text[:1].upper() + text[1:]
    if rng.random() < _FRAME:
        text = rng.choice(_OPENERS) + text
    if rng.random() < _FRAME:
        text += rng.choice(_CLOSERS)
    return text


def compose(skeletons: Sequence[Skeleton], rng: random.Random, times: float) -> list[Example]:
    """Each skeleton `times` times on average, in other words each time."""
    examples = []
    for number, skeleton in enumerate(skeletons):
        count = int(times) + (rng.random() < times % 1)
        examples += [
            Example(
                id=f"composed-{number:04}",
                text=expand(skeleton, rng),
                categories=skeleton.categories,
                urgency=skeleton.urgency,
            )
            for _ in range(count)
        ]
    return examples
