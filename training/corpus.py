"""Labelled messages: reading, checking, and the spans that mark identifiers.

Identifiers stand inline in the text as ``[[TYPE|surface text]]``; the plain text is what a
model sees, the spans are what de-identification learns from. `note` gives labels away and is
never read into an example.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shared.contracts import Urgency
from shared.errors import InvalidInput
from shared.taxonomy import Taxonomy

DATA: Final = Path(__file__).parent / "data"
#: The corpus that ships, by split. Test is for reports only.
SPLITS: Final = {name: DATA / f"{name}.jsonl" for name in ("train", "dev", "test")}
#: More messages of further lots, for training only.
WRITTEN: Final = DATA / "written.jsonl"
#: An eighth of the messages of the latest of these lots, held back: 750 validation messages do not
#: prove a low risk. For temperatures and thresholds only, beside dev.
CALIBRATION: Final = DATA / "calibration.jsonl"

_MARK: Final = re.compile(r"\[\[([A-Z]+)\|(.*?)\]\]", re.DOTALL)
_MOST_CATEGORIES: Final = 3


@dataclass(frozen=True)
class Identifier:
    """Where an identifier stands in the plain text."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled message."""

    id: str
    text: str  # plain, marks stripped
    categories: tuple[str, ...]  # primary first
    urgency: Urgency
    sender: str = "patient"
    identifiers: tuple[Identifier, ...] = ()

    @property
    def lot(self) -> str:
        """The writer's lot: what stands before the last dash of the id."""
        return self.id.rpartition("-")[0] or self.id[:1]

    @property
    def primary(self) -> str:
        """What the care team has to act on first."""
        return self.categories[0]


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A row that could not be read, by line, and why."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


def strip_marks(marked: str) -> tuple[str, tuple[Identifier, ...]]:
    """Plain text and the identifiers' places in it."""
    parts: list[str] = []
    found: list[Identifier] = []
    length = last = 0
    for match in _MARK.finditer(marked):
        parts += (marked[last : match.start()], match[2])
        start = length + match.start() - last
        length = start + len(match[2])
        found.append(Identifier(start, length, match[1]))
        last = match.end()
    parts.append(marked[last:])
    return "".join(parts), tuple(found)


def read(
    paths: Iterable[Path], taxonomy: Taxonomy, *, labelled: bool = True
) -> tuple[list[Example], list[BadRow]]:
    """Examples and bad rows of JSONL or CSV files; good rows go through whatever the bad do."""
    examples: list[Example] = []
    bad: list[BadRow] = []
    for path in paths:
        for line, row in _rows(path):
            try:
                if isinstance(row, str):
                    raise ValueError(row)
                examples.append(parse(row, taxonomy, labelled=labelled))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
                bad.append(BadRow(path=str(path), line=line, reason=reason))
    return examples, bad


def read_clean(path: Path, taxonomy: Taxonomy) -> list[Example]:
    """Examples of a file that must have no bad row; InvalidInput names the first ones."""
    examples, bad = read([path], taxonomy)
    if bad:
        first = "\n  ".join(str(row) for row in bad[:5])
        raise InvalidInput(
            f"{len(bad)} bad rows in {path}; mend them, or drop them with `carelane model "
            f"prepare --write`:\n  {first}"
        )
    return examples


def parse(row: Mapping[str, Any], taxonomy: Taxonomy, *, labelled: bool = True) -> Example:
    """One row as an example; ValueError says what is wrong with it."""
    text, identifiers = strip_marks(_text(row, "text"))
    if not text.strip():
        raise ValueError("the text is empty")
    example = Example(
        id=str(_text(row, "id")),
        text=text,
        categories=(),
        urgency=Urgency.ROUTINE,
        sender=str(row.get("sender") or "patient"),
        identifiers=identifiers,
    )
    if not labelled:
        return example
    return replace(
        example, categories=_categories(row["categories"], taxonomy), urgency=_urgency(row)
    )


def _text(row: Mapping[str, Any], field: str) -> str:
    value = row[field]
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"{field} is not a text")
    return str(value)


def _categories(value: Any, taxonomy: Taxonomy) -> tuple[str, ...]:
    names = re.split(r"[,;|\s]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names or len(names) > _MOST_CATEGORIES:
        raise ValueError(f"categories must be 1 to {_MOST_CATEGORIES} names, not {value!r}")
    unknown = [name for name in names if name not in taxonomy.category_names]
    if unknown:
        raise ValueError(
            f"category {unknown[0]!r} is not in the taxonomy ({', '.join(taxonomy.category_names)})"
        )
    if len(set(names)) != len(names):
        raise ValueError(f"a category stands twice in {list(names)}")
    return tuple(names)


def _urgency(row: Mapping[str, Any]) -> Urgency:
    try:
        return Urgency(row["urgency"])
    except ValueError:
        raise ValueError(f"urgency {row['urgency']!r} is none of {', '.join(Urgency)}") from None


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Line numbers with rows; a string in place of a row says why it could not be read."""
    try:
        data = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8 and try again"
        ) from error
    if path.suffix == ".csv":
        reader = csv.DictReader(data.splitlines(keepends=True))
        for row in reader:
            yield reader.line_num, row
        return
    # Not splitlines(): a message may hold U+2028 and its kind, which end no JSONL row.
    for number, line in enumerate(data.split("\n"), 1):
        if line.strip():
            yield number, _json_row(line)


def _json_row(line: str) -> Mapping[str, Any] | str:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at column {error.colno}"
    return row if isinstance(row, dict) else "not a JSON object"


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as bundles store it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_marks(example: Example) -> str:
    """The text with its identifiers marked again."""
    parts: list[str] = []
    last = 0
    for spot in example.identifiers:
        surface = example.text[spot.start : spot.end]
        parts += (example.text[last : spot.start], f"[[{spot.type}|{surface}]]")
        last = spot.end
    return "".join([*parts, example.text[last:]])


def write(path: Path, examples: Iterable[Example]) -> None:
    """Examples as JSONL, in the form in which they are read."""
    with path.open("w", encoding="utf-8") as out:
        for e in examples:
            row = {
                "id": e.id,
                "text": with_marks(e),
                "categories": list(e.categories),
                "urgency": str(e.urgency),
                "sender": e.sender,
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
