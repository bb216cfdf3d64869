"""Recognisers for identifiers that have a form. Pure; every pattern is linear-time.

No pattern holds a repeat inside a repeat over the same characters, and every repeat that could
run over a whole text is bounded, so that hostile input costs no more than its length.
A hit is `certain` where the form alone tells (an e-mail address, a card number whose checksum
holds); an uncertain one (`3/6`, which may be a score) stands only where the token classifier
does not rule it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.deid.rules import contact, dates, numbers, organisations, people, places
from workers.deid.spans import Hit

Recogniser = Callable[[str], Iterator[Hit]]

RECOGNISERS: tuple[Recogniser, ...] = (
    contact.find,
    numbers.find,
    dates.find,
    places.find,
    organisations.find,
    people.find,
)
