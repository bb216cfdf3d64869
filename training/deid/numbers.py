# ruff: noqa: E501, RUF005  lists of forms read better unwrapped
"""Made-up dates, ages, phone numbers, addresses for mail, and identifiers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from training.deid.names import Names

_EMAIL_HOSTS = (
    "example.com example.org example.net mail.example postbox.example gmail.com yahoo.com hotmail.com "
    "outlook.com icloud.com aol.com comcast.net"
).split()
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_SHORT_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec".split()
_SPANISH_MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
_ONES = "zero one two three four five six seven eight nine".split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth thirtieth"
).split()


class Numbers(Names):
    """What is mostly digits."""

    def date(self) -> str:
        r = self.random
        day, month = r.randint(1, 28), r.randint(1, 12)
        year = r.choice([r.randint(1925, 2026), r.randint(2019, 2026)])
        name, short = _MONTHS[month - 1], _SHORT_MONTHS[month - 1]
        th = f"{day}{_suffix(day)}"
        forms: list[Callable[[], str]] = [
            lambda: f"{month}/{day}",
            lambda: f"{month}/{day}",
            lambda: f"{month}/{day}/{year % 100:02d}",
            lambda: f"{month:02d}/{day:02d}/{year}",
            lambda: f"{month}-{day}-{year % 100:02d}",
            lambda: f"{month:02d}-{day:02d}",
            lambda: f"{day}.{month}.{year}",
            lambda: f"{month:02d}.{day:02d}",
            lambda: f"{year}-{month:02d}-{day:02d}",
            lambda: f"{name} {day}",
            lambda: f"{name} {th}",
            lambda: f"{name} {day}, {year}",
            lambda: f"{name} {th} {year}",
            lambda: f"{short} {day}",
            lambda: f"{short}. {day}",
            lambda: f"{short} {day} {year}",
            lambda: f"{day} {name}",
            lambda: f"{day} {short} {year}",
            lambda: f"{th} of {name}",
            lambda: f"{day}-{short[:3]}-{year % 100:02d}",
            lambda: f"{day:02d}{short[:3].upper()}{year}",
            lambda: f"{name} the {th}",
            lambda: f"{name} {r.choice(_ORDINALS)}",
            lambda: f"{r.choice(_ORDINALS)} of {name}",
            lambda: f"{day}/{month}/{year}",
            lambda: f"{year}{month:02d}{day:02d}",
            lambda: f"{month} {day} {year % 100:02d}",
            lambda: f"{name.lower()} {day}",
        ]
        return r.choice(forms)()

    def birth_date(self) -> str:
        r = self.random
        day, month, year = r.randint(1, 28), r.randint(1, 12), r.randint(1925, 2025)
        name = _MONTHS[month - 1]
        tens = r.choice("thirty forty fifty sixty seventy eighty ninety".split())
        said = f"{name} {r.choice(_ORDINALS)} {r.choice(['', 'nineteen '])}{tens}-{r.choice(_ONES[1:])}"
        return r.choice(
            [
                f"{month}/{day}/{year % 100:02d}",
                f"{month:02d}/{day:02d}/{year}",
                f"{month}/{day}/{year}",
                f"{month}-{day}-{year}",
                f"{name} {day}, {year}",
                f"{name} {day} {year}",
                f"{day} {name} {year}",
                f"{year}-{month:02d}-{day:02d}",
                f"{month:02d}{day:02d}{year}",
                f"{month:02d}{day:02d}{year % 100:02d}",
                said,
                f"{month} {day} {year % 100:02d}",
                f"{month}.{day}.{year}",
            ]
        )

    def ordinal_day(self) -> str:
        day = self.random.randint(1, 31)
        if self.random.random() < 0.15:
            return self.random.choice(_ORDINALS)
        return f"{day}{_suffix(day)}"

    def spanish_date(self) -> str:
        r = self.random
        day, month = r.randint(1, 28), r.choice(_SPANISH_MONTHS)
        return r.choice(
            [
                f"{day} de {month}",
                f"{day} de {month} de {r.randint(1930, 2026)}",
                f"{day} de {month}",
            ]
        )

    def age(self) -> str:
        r = self.random
        if r.random() < 0.15:
            return "ninety" + r.choice(["", f"-{r.choice(_ONES[1:])}", f" {r.choice(_ONES[1:])}"])
        return str(r.choice([r.randint(90, 99), r.randint(90, 104)]))

    def phone(self) -> str:
        r = self.random
        area, end = r.randint(201, 989), f"{r.randint(0, 9999):04d}"
        mid = r.choice([555, r.randint(200, 999)])
        kind = r.random()
        if kind < 0.62:
            return r.choice(
                [
                    f"{area}-{mid}-{end}",
                    f"({area}) {mid}-{end}",
                    f"{area}.{mid}.{end}",
                    f"{area} {mid} {end}",
                    f"{mid}-{end}",
                    f"1-{area}-{mid}-{end}",
                    f"+1 {area} {mid} {end}",
                    f"{area}{mid}{end}",
                    f"({area}){mid}-{end}",
                    f"{area}-{mid}-{end} ext {r.randint(1, 999)}",
                    f"{area}/{mid}-{end}",
                    f"+1-{area}-{mid}-{end}",
                    f"{mid} {end}",
                    f"{area}-{mid}-{end} x{r.randint(10, 9999)}",
                ]
            )
        if kind < 0.72:
            return self.spoken(f"{area}{mid}{end}" if r.random() < 0.6 else f"{mid}{end}")
        return r.choice(self._numbers)

    def spoken(self, digits: str) -> str:
        joint = self.random.choice([" ", " ", "-", ", "])
        zero = self.random.choice(["zero", "oh", "o"])
        return joint.join(zero if digit == "0" else _ONES[int(digit)] for digit in digits)

    def email(self) -> str:
        r = self.random
        first = _ascii(self.first()).lower()
        last = _ascii(self.last()).lower().replace(" ", "")
        host = r.choice(_EMAIL_HOSTS)
        if r.random() < 0.06:
            return f"{first} dot {last} at {host.replace('.', ' dot ')}"
        local = r.choice(
            [
                f"{first}.{last}",
                f"{first}{last}",
                f"{first[0]}{last}",
                f"{first}_{r.randint(1, 99)}",
                f"{last}.{first}",
                f"{first}{r.randint(1950, 2010)}",
                f"{first}",
            ]
        )
        address = f"{local}@{host}"
        return address.upper() if r.random() < 0.05 else address

    def identifier(self) -> str:
        r = self.random
        letters = "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(r.randint(1, 4)))
        pattern = r.choice(
            "####### ###### ######## ######### ##########  ##### #### ##-##### ###-##-#### ####-#### "
            "######-## #-####### ####-####-## ####-###-## @-###### @###### @######## @#######@ @-####-## "
            "@######-# @-##-##### @-2025-##### @####@ ##@#### #@###@## @### @-#### @##-####".split()
            + [
                "## #### ####",
                "@ ### ### ###",
                "### ## ####",
                "@ #### #### ##",
                "#### #### ##",
                "#### #### #### ####",
                "####-####-####-####",
                "@## #### #### #### #### ##",
                "##.##.###.##",
                "##:##:##:##:##:##",
                "############",
                "@#@# #### ####",
                "### ### ###",
            ]
        )
        if r.random() < 0.04:
            return self.spoken("".join(r.choice("0123456789") for _ in range(r.randint(5, 9))))
        out = "".join(
            r.choice("0123456789") if c == "#" else letters if c == "@" else c for c in pattern
        )
        return out.lower() if r.random() < 0.06 else out


def _suffix(day: int) -> str:
    if 10 < day < 14:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(c for c in plain if c.isalnum())
