"""Names by the title or phrase before them, and ages of ninety and more. Pure.

Names have no form: this only backs up the token classifier, and leaves the last word to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workers.deid.spans import Hit

_PART = r"(?:[A-ZÀ-Ý]\.|[A-ZÀ-Ý](?:(?!'s\b)[\w'\-]){0,25})"
_NAME = rf"{_PART}(?: (?:(?:de|da|del|la|van|von|der|bin|al|y|Ní|Mac) ){{0,2}}{_PART}){{0,3}}"
_TITLED = re.compile(
    r"\b(?i:dr|dra|mr|mrs|ms|miss|mx|prof|professor|doctor|doctora|nurse|sr|sra|srta|señora?|"
    rf"tía|tío|aunt|uncle|coach|pastor|rev|fr|sister|brother)\b\.? (?P<name>{_NAME})"
)
_INTRODUCED = re.compile(
    r"\b(?i:my name is|name is|this is|name:|patient:|pt:|mi nombre es|me llamo|soy|i am|i'm|named|"
    rf"attn:?|attention|signed,?|regards,|sincerely,|thanks,|thank you,) (?P<name>{_NAME})"
)

_AGE_UNIT = r"(?:[- ]?(?:years?|yrs?)[- ]?(?:old|of age)?|[- ]?y\.?/?o\.?|[- ]?a[ñn]os)"
_AGE_NUMBER = r"(?:9\d|1[01]\d)"
_AGE_WORD = (
    r"(?:ninety(?:[ \-](?:one|two|three|four|five|six|seven|eight|nine))?|"
    r"(?:a |one )hundred(?: and (?:one|two|three|four|five|six|seven|eight|nine|ten))?|"
    r"noventa(?: y (?:uno?|dos|tres|cuatro|cinco|seis|siete|ocho|nueve))?)"
)
_AGE_WITH_UNIT = re.compile(
    rf"(?<![\w./$\-])(?P<age>{_AGE_NUMBER}|{_AGE_WORD}){_AGE_UNIT}(?!\w)", re.IGNORECASE
)
_AGE_TOLD = re.compile(
    r"\b(?:aged?|turned|turns|turning|edad|cumpli[óo])[ :]{1,2}(?:de |of |is )?"
    rf"(?P<age>{_AGE_NUMBER}|{_AGE_WORD})(?![\w/%]|[.,]\d)",
    re.IGNORECASE,
)
_AGE_SEX = re.compile(rf"(?<![\w./$\-])(?P<age>{_AGE_NUMBER}) ?(?:[MF]|male|female)(?!\w)")
_ASIDE_AGE = re.compile(rf"[(,] ?(?P<age>{_AGE_NUMBER})(?= ?[),.])")
_NOT_AGE = re.compile(
    r" ?(?:days?|pills?|tabs?|mg|units?|percent|degrees|minutes?|lbs?|over|bpm)\b"
)
_IS_AGE = re.compile(
    r"\b(?:is|am|i'm|im|he's|she's|hes|shes|was|be|almost|nearly|tiene)"
    rf" (?P<age>{_AGE_NUMBER}|{_AGE_WORD})(?![\w/%]|[.,]\d)",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[Hit]:
    for pattern in (_TITLED, _INTRODUCED):
        for match in pattern.finditer(text):
            start, end = match.span("name")
            yield Hit(start=start, end=end, type="NAME", score=0.7, certain=False)
    for pattern, certain in (
        (_AGE_WITH_UNIT, True),
        (_AGE_TOLD, True),
        (_AGE_SEX, True),
        (_IS_AGE, False),
        (_ASIDE_AGE, False),
    ):
        for match in pattern.finditer(text):
            start, end = match.span("age")
            if certain or not _NOT_AGE.match(text, end):
                yield Hit(
                    start=start,
                    end=end,
                    type="AGE",
                    score=0.95 if certain else 0.5,
                    certain=certain,
                )
