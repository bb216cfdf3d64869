"""The labels' files: JSON lines, CSV or Parquet, written row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workers.bulk.record import Record

Write = Callable[[Record], None]


@contextmanager
def open_table(path: Path, kind: str, *, with_text: bool) -> Iterator[Write]:
    """A file for records at `path`; complete when the context ends without an error."""
    if kind == "parquet":
        from workers.bulk.parquet import open_parquet

        with open_parquet(path, with_text=with_text) as write_parquet:
            yield write_parquet
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind == "jsonl":
            yield lambda record: _write_line(file.write, record)
            return
        names = [name for name in Record.__dataclass_fields__ if with_text or name != "text"]
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        yield lambda record: _write_row(table, record)


def _write_line(write: Callable[[str], object], record: Record) -> None:
    write(json.dumps(record.as_dict(), ensure_ascii=False) + "\n")


def _write_row(table: csv.DictWriter[str], record: Record) -> None:
    table.writerow(flat(record))


def flat(record: Record) -> dict[str, Any]:
    """A record in columns: lists joined by blanks, red flags as their rules."""
    row = record.as_dict()
    row["categories"] = " ".join(record.categories)
    row["reasons"] = " ".join(record.reasons)
    row["red_flags"] = " ".join(each["rule"] for each in record.red_flags)
    return row
