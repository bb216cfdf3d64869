"""Calendar dates in every spelling, and dates of birth by what stands before them. Pure.

A month or a year alone is no identifier here (docs/deidentification.md gives the convention).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workers.deid.spans import Hit

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|"
    r"enero|febrero|marzo|abril|mayo|junio|julio|agosto|se(?:p|pt)iembre|octubre|noviembre|"
    r"diciembre|ene|abr|ago|dic)"
)
_ORDINAL_WORD = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth?|ninth|tenth|eleventh|twelfth|"
    r"thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|"
    r"thirtieth|(?:twenty|thirty)[ \-](?:first|second|third|fourth|fifth|sixth|seventh|eighth|"
    r"ninth)|primero)"
)
_DAY = r"(?:[0-2]?\d|3[01])"
_DAY_TH = rf"{_DAY}(?:st|nd|rd|th|º|ª|er)?"
_YEAR = r"(?:(?:19|20)\d\d|['’]?\d\d)"
_SAID_YEAR = (
    r"(?:(?:nineteen|twenty|two thousand)[ \-](?:and )?"
    r"(?:(?:oh|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|ten|eleven|twelve|\w{3,5}teen)"
    r"[ \-]?)?(?:one|two|three|four|five|six|seven|eight|nine)?)"
)

_NUMERIC = re.compile(
    r"(?<![\w/.\-])(?:"
    r"(?:\d{1,2} ?[/] ?\d{1,2} ?[/] ?(?:(?:19|20)\d\d|\d\d))"
    r"|(?:\d{1,2}-\d{1,2}-(?:(?:19|20)\d\d|\d\d))"
    r"|(?:\d{1,2}\.\d{1,2}\.(?:(?:19|20)\d\d|\d\d))"
    r"|(?:(?:19|20)\d\d[/.\-]\d{1,2}[/.\-]\d{1,2})"
    r")(?![\w/\-]|\.\d)"
)
_NO_YEAR = re.compile(r"(?<![\w/.$])\d{1,2}/(?:\d{1,2}|(?:19|20)\d\d)(?:(?=ish\b)|(?![\w/%]|\.\d))")
# "6/10" after these is a score, a strength or a fraction.
_SCORE = re.compile(r"\b(?:pain|scale|score|level|rated?|hurts)\b[^.\n]{0,15}$", re.IGNORECASE)
_DASHED = re.compile(r"(?<![\w/.\-$])\d{1,2}[.\-]\d{1,2}\.?(?![\w/%.\-])")
_COMPACT = re.compile(
    r"(?<![\w.\-])(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?![\w.\-])"
)
_MILITARY = re.compile(
    rf"(?<!\w){_DAY}[ \-]?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[ \-]?"
    r"(?:(?:19|20)\d\d|\d\d)(?!\w)",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"\b({_MONTH})\b(?:\.(?= ?\d))? ?(?:the )?(?:{_DAY_TH}|{_ORDINAL_WORD})(?![\w%/]|[.,:]\d)"
    rf"(?: ?(?:-|to|through|thru) ?{_DAY_TH}(?![\w%/:]|[.,]\d))?"
    rf"(?:(?:,? |,)(?:of )?(?:{_YEAR}(?!\w)|{_SAID_YEAR}\b))?",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(
    rf"(?<![\w.,/])(?:{_DAY_TH}|{_ORDINAL_WORD})[ \-]?(?:of |de )?({_MONTH})\b"
    rf"(?:\.?,? ?-?(?:de |del |of )?{_YEAR}(?!\w))?",
    re.IGNORECASE,
)
_BARE_ORDINAL = re.compile(
    rf"(?:\bthe ({_ORDINAL_WORD})|(?<![\w.])({_DAY}(?:st|nd|rd|th)))\b", re.IGNORECASE
)
_BIRTH = re.compile(
    r"\b(?:d\.?o\.?b\.?|date of birth|birth ?dates?|birthday|b-day|bday|born|fecha de nacimiento|"
    r"naci[óo]|nacid[oa])\b[ :#=\-]{0,3}(?:(?:is|was|on|the|el|es|of|in)\b ?){0,2}",
    re.IGNORECASE,
)
_BIRTH_VALUE = re.compile(
    rf"(?:\d{{1,4}}[ /.\-]{{1,3}}\d{{1,2}}[ /.\-]{{1,3}}\d{{2,4}}|\d{{6}}|\d{{8}}|"
    rf"{_MONTH}\b\.?,? ?(?:{_DAY_TH}|{_ORDINAL_WORD})?,? ?(?:{_YEAR}|{_SAID_YEAR}|"
    r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[ \-]?(?:one|two|three|four|five|"
    r"six|seven|eight|nine)?)"
    r")(?!\w)",
    re.IGNORECASE,
)
# A verb, a march and a might have been: months that are words too want a capital letter.
_ALSO_WORDS = frozenset({"may", "march", "mar", "dec", "ago"})


def find(text: str) -> Iterator[Hit]:
    digits = any(map(str.isdigit, text))
    if digits:
        yield from _numeric(text)
    yield from _worded(text)
    for match in _BIRTH.finditer(text):
        value = _BIRTH_VALUE.match(text, match.end())
        if value is not None and value.end() > value.start():
            yield Hit(start=value.start(), end=value.end(), type="DATE", score=0.99)


def _numeric(text: str) -> Iterator[Hit]:
    for match in _NUMERIC.finditer(text):
        if _is_date(match[0]):
            yield Hit(start=match.start(), end=match.end(), type="DATE", score=0.99)
    for pattern, score in ((_NO_YEAR, 0.6), (_DASHED, 0.3)):
        for match in pattern.finditer(text):
            if _is_day_of_year(match[0]) and not _SCORE.search(
                text, max(0, match.start() - 25), match.start()
            ):
                yield Hit(
                    start=match.start(), end=match.end(), type="DATE", score=score, certain=False
                )
    for match in _COMPACT.finditer(text):
        yield Hit(start=match.start(), end=match.end(), type="DATE", score=0.9)
    for match in _MILITARY.finditer(text):
        yield Hit(start=match.start(), end=match.end(), type="DATE", score=0.95)


def _worded(text: str) -> Iterator[Hit]:
    for pattern in (_MONTH_DAY, _DAY_MONTH):
        for match in pattern.finditer(text):
            month = match[1]
            certain = not (month.lower() in _ALSO_WORDS and month.islower())
            yield Hit(
                start=match.start(), end=match.end(), type="DATE", score=0.95, certain=certain
            )
    for match in _BARE_ORDINAL.finditer(text):
        start, end = match.span(1 if match[1] else 2)
        yield Hit(start=start, end=end, type="DATE", score=0.5, certain=False)


def _is_date(surface: str) -> bool:
    numbers = [int(part) for part in re.findall(r"\d+", surface)]
    first, second = numbers[1:] if numbers[0] > 31 else numbers[:2]
    return _is_day_and_month(first, second)


def _is_day_of_year(surface: str) -> bool:
    first, second = (int(part) for part in re.findall(r"\d+", surface))
    if second > 1900:
        return 1 <= first <= 12
    return _is_day_and_month(first, second)


def _is_day_and_month(first: int, second: int) -> bool:
    return 1 <= first <= 31 and 1 <= second <= 31 and min(first, second) <= 12
