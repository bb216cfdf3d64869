"""What has a form is found by its form, before any model is asked."""

from __future__ import annotations

import re
import re._parser as parser  # type: ignore[import-not-found]

import pytest

from workers.deid.rules import RECOGNISERS, contact, dates, numbers, people, places
from workers.deid.spans import Hit


def found(text: str, *, certain: bool = False) -> set[tuple[str, str]]:
    """Type and text of every hit; with `certain`, only those that ask no model."""
    hits: list[Hit] = [hit for recognise in RECOGNISERS for hit in recognise(text)]
    return {(hit.type, text[hit.start : hit.end]) for hit in hits if hit.certain or not certain}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("call 415-555-0188 today", "PHONE", "415-555-0188"),
        ("fax (555) 555-0119.", "PHONE", "(555) 555-0119"),
        ("+44 20 7946 0958 is my UK number", "PHONE", "+44 20 7946 0958"),
        ("my cell is 555 0153", "PHONE", "555 0153"),
        ("call 4155550188 x 12", "PHONE", "4155550188 x 12"),
        ("ring 918.555.0145, ext 4", "PHONE", "918.555.0145, ext 4"),
        ("five five five, oh one two three", "PHONE", "five five five, oh one two three"),
        ("write to a.b-c@mail.example", "EMAIL", "a.b-c@mail.example"),
        ("john dot smith at mailbox dot com", "EMAIL", "john dot smith at mailbox dot com"),
        ("see https://portal.example/u/77?x=1.", "ID", "https://portal.example/u/77?x=1"),
        ("SSN 219-09-9999", "ID", "219-09-9999"),
        ("card 4111 1111 1111 1111 exp", "ID", "4111 1111 1111 1111"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "ID", "GB82 WEST 1234 5698 7654 32"),
        ("from 192.168.10.24 at night", "ID", "192.168.10.24"),
        ("mac 00:1B:44:11:3A:B7", "ID", "00:1B:44:11:3A:B7"),
        ("Medicare 1EG4-TE5-MK73", "ID", "1EG4-TE5-MK73"),
        ("MRN 55-20-871: seen", "ID", "55-20-871"),
        ("claim no. CLM-7730912.", "ID", "CLM-7730912"),
        ("member number HP 5567 20194 02, at", "ID", "HP 5567 20194 02"),
        ("ID 987654321, like", "ID", "987654321"),
        ("born 4/2/1957", "DATE", "4/2/1957"),
        ("on March 14th, 2024 I", "DATE", "March 14th, 2024"),
        ("on the 4th of April we", "DATE", "4th of April"),
        ("seen 20251104 here", "DATE", "20251104"),
        ("DOB 01JAN35", "DATE", "01JAN35"),
        ("birthday October second forty-four", "DATE", "October second forty-four"),
        ("nacida el 3 de mayo de 1987", "DATE", "3 de mayo de 1987"),
        ("dob 12041968 /", "DATE", "12041968"),
        ("she is 92 years old", "AGE", "92"),
        ("a ninety-one year old man", "AGE", "ninety-one"),
        ("aged 104, alone", "AGE", "104"),
        ("I live at 14 Birch St, Concord, NH 03301", "ADDRESS", "14 Birch St, Concord, NH 03301"),
        ("P.O. Box 118 is mine", "ADDRESS", "P.O. Box 118"),
        ("zip code 74104", "ADDRESS", "74104"),
        ("we have cigna now", "ORG", "cigna"),
        ("in Reading, RG1 4PS", "ADDRESS", "RG1 4PS"),
    ],
)
def test_a_formed_identifier_is_certain(text: str, kind: str, value: str) -> None:
    hits = found(text, certain=True)

    assert (kind, value) in hits


@pytest.mark.parametrize(
    "text",
    [
        "BP 162/108, pulse 72, oxygen 95, temp 101.4",
        "took 5/325 twice, then 2.5 mg",
        "pain is 6/10 in my knee",
        "I am 47 and my son is 9",
        "sugars 118 124 109 131 120 115",
        "2400000 units of penicillin",
        "since March 2024, in May and June",
        "10/20 128/74 and 10/22 133/70",
        "see you Monday at 9:30",
        "card 4111 1111 1111 1112 has a wrong checksum",
    ],
)
def test_clinical_numbers_are_never_certain(text: str) -> None:
    assert found(text, certain=True) == set()


def test_a_date_without_year_waits_for_the_model() -> None:
    text = "I was there on 3/6 and pain was 3/6"

    assert ("DATE", "3/6") in found(text)
    assert ("DATE", "3/6") not in found(text, certain=True)


def patterns() -> list[tuple[str, re.Pattern[str]]]:
    modules = (contact, dates, numbers, people, places)
    return [
        (f"{module.__name__}.{name}", value)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    ]


@pytest.mark.parametrize(("name", "pattern"), patterns())
def test_every_repeat_is_bounded_so_that_hostile_text_costs_its_length(
    name: str, pattern: re.Pattern[str]
) -> None:
    def longest(parsed: object) -> int:
        found = 0
        for operation, argument in parsed:  # type: ignore[attr-defined]
            if operation in (parser.MAX_REPEAT, parser.MIN_REPEAT, parser.POSSESSIVE_REPEAT):
                found = max(found, int(argument[1]), longest(argument[2]))
            elif isinstance(argument, tuple | list):
                for part in argument:
                    if isinstance(part, parser.SubPattern):
                        found = max(found, longest(part))
                    elif isinstance(part, list):
                        inner = (one for one in part if isinstance(one, parser.SubPattern))
                        found = max([found, *map(longest, inner)])
        return found

    assert longest(parser.parse(pattern.pattern, pattern.flags)) <= 300, name
