"""Changes to a text that leave its label true: other names, typos, casing, cut-offs, joins.

A join puts a routine message beside an urgent or emergent one: the label is the graver one's,
because an emergency hidden in another request stays primary (see ANNOTATION.md).
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from faker import Faker

from shared.contracts import Urgency
from training.corpus import Example

_SENTENCE: Final = re.compile(r"(?<=[.!?\n])\s+")
_NEIGHBOURS: Final = dict(
    zip(
        "qwertyuiopasdfghjklzxcvbnm",
        ["wa", "qe", "wr", "et", "ry", "tu", "yi", "uo", "ip", "o", "qs", "ad", "sf", "dg", "fh",
         "gj", "hk", "jl", "k", "x", "zc", "xv", "cb", "vn", "bm", "n"],
        strict=True,
    )
)  # fmt: skip
_POOL: Final = 400


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """Probability of each change, per example and epoch."""

    identifiers: float = 0.7  # other names, dates and numbers in place of the marked ones
    typos: float = 0.15
    casing: float = 0.2  # all lower, all upper, or without punctuation
    cut_off: float = 0.05  # the last sentence ends early
    sentence_drop: float = 0.05  # one sentence of four or more is left out
    join: float = 0.05  # a routine message is joined to a graver one


class Surrogates:
    """Invented identifiers of each type, drawn from pools filled once."""

    def __init__(self, seed: int) -> None:
        self._fake = Faker("en_US")
        self._fake.seed_instance(seed)
        self._random = random.Random(seed)

    @cached_property
    def _pools(self) -> dict[str, list[str]]:
        fake, pick = self._fake, self._random
        digits = string.digits

        def number() -> str:
            shape = pick.choice(["#######", "###-##-####", "??######", "MRN ######", "####-####"])
            filled = (pick.choice(digits) if c == "#" else c for c in shape)
            return "".join(pick.choice(string.ascii_uppercase) if c == "?" else c for c in filled)

        def date() -> str:
            day = fake.date_object()
            return day.strftime(pick.choice(["%m/%d/%Y", "%B %d", "%m/%d", "%b %d %Y", "%m-%d-%y"]))

        def phone() -> str:
            line = f"555-01{pick.choice(digits)}{pick.choice(digits)}"
            return pick.choice([f"({pick.randint(201, 989)}) {line}", line])

        makers = {
            "NAME": lambda: pick.choice([fake.first_name, fake.last_name, fake.name])(),
            "DATE": date,
            "PHONE": phone,
            "EMAIL": fake.email,
            "ADDRESS": lambda: pick.choice([fake.street_address, fake.city])(),
            "ID": number,
            "ORG": fake.company,
            "AGE": lambda: str(pick.randint(90, 103)),
        }
        return {kind: [make() for _ in range(_POOL)] for kind, make in makers.items()}

    def replace(self, example: Example, rng: random.Random) -> Example:
        """The example with other identifiers; equal ones stay equal."""
        parts: list[str] = []
        last, chosen = 0, dict[tuple[str, str], str]()
        for spot in example.identifiers:
            surface = example.text[spot.start : spot.end]
            pool = self._pools.get(spot.type)
            if pool is None or len(surface.split()) > 4:
                continue
            new = chosen.setdefault((spot.type, surface), rng.choice(pool))
            if spot.type == "NAME" and " " not in surface:
                new = new.split()[0]
            parts += (example.text[last : spot.start], new)
            last = spot.end
        parts.append(example.text[last:])
        return replace(example, text="".join(parts), identifiers=())


class Augmenter:
    """Applies the changes with a random source of its own."""

    def __init__(self, examples: Sequence[Example], options: AugmentOptions, seed: int) -> None:
        self._options = options
        self._random = random.Random(seed)
        self._surrogates = Surrogates(seed)
        self._routine = [e for e in examples if e.urgency is Urgency.ROUTINE]

    def __call__(self, example: Example) -> Example:
        """A changed copy, or the example itself."""
        o, rng = self._options, self._random
        if example.identifiers and rng.random() < o.identifiers:
            example = self._surrogates.replace(example, rng)
        grave = example.urgency is not Urgency.ROUTINE
        if grave and self._routine and rng.random() < 4 * o.join:
            example = join(example, rng.choice(self._routine), rng)
        text = example.text
        if rng.random() < o.sentence_drop:
            text = drop_sentence(text, rng)
        if not grave and rng.random() < o.cut_off:
            text = cut_off(text, rng)
        if rng.random() < o.typos:
            text = add_typos(text, rng)
        if rng.random() < o.casing:
            text = recase(text, rng)
        return replace(example, text=text, identifiers=())


def join(grave: Example, other: Example, rng: random.Random) -> Example:
    """One message with both texts, in either order, labelled by the graver."""
    first, second = (grave, other) if rng.random() < 0.5 else (other, grave)
    glue = rng.choice([" ", "\n", " Also ", " One more thing. ", "\n\n"])
    members = dict.fromkeys((*grave.categories, *other.categories))
    text = first.text.rstrip() + glue + second.text.lstrip()
    return replace(grave, text=text, categories=tuple(members)[:3], identifiers=())


def drop_sentence(text: str, rng: random.Random) -> str:
    """One sentence less, where there are at least five."""
    sentences = _SENTENCE.split(text)
    if len(sentences) < 5:
        return text
    del sentences[rng.randrange(len(sentences))]
    return " ".join(sentences)


def cut_off(text: str, rng: random.Random) -> str:
    """The end is missing, as when somebody presses send too early."""
    words = text.split(" ")
    keep = int(len(words) * rng.uniform(0.75, 0.95))
    return " ".join(words[:keep]) if keep >= 6 else text


def add_typos(text: str, rng: random.Random) -> str:
    """A slip of the finger in about every eighth word."""
    letters = list(text)
    for _ in range(max(1, len(text) // 45)):
        at = rng.randrange(len(letters))
        if not letters[at].isalpha():
            continue
        slip = rng.randrange(4)
        if slip == 0:
            letters[at] = ""
        elif slip == 1:
            letters[at] *= 2
        elif slip == 2:
            letters[at] = rng.choice(_NEIGHBOURS.get(letters[at].lower(), letters[at]))
        elif at + 1 < len(letters):
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def recase(text: str, rng: random.Random) -> str:
    """Lower, upper, or without apostrophes and commas, as people type on a phone."""
    kind = rng.randrange(4)
    if kind == 0:
        return text.upper()
    text = re.sub(r"[',;]", "", text) if kind == 1 else text
    return text.lower() if kind != 3 else re.sub(r"[.!?]", "", text)
