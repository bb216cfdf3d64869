"""E-mail addresses, web addresses, phone and fax numbers, spoken numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from workers.deid.spans import Hit

_EMAIL = re.compile(r"[\w.%+\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@])")
# john dot smith at mailbox dot com; maria arroba correo punto com
_SPOKEN_EMAIL = re.compile(
    r"\b\w[\w.\-]{0,40}(?: (?:dot|punto|underscore|dash) \w{1,30}){0,3}"
    r" ?(?:\(at\)|\[at\]|\bat\b|\barroba\b) ?[\w\-]{1,40}"
    r"(?: ?(?:\(dot\)|\[dot\]|\bdot\b|\bpunto\b) ?\w{2,20}){1,3}\b",
    re.IGNORECASE,
)
_TOP_LEVEL = (
    "com|org|net|edu|gov|mil|io|co|us|uk|ca|de|fr|es|mx|info|biz|app|dev|health|care|me|tv|example"
)
_URL = re.compile(
    r"\b(?:https?://|www\.)[^\s<>\"'\])]{2,300}"
    rf"|(?<![\w@.\-])(?:[a-z0-9\-]{{2,63}}\.){{1,4}}(?:{_TOP_LEVEL})\b(?!\.\w)(?:/[^\s<>\"'\])]{{0,200}})?",
    re.IGNORECASE,
)

_CANDIDATE = re.compile(
    r"(?<![\w.\-/$])(?:\+|00)?\(?\d[\d ().\-/–·]{4,22}\d"
    r"(?:,? ?(?:x|ext\.?|extension|anexo) ?\d{1,6})?(?![\w%])",
    re.IGNORECASE,
)
# North American: 555-010-0199 with any separators, area code in brackets or left out.
_NANP = re.compile(
    r"(?:\+?1[ .\-/]{0,2})?(?:\(\d{3}\)[ .\-/]{0,2}|\d{3}[ .\-/]{1,3})\d{3}[ .\-/]{1,3}\d{4}"
    r"(?:,? ?(?:x|ext\.?|extension|anexo) ?\d{1,6})?",
    re.IGNORECASE,
)
_LOCAL = re.compile(
    r"\d{3}[ .\-]{1,3}\d{4}(?:,? ?(?:x|ext\.?|extension|anexo) ?\d{1,6})?", re.IGNORECASE
)
_ABOUT_PHONES = re.compile(
    r"\b(?:phone|telephone|tel|tel[eé]fono|fax|cell|cellphone|celular|m[oó]bile?|m[oó]vil|call|"
    r"called|calls|calling|text|texted|reach|number|numero|n[uú]mero|contact|dial|voicemail|pager|"
    r"whatsapp|ll[aá]m[ea]\w{0,4}|landline|ring|ph)\b",
    re.IGNORECASE,
)
_REGIONS = ("US", "MX", "GB", "DE", "FR", "IN", "AU")

_DIGIT_WORD = (
    r"(?:zero|oh|o|one|two|three|four|five|six|seven|eight|nine|double|triple|hundred|"
    r"cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|\d)"
)
_SPOKEN_NUMBER = re.compile(
    rf"\b{_DIGIT_WORD}(?:[ ,.\-]{{1,3}}{_DIGIT_WORD}\b){{5,19}}", re.IGNORECASE
)
_ABOUT_IDS = re.compile(
    r"\b(?:mrn|member|record|claim|account|policy|id|rx|prescription|case|group|social|ssn|"
    r"reference|confirmation|license)\b",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[Hit]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Hit(start=match.start(), end=match.end(), type="EMAIL", score=1.0)
    lower = text.lower()
    if "dot" in lower or "punto" in lower:
        for match in _SPOKEN_EMAIL.finditer(text):
            yield Hit(start=match.start(), end=match.end(), type="EMAIL", score=0.95)
    if "." in text:
        for match in _URL.finditer(text):
            end = match.start() + len(match[0].rstrip(".,;:!?"))
            yield Hit(start=match.start(), end=end, type="ID", score=0.9)
    if sum(map(str.isdigit, text)) >= 7:
        yield from _phones(text)
    yield from _spoken_numbers(text)


def _phones(text: str) -> Iterator[Hit]:
    for match in _CANDIDATE.finditer(text):
        found = _phone(text, match)
        if found is not None:
            yield found


def _phone(text: str, match: re.Match[str]) -> Hit | None:
    surface = match[0]
    start, end = match.span()
    exact = _NANP.search(surface)
    if exact is not None:
        start, end = start + exact.start(), start + exact.end()
        return Hit(start=start, end=end, type="PHONE", score=0.95)
    told = _ABOUT_PHONES.search(text, max(0, start - 40), start) is not None
    local = _LOCAL.fullmatch(surface)
    if local is not None:
        certain = told or surface.startswith("555")
        return Hit(start=start, end=end, type="PHONE", score=0.8, certain=certain)
    digits = sum(map(str.isdigit, surface))
    if digits < 8 or digits > 17:
        return None
    if (
        "/" in surface or ". " in surface
    ):  # a date and a reading, "10/20 128/74", passes for one somewhere
        return None
    international = surface.startswith(("+", "00"))
    if not international and not told and not re.search(r"[ ()\-.]", surface):
        return None
    if not _is_valid(surface, ("ZZ",) if international else _REGIONS):
        return None
    certain = international or told
    return Hit(start=start, end=end, type="PHONE", score=0.8, certain=certain)


def _is_valid(surface: str, regions: tuple[str, ...]) -> bool:
    """Whether `phonenumbers` takes it for a number, of one of the regions where it is national."""
    if surface.startswith("00"):
        surface = "+" + surface[2:]
    for region in regions:
        try:
            number = phonenumbers.parse(surface, region)
        except phonenumbers.NumberParseException:
            continue
        if region == "ZZ":
            return phonenumbers.is_possible_number(number)
        if phonenumbers.is_valid_number(number):
            return True
    return False


def _spoken_numbers(text: str) -> Iterator[Hit]:
    """ "five five five, oh one oh two": a phone number, or an id where the words before say so."""
    for match in _SPOKEN_NUMBER.finditer(text):
        words = re.findall(r"\w+", match[0])
        spoken = sum(not word.isdigit() for word in words)
        if spoken == 0 and len(words) < 7:
            continue
        is_id = _ABOUT_IDS.search(text, max(0, match.start() - 30), match.start()) is not None
        certain = is_id or len(words) >= 7
        kind = "ID" if is_id else "PHONE"
        yield Hit(start=match.start(), end=match.end(), type=kind, score=0.85, certain=certain)
