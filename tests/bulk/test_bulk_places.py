"""Parquet's ids, and folders behind pyarrow's and fsspec's filesystems; see test_bulk_engines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="belongs to the bulk environment: make test-bulk")

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from workers.bulk.job import Job
from workers.bulk.parquet import plan_parts, read_range
from workers.bulk.places import open_folder
from workers.message_files import BadRow, Row


def rows_with(tmp_path: Path, ids: pa.Array) -> list[Row | BadRow]:
    source = str(tmp_path / "in.parquet")
    pq.write_table(pa.table({"id": ids, "text": ["hello"] * len(ids)}), source)
    job = Job(source=source, output="", kind="parquet", field="text", id_field="id")
    return [row for part in plan_parts(source, "text", 2) for row in read_range(job, part)]


def test_ids_that_pandas_made_floats_stay_whole_numbers(tmp_path: Path) -> None:
    found = rows_with(tmp_path, pa.array([1001.0, None, 1003.0, 2.5]))

    assert [row.id for row in found if isinstance(row, Row)] == [1001, 2, 1003]
    assert found[3] == BadRow(line=4, problem="the id is neither text nor a whole number (float)")


@pytest.mark.parametrize(
    ("ids", "kind"), [(pa.array([True, False]), "bool"), (pa.array([b"a", b"b"]), "bytes")]
)
def test_ids_of_another_kind_are_bad_rows_by_line(tmp_path: Path, ids: pa.Array, kind: str) -> None:
    problem = f"the id is neither text nor a whole number ({kind})"

    assert rows_with(tmp_path, ids) == [BadRow(line=n, problem=problem) for n in (1, 2)]


class _CutOff(io.BytesIO):
    """Content whose reading breaks down in the middle."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("the connection is gone")
        return super().read(4 if size is None or size < 0 else min(size, 4))


def test_where_no_object_store_is_a_file_is_written_beside_its_place(tmp_path: Path) -> None:
    folder: Any = open_folder(f"local://{tmp_path}/out")
    folder.write("done/a.json", b"first")

    with pytest.raises(OSError, match="connection is gone"):
        folder._upload("done/a.json", _CutOff(b"second"))  # noqa: SLF001

    assert folder.names("done") == ["done/a.json"]
    assert folder.read("done/a.json") == b"first"
    folder.write("done/a.json", b"second")
    assert folder.read("done/a.json") == b"second"
    assert not list((tmp_path / "out" / ".tmp").iterdir())


class _Listing(MemoryFileSystem):
    """Keeps its listings, as fsspec's object stores do."""

    protocol = "listing"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("listing://")))

    find = AbstractFileSystem.find  # by listings

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        path = self._strip_protocol(path)
        found = self.dircache[path] if path in self.dircache else super().ls(path, **options)
        self.dircache[path] = found
        return found if detail else [each["name"] for each in found]


def test_what_another_process_wrote_is_listed() -> None:
    fsspec.register_implementation("listing", _Listing, clobber=True)
    folder = open_folder("listing://out")
    other = MemoryFileSystem()
    other.pipe_file("/out/done/a", b"1")
    assert folder.names("done") == ["done/a"]

    other.pipe_file("/out/done/b", b"1")

    assert folder.names("done") == ["done/a", "done/b"]
