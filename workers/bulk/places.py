"""Where files lie: a local folder, or an object store through pyarrow's and fsspec's filesystems.

A file appears whole or not at all. On a disk it is written beside its place, flushed and renamed;
an object store shows an object only when its upload is complete; elsewhere (HDFS, SFTP) it is
written beside its place and moved.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from shared.errors import InvalidInput

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

T = TypeVar("T")
NEEDS_EXTRA = (
    "{what} needs pyarrow, which the runtime environment leaves out: `pip install "
    "'carelane[bulk]'`, or run it from `make bulk-env` (.venvs/bulk/bin/carelane)."
)
_COPY_BYTES = 1 << 20
#: Where an upload that was cut off leaves nothing, by pyarrow's and fsspec's names.
_OBJECT_STORES = frozenset("s3 s3a gcs gs abfs abfss az adl oci oss obs cos tos memory".split())


class Folder(Protocol):
    """The output folder."""

    def names(self, under: str) -> list[str]:
        """The files in a subfolder, sorted; none where it is not there."""
        ...

    def read(self, name: str) -> bytes | None:
        """A file's content; None where it is not there."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole or not at all."""
        ...

    def put(self, name: str, source: Path) -> None:
        """Move a local file there, whole or not at all."""
        ...

    def append(self, name: str, lines: list[str]) -> None:
        """Add lines to a journal."""
        ...

    def journal(self, name: str) -> Iterator[str]:
        """The lines of a journal; one that was cut off while written is left out."""
        ...

    def remove(self, name: str) -> None:
        """Take a file or a journal away, if it is there."""
        ...

    def scratch(self) -> Path:
        """An own local folder for files that are being made; remove it after use."""
        ...


class LocalFolder:
    """A folder of this machine, or of a disk that several share."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self, under: str) -> list[str]:
        folder = self._path / under
        if not folder.is_dir():
            return []
        return sorted(f"{under}/{each.name}" for each in folder.iterdir() if each.is_file())

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        scratch = self.scratch()
        try:
            source = scratch / "file"
            source.write_bytes(content)
            self.put(name, source)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def put(self, name: str, source: Path) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.replace(target)

    def append(self, name: str, lines: list[str]) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = "".join(line + "\n" for line in lines).encode()
        with target.open("ab+") as file:
            # A line that a kill cut off must not swallow the next one.
            if file.tell() and _last_byte(file) != b"\n":
                content = b"\n" + content
            file.write(content)

    def journal(self, name: str) -> Iterator[str]:
        with suppress(FileNotFoundError), (self._path / name).open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line.decode()

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def scratch(self) -> Path:
        parent = self._path / ".tmp"
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder: a second run in it is refused. The lock ends with the process."""
        _translated(str(self._path), lambda: self._path.mkdir(parents=True, exist_ok=True))
        with (self._path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InvalidInput(
                    f"{self._path} is being written by another `carelane bulk`. Wait for it, or "
                    "choose another folder."
                ) from None
            # What a killed run was making.
            shutil.rmtree(self._path / ".tmp", ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(self._path / ".tmp", ignore_errors=True)


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


class RemoteFolder:
    """A folder of an object store, or of another filesystem that pyarrow or fsspec opens."""

    def __init__(self, filesystem: FileSystem, path: str) -> None:
        self._fs = filesystem
        self._path = path.rstrip("/")
        self._pieces: dict[str, int] = {}  # of journals
        self._moves = not _is_object_store(filesystem)

    def names(self, under: str) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        found = self._fs.get_file_info(
            FileSelector(f"{self._path}/{under}", allow_not_found=True, recursive=False)
        )
        return sorted(f"{under}/{each.base_name}" for each in found if each.type is FileType.File)

    def read(self, name: str) -> bytes | None:
        try:
            with self._fs.open_input_stream(f"{self._path}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        self._upload(name, io.BytesIO(content))

    def put(self, name: str, source: Path) -> None:
        with source.open("rb") as file:
            self._upload(name, file)
        source.unlink()

    def _upload(self, name: str, content: BinaryIO) -> None:
        target = f"{self._path}/{name}"
        self._fs.create_dir(target.rpartition("/")[0], recursive=True)
        if not self._moves:
            self._copy(content, target)
            return
        beside = f"{self._path}/.tmp/{uuid4().hex}"
        self._fs.create_dir(f"{self._path}/.tmp", recursive=True)
        try:
            self._copy(content, beside)
            self._move(beside, target)
        except BaseException:
            with suppress(OSError):
                self._fs.delete_file(beside)
            raise

    def _copy(self, content: BinaryIO, target: str) -> None:
        with self._fs.open_output_stream(target) as stream:
            while block := content.read(_COPY_BYTES):
                stream.write(block)

    def _move(self, source: str, target: str) -> None:
        try:
            self._fs.move(source, target)
        except OSError:
            # HDFS does not rename onto a file. The questions and the plan outlive a kill here.
            self._fs.delete_file(target)
            self._fs.move(source, target)

    def append(self, name: str, lines: list[str]) -> None:
        # Objects cannot grow: a journal is a folder of pieces there.
        count = self._pieces.get(name)
        count = len(self.names(name)) if count is None else count
        self._pieces[name] = count + 1
        self.write(f"{name}/{count:08d}", "".join(line + "\n" for line in lines).encode())

    def journal(self, name: str) -> Iterator[str]:
        for piece in self.names(name):
            yield from (self.read(piece) or b"").decode().splitlines(keepends=True)

    def remove(self, name: str) -> None:
        for each in [name, *self.names(name)]:
            with suppress(FileNotFoundError):
                self._fs.delete_file(f"{self._path}/{each}")

    def scratch(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="carelane-bulk-"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing to hold: two runs at once do the same parts twice, with the same result."""
        yield


def local_path(address: str) -> Path | None:
    """The path that it is or that its file:// names; None for other addresses."""
    if "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" and not parts.netloc else None


def open_folder(address: str) -> LocalFolder | RemoteFolder:
    """The output folder at a path or address."""
    path = local_path(address)
    if path is not None:
        return LocalFolder(path)
    return RemoteFolder(*_filesystem(address))


def open_input(address: str) -> BinaryIO:
    """The input at a path or address, open for reading anywhere in it. Raises InvalidInput."""

    def opened() -> BinaryIO:
        path = local_path(address)
        if path is not None:
            return path.open("rb")
        filesystem, name = _filesystem(address)
        return io.BufferedReader(filesystem.open_input_file(name), _COPY_BYTES)

    return _translated(address, opened)


def _filesystem(address: str) -> tuple[FileSystem, str]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem
    except ModuleNotFoundError:
        raise InvalidInput(NEEDS_EXTRA.format(what=f"An object store ({address})")) from None
    try:
        found: tuple[FileSystem, str] = FileSystem.from_uri(address)
        return found
    except ArrowInvalid:
        pass  # none of pyarrow's own
    try:
        from fsspec.core import url_to_fs

        other, path = url_to_fs(address, skip_instance_cache=True)
        # Executors write what this process lists. Not as use_listings_cache=False above: SFTP's
        # filesystem hands what it does not know on to its connection, which refuses it.
        other.dircache.use_listings_cache = False
        other.invalidate_cache()
    except (ImportError, ValueError) as error:
        raise InvalidInput(f"{address}: neither pyarrow nor fsspec opens this ({error}).") from None
    return PyFileSystem(FSSpecHandler(other)), path


def _is_object_store(filesystem: FileSystem) -> bool:
    handler = getattr(filesystem, "handler", None)
    kinds = filesystem.type_name if handler is None else handler.fs.protocol
    return not _OBJECT_STORES.isdisjoint({kinds} if isinstance(kinds, str) else kinds)


def _translated(address: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise InvalidInput(f"{address} cannot be opened: {reason}.") from error
