"""Made-up names of people, in the forms that people and records use."""

from __future__ import annotations

from training.deid import words
from training.deid.pools import Pools

_PARTICLES = ("de la", "de", "van der", "van", "von", "del", "da", "al-", "El", "bin", "St.")


class Names(Pools):
    """Names of people."""

    def first(self) -> str:
        rare = self.random.random()
        if rare < 0.06:
            return self.random.choice(words.WORD_NAMES)
        name = self.random.choice(self._first)
        if rare < 0.09:
            name += "-" + self.random.choice(self._first)
        return name

    def last(self) -> str:
        rare = self.random.random()
        if rare < 0.08:
            return self.random.choice(words.WORD_SURNAMES)
        if rare < 0.11:
            eponym = self.random.choice(words.EPONYMS).split()[0].split("'")[0].split("-")[0]
            return eponym.capitalize()
        name = self.random.choice(self._last)
        if rare < 0.16:
            name += "-" + self.random.choice(self._last)
        elif rare < 0.19:
            name = self.random.choice(_PARTICLES) + " " + name
        return name

    def full(self) -> str:  # noqa: C901  one form a line
        kind = self.random.random()
        first, last = self.first(), self.last()
        initial = self.random.choice("ABCDEFGHJKLMNPRSTVW")
        if kind < 0.52:
            return f"{first} {last}"
        if kind < 0.60:
            return f"{first} {initial}. {last}"
        if kind < 0.66:
            return f"{first} {self.first()} {last}"
        if kind < 0.72:
            return f"{last}, {first}"
        if kind < 0.77:
            return f"{last.upper()}, {first.upper()}" + self.random.choice(
                ["", f" {initial}", f" {initial}."]
            )
        if kind < 0.82:
            return f"{first[0]}. {last}"
        if kind < 0.85:
            return f"{first} {last} {self.random.choice(['Jr', 'Jr.', 'Sr.', 'III', 'II'])}"
        if kind < 0.88:
            return f'{first} "{self.first()}" {last}'
        if kind < 0.91:
            return f"{first} {last} {self.last()}"
        if kind < 0.94:
            return f"{initial}. {self.random.choice('ABCDEJLMRT')}. {last}"
        return f"{first} {last}".lower()

    def initialed(self) -> str:
        return f"{self.first()} {self.random.choice('ABCDEFGHJKLMNPRSTVW')}" + self.random.choice(
            ["", ".", "."]
        )

    def name(self) -> str:
        kind = self.random.random()
        if kind < 0.45:
            return self.full()
        if kind < 0.8:
            return self.first()
        return self.initialed() if kind < 0.88 else self.last()
