"""The two marked formats of `carelane deid eval`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import InvalidInput
from workers.deid.evaluation import IGNORED
from workers.deid.marks import Mark, parse
from workers.message_files import BadRow, read_rows

# Presidio's entities in the types that both know. TITLE and NRP (nationalities, religions,
# politics) are none of ours, and ages are ours only from ninety on: masked or not, they do not
# count.
PRESIDIO_TYPES = {
    "PERSON": "NAME",
    "STREET_ADDRESS": "ADDRESS",
    "GPE": "ADDRESS",
    "ZIP_CODE": "ADDRESS",
    "ORGANIZATION": "ORG",
    "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "ID",
    "IBAN_CODE": "ID",
    "US_SSN": "ID",
    "US_DRIVER_LICENSE": "ID",
    "IP_ADDRESS": "ID",
    "DOMAIN_NAME": "ID",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """One message with what is to be found in it."""

    id: str
    text: str
    marks: tuple[Mark, ...]


def read_marked(path: Path) -> list[Marked]:
    """The corpus's JSONL with inline marks, or presidio-research's JSON. Raises InvalidInput."""
    raw = path.read_text(encoding="utf-8")
    if raw.lstrip().startswith("["):
        return _presidio(raw, path)
    found = []
    for row in read_rows(raw.splitlines(), "jsonl", "text"):
        if isinstance(row, BadRow):
            raise InvalidInput(f"{path}, line {row.line}: {row.problem}.")
        text, marks = parse(row.text)
        found.append(Marked(id=str(row.id), text=text, marks=marks))
    return found


def _presidio(raw: str, path: Path) -> list[Marked]:
    try:
        content: list[dict[str, Any]] = json.loads(raw)
        return [
            Marked(
                id=str(number),
                text=row["full_text"],
                marks=tuple(
                    Mark(
                        start=span["start_position"],
                        end=span["end_position"],
                        type=PRESIDIO_TYPES.get(span["entity_type"], IGNORED),
                    )
                    for span in sorted(row["spans"], key=lambda span: span["start_position"])
                ),
            )
            for number, row in enumerate(content, 1)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path} is neither JSONL with [[TYPE|text]] marks nor presidio-research's JSON "
            f"({type(error).__name__}: {error})."
        ) from error
