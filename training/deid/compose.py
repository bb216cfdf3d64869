"""Turns templates and corpus messages into varied, marked training texts."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from training.deid import templates, words
from training.deid.surfaces import Surfaces
from workers.deid.marks import segments

Pieces = list[tuple[str, str | None]]

_CHOICE = re.compile(r"<([^<>{}]*(?:\{[a-zA-Z0-9_]+\}[^<>{}]*)*\|[^<>]*)>")
_SLOT = re.compile(r"\{([a-zA-Z0-9_]+)\}")
_STREET_WORD = re.compile(
    r"\b(?:st|street|ave|avenue|rd|road|blvd|lane|ln|drive|dr|ct|court|way|hwy|route)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How often each kind of text is drawn, out of their sum."""

    notes: float = 1.3
    questions: float = 1.0
    portal: float = 2.0
    general: float = 1.8
    traps: float = 1.6
    spanish: float = 0.5


class Composer:
    """Draws marked texts as pieces: (text, type or None)."""

    def __init__(self, surfaces: Surfaces, shares: Shares) -> None:
        self.surfaces = surfaces
        self.random = random.Random(surfaces.random.random())
        kinds = {
            "notes": templates.NOTES,
            "questions": templates.QUESTIONS,
            "portal": templates.PORTAL,
            "general": templates.GENERAL,
            "traps": templates.TRAPS,
            "spanish": templates.SPANISH,
        }
        self._lines = {kind: text.strip().splitlines() for kind, text in kinds.items()}
        self._kinds = list(kinds)
        self._weights = [getattr(shares, kind) for kind in kinds]
        self._slots = self._marked_slots()
        self._plain = self._plain_slots()

    def _marked_slots(self) -> dict[str, tuple[str, Callable[[], str]]]:
        s, r = self.surfaces, self.random
        return {
            "NAME": ("NAME", s.name),
            "FIRST": ("NAME", s.first),
            "LAST": ("NAME", s.last),
            "INITIALED": ("NAME", s.initialed),
            "NAME_CAPS": ("NAME", lambda: s.name().upper()),
            "TWO": ("NAME", lambda: f"{s.first()} {s.last()}"),
            "full_lower": ("NAME", lambda: f"{s.first()} {s.last()}".lower()),
            "first_lower": ("NAME", lambda: s.first().lower()),
            "last_lower": ("NAME", lambda: s.last().lower()),
            "DATE": ("DATE", s.date),
            "DOB": ("DATE", s.birth_date),
            "DAY": ("DATE", s.ordinal_day),
            "FECHA": ("DATE", s.spanish_date),
            "AGE": ("AGE", s.age),
            "PHONE": ("PHONE", s.phone),
            "EMAIL": ("EMAIL", s.email),
            "ID": ("ID", s.identifier),
            "ID4": ("ID", lambda: f"{r.randint(0, 9999):04d}"),
            "IDSPACED": (
                "ID",
                lambda: " ".join(
                    r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(r.randint(5, 8))
                ),
            ),
            "SSN": (
                "ID",
                lambda: f"{r.randint(100, 899)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}",
            ),
            "CARD": (
                "ID",
                lambda: "".join(r.choice("0123456789") for _ in range(r.choice([15, 16, 16]))),
            ),
            "IP": ("ID", lambda: ".".join(str(r.randint(1, 254)) for _ in range(4))),
            "IBAN": (
                "ID",
                lambda: (
                    r.choice(["GB", "DE", "FR", "NL", "IT"])
                    + "".join(r.choice("0123456789") for _ in range(18))
                ),
            ),
            "URL": (
                "ID",
                lambda: (
                    r.choice(["https://www.", "www.", "http://", ""])
                    + s.last().lower().replace(" ", "").replace("'", "")
                    + r.choice([".com", ".org", ".net/login"])
                ),
            ),
            "TOWN": ("ADDRESS", s.town),
            "TOWN_CAPS": ("ADDRESS", lambda: s.town().upper()),
            "STREET": ("ADDRESS", s.street),
            "ADDRESS": ("ADDRESS", s.address),
            "PLACE": ("ADDRESS", s.place),
            "ZIP": ("ADDRESS", s.zip_code),
            "STREET_ES": ("ADDRESS", lambda: "calle " + s.last()),
            "HOSPITAL": ("ORG", s.hospital),
            "PHARMACY": ("ORG", s.pharmacy),
            "INSURER": ("ORG", s.insurer),
            "SCHOOL": ("ORG", s.school),
            "COMPANY": ("ORG", s.company),
        }

    def _plain_slots(self) -> dict[str, Callable[[], str]]:
        r = self.random

        def pick(values: list[str]) -> Callable[[], str]:
            return lambda: r.choice(values)

        return {
            "drug": pick(words.DRUGS),
            "drug_caps": lambda: r.choice(words.DRUGS).upper(),
            "problem": pick(words.PROBLEMS),
            "eponym": pick(words.EPONYMS),
            "body": pick(words.BODY),
            "lab": pick(words.LABS),
            "dose": pick(words.DOSES),
            "time": pick(words.TIMES),
            "country": pick(words.COUNTRIES),
            "state": pick(words.COUNTRIES[38:]),
            "nationality": pick(words.NATIONALITIES),
            "job": pick(words.JOBS),
            "age": lambda: str(r.randint(1, 89)),
            "age_small": lambda: str(r.randint(2, 17)),
            "look": pick(words.LOOKALIKES),
            "num": lambda: str(r.randint(1, 400)),
            "sex": lambda: r.choice("MF"),
        }

    def template(self) -> Pieces:
        """One to three filled sentences."""
        kind = self.random.choices(self._kinds, self._weights)[0]
        pieces: Pieces = []
        for number in range(self.random.choices([1, 2, 3, 4], [5, 3, 2, 1])[0]):
            if number:
                pieces.append((self.random.choice([" ", " ", " ", "\n", ". ", ", "]), None))
                if self.random.random() < 0.35:
                    kind = self.random.choice(["portal", "traps", kind])
            pieces += self._fill(self.random.choice(self._lines[kind]))
        return pieces

    def _fill(self, line: str) -> Pieces:
        line = line.replace("\\n", "\n")
        while (match := _CHOICE.search(line)) is not None:
            choice = self.random.choice(match[1].split("|"))
            line = line[: match.start()] + choice + line[match.end() :]
        pieces: Pieces = []
        at = 0
        for match in _SLOT.finditer(line):
            pieces.append((line[at : match.start()], None))
            slot = match[1]
            if slot in self._slots:
                kind, draw = self._slots[slot]
                pieces.append((draw(), kind))
            else:
                pieces.append((self._plain[slot](), None))
            at = match.end()
        pieces.append((line[at:], None))
        return [piece for piece in pieces if piece[0]]

    # --- corpus messages ------------------------------------------------------------------------

    def vary(self, marked: str, replace: float) -> Pieces:
        """A corpus message with each marked value replaced with probability `replace`."""
        return [
            (self._other(text, kind), kind)
            if kind is not None and self.random.random() < replace
            else (text, kind)
            for text, kind in segments(marked)
        ]

    def _other(self, text: str, kind: str) -> str:
        value = getattr(self, f"_other_{kind.lower()}")(text)
        if text.islower() and kind != "EMAIL":
            return str(value).lower()
        if text.isupper() and any(c.isalpha() for c in text) and kind in ("NAME", "ORG", "ADDRESS"):
            return str(value).upper()
        return str(value)

    def _other_name(self, text: str) -> str:
        s = self.surfaces
        if len(text.split()) == 1:
            return s.first() if self.random.random() < 0.6 else s.last()
        return s.initialed() if len(text.split()[-1].rstrip(".")) == 1 else s.full()

    def _other_org(self, text: str) -> str:
        s, folded = self.surfaces, text.lower()
        if any(word in folded for word in ("school", "elementary", "college", "high", "academy")):
            return s.school()
        if any(text.startswith(name) for name in words.PHARMACIES) or "pharm" in folded:
            return s.pharmacy()
        if any(text.startswith(name) for name in words.INSURERS):
            return s.insurer()
        return s.organisation()

    def _other_address(self, text: str) -> str:
        s = self.surfaces
        if text[0].isdigit() and len(text) > 6:
            return s.address()
        return s.street() if _STREET_WORD.search(text) else s.town()

    def _other_id(self, text: str) -> str:
        if self.random.random() < 0.35:
            return self.surfaces.identifier()
        return self._redigit(text)

    def _redigit(self, text: str) -> str:
        r = self.random
        return "".join(
            r.choice("0123456789")
            if c.isdigit()
            else r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ")
            if c.isupper() and r.random() < 0.5
            else c
            for c in text
        )

    def _other_phone(self, text: str) -> str:
        return self.surfaces.phone() if self.random.random() < 0.6 else self._redigit(text)

    def _other_date(self, text: str) -> str:
        if re.fullmatch(r"\d{1,2}(?:st|nd|rd|th)", text):
            return self.surfaces.ordinal_day()
        if len(text) < 4 or " de " in text or text.startswith("the "):
            return text
        return self.surfaces.date()

    def _other_age(self, _text: str) -> str:
        return self.surfaces.age()

    def _other_email(self, _text: str) -> str:
        return self.surfaces.email()


class Noise:
    """What people and phones do to a text: case, typos, lost punctuation."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def apply(self, pieces: Pieces) -> Pieces:
        chance = self.random.random()
        if chance < 0.18:
            pieces = [(text.lower(), kind) for text, kind in pieces]
        elif chance < 0.25:
            pieces = [(text.upper(), kind) for text, kind in pieces]
        elif chance < 0.30:
            pieces = [
                (text.lower() if kind in ("NAME", "ORG", "ADDRESS") else text, kind)
                for text, kind in pieces
            ]
        elif chance < 0.33:
            pieces = [(text.title() if kind is None else text, kind) for text, kind in pieces]
        if self.random.random() < 0.08:
            pieces = [
                (re.sub(r"[.,;:!?](?=\s|$)", "", text) if kind is None else text, kind)
                for text, kind in pieces
            ]
        if self.random.random() < 0.15:
            rate = self.random.choice([0.01, 0.02, 0.04])
            pieces = [(self._typos(text, rate), kind) for text, kind in pieces]
        return [piece for piece in pieces if piece[0]]

    def _typos(self, text: str, rate: float) -> str:
        out = []
        for character in text:
            if not character.isalpha() or self.random.random() > rate:
                out.append(character)
                continue
            kind = self.random.random()
            if kind < 0.35:
                continue
            if kind < 0.6:
                out += [character, character]
            elif kind < 0.85 and out and out[-1].isalpha():
                out.insert(len(out) - 1, character)
            else:
                out.append(self.random.choice("etaoinsrhl"))
        return "".join(out) or text
