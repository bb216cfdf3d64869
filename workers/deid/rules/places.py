"""Street addresses, post boxes and postcodes. Towns are the token classifier's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workers.deid.spans import Hit

_KIND = (
    r"(?:street|st|avenue|ave?|road|rd|boulevard|blvd|drive|dr|lane|ln|court|ct|circle|cir|place|"
    r"pl|parkway|pkwy|highway|hwy|way|terrace|ter|trail|trl|turnpike|tpke|square|sq|loop|alley|"
    r"plaza|crescent|close|row|broadway|route|rte)"
)
_UNIT = (
    r"(?:,? (?:apt|apartment|unit|suite|ste|room|rm|bldg|building|floor|fl|lot|#) ?\.?#?[ ]?"
    r"\w{1,6})"
)
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|PR|RI|"
    r"S[CD]|T[NX]|UT|V[AIT]|W[AIVY])"
)
_TOWN = r"(?:,? [A-Z][\w.'\-]{1,20}(?: [A-Z][\w.'\-]{1,20}){0,2})?"
_STREET = re.compile(
    r"(?<![\w/.$\-])\d{1,6}[A-Za-z]?(?:[ ]1/2)?[ ](?:[NSEW]{1,2}\.? |(?:north|south|east|west) )?"
    rf"(?:(?!\d{{1,3}} )[\w.'\-]{{1,20}} ){{1,3}}?{_KIND}\b\.?(?!')"
    rf"{_UNIT}{{0,2}}",
    re.IGNORECASE,
)
_TAIL = re.compile(rf"{_TOWN}(?:,? {_STATE}\b)?(?:,? \d{{5}}(?:-\d{{4}})?)?")
_NAMED_STREET = re.compile(
    r"\b(?:[A-Z][\w'\-]{1,20} ){1,2}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Lane|Ln|Court|Parkway|Pkwy|Terrace|"
    r"Highway|Hwy|Pike)\b(?!')"
)
_ROUTE = re.compile(
    r"\b(?:route|rte|highway|hwy|interstate|county road|cr) ?-?\d{1,4}\b", re.IGNORECASE
)
_RURAL = re.compile(
    r"\b(?:rr|rt|rte|route|rural route|hc|star route)\.? ?\d{1,4},? ?box ?\d{1,6}\b", re.IGNORECASE
)
_CALLE = re.compile(
    r"\b(?:calle|avenida|av\.|calzada|colonia|col\.|carretera) "
    r"[\w.'\-]{2,20}(?: (?:de |del |la |los )?[A-ZÁÉÍÓÚÑ][\w.'\-]{1,20}){0,2}"
    r"(?:,? (?:#|no\.? ?)?\d{1,5})?",
    re.IGNORECASE,
)
_BOX = re.compile(r"\b(?:p\.? ?o\.? ?box|apartado(?: postal)?) ?#?\d{1,7}\b", re.IGNORECASE)
_STATE_ZIP = re.compile(rf"(?<!\w){_STATE},? \d{{5}}(?:-\d{{4}})?(?!\w)")
_ZIP = re.compile(
    r"\b(?:zip(?: ?code)?|c[oó]digo postal|postal code|postcode|c\.p\.)[ :]{1,2}"
    r"(?:is |es )?(?P<value>\d{5}(?:-\d{4})?)\b",
    re.IGNORECASE,
)
_ZIP_PLUS_FOUR = re.compile(r"(?<![\w\-])\d{5}-\d{4}(?![\w\-])")
_UK = re.compile(r"(?<!\w)[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)")
_CANADA = re.compile(r"(?<!\w)[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d(?!\w)")


def find(text: str) -> Iterator[Hit]:
    digits = any(map(str.isdigit, text))
    if digits:
        yield from _streets(text)
        for pattern, certain in (
            (_BOX, True),
            (_RURAL, True),
            (_STATE_ZIP, True),
            (_ROUTE, False),
            (_UK, True),
            (_CANADA, True),
            (_ZIP_PLUS_FOUR, False),
        ):
            for match in pattern.finditer(text):
                yield Hit(
                    start=match.start(),
                    end=match.end(),
                    type="ADDRESS",
                    score=0.95 if certain else 0.5,
                    certain=certain,
                )
        for match in _ZIP.finditer(text):
            yield Hit(
                start=match.start("value"), end=match.end("value"), type="ADDRESS", score=0.98
            )
    for pattern in (_NAMED_STREET, _CALLE):
        for match in pattern.finditer(text):
            yield Hit(
                start=match.start(), end=match.end(), type="ADDRESS", score=0.7, certain=False
            )


def _streets(text: str) -> Iterator[Hit]:
    for match in _STREET.finditer(text):
        end = match.end()
        certain = _looks_named(match[0])
        if certain:
            tail = _TAIL.match(text, end)
            end = tail.end() if tail is not None else end
        score = 0.95 if certain else 0.5
        yield Hit(start=match.start(), end=end, type="ADDRESS", score=score, certain=certain)


def _looks_named(surface: str) -> bool:
    """Capital letters from the second word on: '14 Birch St', not '2 times a day the right way'."""
    words = surface.split()[1:]
    return words[0].upper() not in ("AM", "PM") and all(
        word[0].isupper() or word[0].isdigit() or word[0] == "#" for word in words
    )
