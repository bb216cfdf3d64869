"""Numbers that name one person, account, record or device. Pure.

Some have a form of their own (social security numbers, cards and IBANs by checksum, network and
hardware addresses); the rest is told by the word before: "MRN 55-20-871", "claim no. C-1182".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workers.deid.spans import Hit

_SSN = re.compile(r"(?<![\w\-])\d{3}([- ])\d{2}\1\d{4}(?![\w\-])")
_CARD = re.compile(r"(?<![\w\-])\d(?:[ \-]?\d){12,18}(?![\w\-])")
_CARD_GROUPS = re.compile(r"\d{13,19}|\d{4}(?:[ \-]\d{4}){2}[ \-]\d{1,7}|\d{4}[ \-]\d{6}[ \-]\d{5}")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)")
_MBI = re.compile(r"(?<!\w)[1-9][A-Z][A-Z0-9]\d-?[A-Z][A-Z0-9]\d-?[A-Z]{2}\d{2}(?!\w)")
_IPV4 = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.]{0,16}\d)"
)
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:{1,2}){3,7}[0-9a-f]{1,4}(?![\w:])", re.IGNORECASE)
_MAC = re.compile(r"(?<!\w)(?:[0-9a-f]{2}[:\-]){5}[0-9a-f]{2}(?!\w)", re.IGNORECASE)
_UUID = re.compile(r"(?<!\w)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?!\w)", re.IGNORECASE)
_CURP = re.compile(r"(?<!\w)[A-Z]{4}\d{6}[A-Z]{6}[A-Z0-9]\d(?!\w)")

# Words that by themselves say that what follows is somebody's number.
_STRONG = (
    r"mrn|m\.r\.n\.?|med(?:ical)? rec(?:ord)?s?|record(?= (?:no|num|number|#|id))|member|"
    r"subscriber|policy|claim|account|acct|guarantor|csn|accession|ssn|social security|"
    r"passport|licen[cs]e|npi|dea|serial|s/n|imei|vin|medicaid|medicare|mbi|hicn|nhs|chart|"
    r"patient id|pt id|dod id|ahcccs|medi-cal|tracking|invoice|receipt|statement|"
    r"confirmation|reference|ref|authorization|auth|prior auth|pa|rx|script|prescription|"
    r"expediente|p[óo]liza|cuenta|folio|afiliaci[óo]n|curp|dni|nss|siniestro"
)
# Words that say so only as often as not.
_WEAK = (
    r"record|case|group|grp|order|ticket|employee|emp|student|badge|file|application|app|juror|"
    r"device|model|lot|unit|plate|id|bin|pcn|card|number|code|acc|spec(?:imen)?|sn|dl|patient|pt|"
    r"hosp|hospital|study|request|req|referral|registration|certificate|cert|key|pin|n[uú]mero|caso|"
    r"pump|meter|machine|wc|customer|program"
)
_LINK = (
    r"(?:[ ]?(?:no|num|number|numbers|nbr|id|code|card|key|n[uú]mero|n[º°o])\b\.?|[ ]?#){0,3}"
    r"[ ]?(?:(?:is|are|was|es|of|ending in|that is)\b|[:=#]|-(?= ))?[ ]{0,2}#?"
)
_VALUE = (
    r"(?P<value>(?=[\w\-./ ]{0,10}\d)"
    r"(?:[A-Z]{1,6}[ \-])?[A-Za-z]{0,5}\d(?:[\w\-/:]|\.(?=\w)){0,24}"
    r"(?:[ ](?=[\w\-]{0,6}\d)[A-Z0-9][A-Z0-9\-]{1,12}(?![\w/:.]{0,16}[/:])){0,3}"
    r"|(?=[A-Z\-]{0,12}\d)[A-Z0-9][A-Z0-9\-]{3,24})"
)
_STRONG_ID = re.compile(rf"\b(?i:{_STRONG})s?\b\.?{_LINK}{_VALUE}")
_WEAK_ID = re.compile(rf"\b(?i:{_WEAK})\b\.?{_LINK}{_VALUE}")
_HASH_ID = re.compile(r"(?<!\w)#[ ]?(?P<value>[A-Z]{0,4}-?\d[\dA-Z\-]{3,20})(?!\w)")

_LONG_NUMBER = re.compile(r"(?<![\w.,$\-+])\d{7,19}(?![\w%]|[.,]\d)")
_GROUPED = re.compile(r"(?<![\w.,$\-+])\d{2,9}(?:-\d{2,9}){1,3}(?:-[A-Z0-9]{1,4})?(?![\w%])")
_LETTERED = re.compile(
    r"(?<![\w\-])(?=[A-Z0-9\-]{0,12}\d)[A-Z]{1,6}-?\d[\dA-Z]{2,18}[\dA-Z\-]{0,18}(?!\w)"
)
_AMOUNT = re.compile(r" ?(?:units?|iu|mg|mcg|ml|cc|copies|cells|cfu|kcal|iu/ml)\b", re.IGNORECASE)
_LAST_FOUR = re.compile(
    r"\b(?:last (?:4|four)(?: (?:digits?|of))?|end(?:s|ing) in)[^\n\d]{0,30}(?P<value>\d{4})\b",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[Hit]:
    if not any(map(str.isdigit, text)):
        return
    yield from _formed(text)
    for match in _STRONG_ID.finditer(text):
        yield from _in_context(match, needed_digits=3, strong=True)
    for match in _WEAK_ID.finditer(text):
        yield from _in_context(match, needed_digits=4, strong=False)
    for pattern in (_HASH_ID, _LAST_FOUR):
        for match in pattern.finditer(text):
            start, end = match.span("value")
            yield Hit(start=start, end=end, type="ID", score=0.6, certain=False)
    yield from _bare(text)


def _formed(text: str) -> Iterator[Hit]:
    for pattern in (_SSN, _MBI, _IPV4, _MAC, _UUID, _CURP):
        for match in pattern.finditer(text):
            yield Hit(start=match.start(), end=match.end(), type="ID", score=0.98)
    if ":" in text:
        for match in _IPV6.finditer(text):
            if len(match[0]) > 11 or "::" in match[0]:
                yield Hit(start=match.start(), end=match.end(), type="ID", score=0.9)
    for match in _CARD.finditer(text):
        sure = _CARD_GROUPS.fullmatch(match[0]) is not None and _luhn_holds(match[0])
        yield Hit(
            start=match.start(),
            end=match.end(),
            type="ID",
            score=1.0 if sure else 0.7,
            certain=sure,
        )
    for match in _IBAN.finditer(text):
        if _iban_holds(match[0]):
            yield Hit(start=match.start(), end=match.end(), type="ID", score=1.0)


def _in_context(match: re.Match[str], *, needed_digits: int, strong: bool) -> Iterator[Hit]:
    start, end = match.span("value")
    value = match["value"].rstrip(".:/-")
    digits = sum(map(str.isdigit, value))
    if digits < needed_digits or _AMOUNT.match(match.string, end):
        return
    certain = strong and digits >= 5
    score = 0.95 if certain else 0.6
    yield Hit(start=start, end=start + len(value), type="ID", score=score, certain=certain)


def _bare(text: str) -> Iterator[Hit]:
    """Numbers with no word before them: long ones, grouped ones, letters and digits mixed."""
    for match in _LONG_NUMBER.finditer(text):
        if not _AMOUNT.match(text, match.end()):
            yield Hit(start=match.start(), end=match.end(), type="ID", score=0.8)
    for match in _GROUPED.finditer(text):
        if sum(map(str.isdigit, match[0])) >= 6:
            yield Hit(start=match.start(), end=match.end(), type="ID", score=0.5, certain=False)
    for match in _LETTERED.finditer(text):
        if sum(map(str.isdigit, match[0])) >= 4:
            yield Hit(start=match.start(), end=match.end(), type="ID", score=0.5, certain=False)


def _luhn_holds(surface: str) -> bool:
    """The checksum of payment cards (ISO/IEC 7812-1)."""
    digits = [int(character) for character in surface if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban_holds(surface: str) -> bool:
    """The checksum of bank accounts (ISO 13616): modulo 97."""
    compact = surface.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
