"""Parquet in and out. Needs pyarrow, so nothing imports this module unless Parquet is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from shared.errors import InvalidInput
from workers.bulk.job import Job, Part
from workers.bulk.places import NEEDS_EXTRA, open_input
from workers.bulk.record import Record
from workers.message_files import BadRow, Row, row_of

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError:
    raise InvalidInput(NEEDS_EXTRA.format(what="Parquet")) from None

_TEXTS: Final = pa.list_(pa.string())
_FLAG: Final = pa.struct(
    [
        ("rule", pa.string()),
        ("title", pa.string()),
        ("urgency", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
    ]
)
_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("status", pa.string()),
        ("categories", _TEXTS),
        ("urgency", pa.string()),
        ("tier", pa.string()),
        ("provisional", pa.bool_()),
        ("category_confidence", pa.float64()),
        ("urgency_confidence", pa.float64()),
        ("reasons", _TEXTS),
        ("status_reason", pa.string()),
        ("red_flags", pa.list_(_FLAG)),
        ("language", pa.string()),
        ("model_version", pa.string()),
        ("prompt_version", pa.string()),
        ("taxonomy_version", pa.string()),
        ("cost_usd", pa.string()),
    ]
)
_ROWS_AT_ONCE: Final = 256


@contextmanager
def open_parquet(path: Path, *, with_text: bool) -> Iterator[Callable[[Record], None]]:
    """A Parquet file for records; complete when the context ends without an error."""
    schema = _SCHEMA.append(pa.field("text", pa.string())) if with_text else _SCHEMA
    held: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            if held:
                writer.write_batch(pa.RecordBatch.from_pylist(held, schema=schema))
                held.clear()

        def write(record: Record) -> None:
            row = record.as_dict()
            held.append({**row, "id": None if row["id"] is None else str(row["id"])})
            if len(held) >= _ROWS_AT_ONCE:
                flush()

        yield write
        flush()


def plan_parts(source: str, field: str, rows_per_part: int) -> Iterator[Part]:
    """Parts within row groups; raises InvalidInput where the text's column is missing."""
    file = _opened(source)
    names = file.schema_arrow.names
    if field not in names:
        raise InvalidInput(
            f'{source} has no column "{field}" (it has: {", ".join(names)}); name the one with '
            "the messages by --field."
        )
    first = number = 0
    for group in range(file.metadata.num_row_groups):
        end = first + file.metadata.row_group(group).num_rows
        while first < end:
            rows = min(rows_per_part, end - first)
            yield Part(number=number, start=first, end=first + rows, line=first, rows=rows)
            first += rows
            number += 1


def read_range(job: Job, part: Part) -> Iterator[Row | BadRow]:
    """The part's rows; a "line" is a row here, counted from 1."""
    file = _opened(job.source)
    with_id = job.id_field in file.schema_arrow.names
    columns = [job.field, job.id_field] if with_id and job.id_field != job.field else [job.field]
    group, before = _group_of(file, part.start)
    batches = file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=columns)
    number = before
    for batch in batches:
        if number >= part.end:
            return
        if number + batch.num_rows > part.start:
            first = max(part.start - number, 0)
            kept = batch.slice(first, part.end - number - first)
            yield from _rows(kept, job, number + first, with_id=with_id)
        number += batch.num_rows


def _rows(batch: Any, job: Job, before: int, *, with_id: bool) -> Iterator[Row | BadRow]:
    texts = batch.column(job.field)
    ids = batch.column(job.id_field) if with_id else None
    for place in range(batch.num_rows):
        line = before + place + 1
        try:
            text = texts[place].as_py()
        except UnicodeDecodeError:
            yield BadRow(line=line, problem="the text is not UTF-8")
            continue
        if not isinstance(text, str):
            yield BadRow(line=line, problem=f'no text in column "{job.field}"')
            continue
        try:
            own = ids[place].as_py() if ids is not None else None
        except UnicodeDecodeError:
            yield BadRow(line=line, problem="the id is not UTF-8")
            continue
        yield row_of(line, own, text)


def _group_of(file: Any, row: int) -> tuple[int, int]:
    """The row group that holds a row, and the rows before that group."""
    before = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < before + rows:
            return group, before
        before += rows
    raise InvalidInput("the Parquet file is shorter than it was; it was changed during the run.")


def _opened(source: str) -> Any:
    try:
        return pq.ParquetFile(open_input(source))
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"{source} is no Parquet file: {error}.") from error
