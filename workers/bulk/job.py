"""What is to be done: a file, cut into parts that any process of any engine can do by itself.

Both classes are plain values: they go to other processes and machines as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PEOPLE: Final = "people"
LLM: Final = "llm"
BATCH_FILES: Final = "batch-files"
#: Who gets what the small model is not sure of.
AMBIGUOUS: Final = (PEOPLE, LLM, BATCH_FILES)
OUTPUT_FORMATS: Final = ("jsonl", "csv", "parquet")


@dataclass(frozen=True, kw_only=True)
class Models:
    """Which models and rules to load, and which ones they must turn out to be."""

    bundle: str | None = None  # folders and files; None: what ships
    deid_bundle: str | None = None
    taxonomy: str | None = None
    red_flags: str | None = None
    masks: bool = False  # de-identification is needed
    max_text_chars: int = 20_000
    fingerprint: str | None = None  # of what the first process loaded; None: not known yet


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: from `source` to `output`."""

    source: str  # path or address
    output: str  # folder, path or address
    kind: str  # jsonl, csv, text or parquet
    field: str  # key or column with the text
    id_field: str
    header: tuple[str, ...] = ()  # a CSV's first lines, up to the end of its header
    ambiguous: str = PEOPLE
    format: str = "jsonl"  # of the labels
    with_text: bool = False
    models: Models = Models()


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Some rows in a line: bytes from `start` to `end`; rows of the table, where it is Parquet."""

    number: int
    start: int
    end: int
    line: int  # lines before it
    rows: int  # about; damaged files can make it a few less

    @property
    def name(self) -> str:
        """Part of its files' names; sorts by number."""
        return f"part-{self.number:06d}"
