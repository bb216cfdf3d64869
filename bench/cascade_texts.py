"""Messages with known labels for the cascade's benchmark: none of them was trained on.

dev.jsonl has 750. Each comes as written, then as if typed again in a hurry (typing errors, which
leave the label true and are not equal for the cache), and one in ten of all repeats an earlier
one, as patients do: word for word, or with another greeting and signature.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.taxonomy import Taxonomy
from training.corpus import SPLITS, read_clean

_WORD = re.compile(r"[a-z]{5,}")
_GREETINGS = ("Hi, ", "Hello,\n", "Good morning, ", "")
_CLOSINGS = ("\nThanks", " Thank you so much!", "\nBest regards", "")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One message and its gold label."""

    text: str
    category: str
    urgency: str


def cases(count: int, *, repeats: float, seed: int) -> list[Case]:
    """`count` messages in an order that the seed decides, `repeats` of them repeating another."""
    dice = random.Random(seed)
    gold = [
        Case(text=each.text, category=each.primary, urgency=each.urgency.value)
        for each in read_clean(SPLITS["dev"], Taxonomy.load())
    ]
    fresh: list[Case] = []
    while len(fresh) < round(count * (1 - repeats)):
        dice.shuffle(gold)
        retyped = bool(fresh)
        fresh += [replace(c, text=_retyped(c.text, dice)) if retyped else c for c in gold]
    fresh = fresh[: round(count * (1 - repeats))]
    return _with_repeats(fresh, count - len(fresh), dice)


def _with_repeats(fresh: Sequence[Case], more: int, dice: random.Random) -> list[Case]:
    """Each repeat somewhere after the message that it repeats."""
    placed: list[tuple[float, Case]] = [(float(place), each) for place, each in enumerate(fresh)]
    for _ in range(more):
        place = dice.randrange(len(fresh))
        text = dice.choice(_GREETINGS) + fresh[place].text + dice.choice(_CLOSINGS)
        later = dice.uniform(place + 0.5, len(fresh))
        placed.append((later, replace(fresh[place], text=text)))
    return [each for _, each in sorted(placed, key=lambda item: item[0])]


def _retyped(text: str, dice: random.Random) -> str:
    """Two typing errors, or one where there is no room for two."""
    for _ in range(2):
        words = list(_WORD.finditer(text))
        if not words:
            return text + " pls"
        word = dice.choice(words)
        at = word.start() + dice.randrange(1, len(word[0]) - 2)
        swapped = text[at + 1] + text[at]
        text = text[:at] + (swapped if swapped != text[at : at + 2] else text[at]) + text[at + 2 :]
    return text
