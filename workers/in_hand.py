"""Which message a process is at this very moment, noted where its death does not reach.

An attempt is counted when a message is claimed, because a message that kills its process leaves
nobody to count afterwards. But most claims that end unsettled end by no fault of the message's: a
neighbour in the chunk killed the process, an operator did, the database went away. So a process
notes each message before a model or a masker touches it or the LLM is asked about it, and takes the
note back afterwards.
Whoever takes over looks whether the note names the message; if not, the earlier claim was no
attempt.

The notes are a few bytes of a file that is mapped into memory: writing one costs a microsecond, and
the kernel keeps it when the process is killed. They are read on the same machine only; elsewhere
every claim counts, as it must where nothing can be known. They hold ids, never text.
"""

from __future__ import annotations

import logging
import mmap
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from workers.lease import ProcessName, is_dead

logger = logging.getLogger(__name__)

_SLOT_BYTES: Final = 16
_EMPTY: Final = bytes(_SLOT_BYTES)
#: One for each thread that is at a message; no worker has as many.
_SLOTS: Final = 4096
_SIZE_BYTES: Final = _SLOTS * _SLOT_BYTES
#: After its death; by then, what it held has long been taken over or given up.
_FORGET_AFTER_S: Final = 86_400.0


class Notes:
    """One process's notes; made after the fork, shared by its threads."""

    def __init__(self, process: ProcessName, folder: Path | None = None) -> None:
        try:
            self._map = _kept(process, folder or default_folder())
        except OSError as error:  # e.g. a file system that is full or read-only
            logger.warning("notes cannot be kept; each claim counts", extra={"why": repr(error)})
            self._map = mmap.mmap(-1, _SIZE_BYTES)
        self._free = list(range(_SLOTS))
        self._lock = threading.Lock()

    @contextmanager
    def at(self, id_: UUID) -> Iterator[None]:
        """Note that this thread is at the message `id_` for the block."""
        with self._lock:
            slot = self._free.pop() * _SLOT_BYTES
        self._map[slot : slot + _SLOT_BYTES] = id_.bytes
        try:
            yield
        finally:
            self._map[slot : slot + _SLOT_BYTES] = _EMPTY
            with self._lock:
                self._free.append(slot // _SLOT_BYTES)


def _kept(process: ProcessName, folder: Path) -> mmap.mmap:
    folder.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(folder):
        raise PermissionError(f"{folder} belongs to another user; remove it")
    _forget_the_dead(folder, process)
    path = folder / _file_name(process.host, process.namespace, process.pid, process.start)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        # With its blocks: where there is no room for them, writing to the map would kill us.
        os.posix_fallocate(descriptor, 0, _SIZE_BYTES)
        return mmap.mmap(descriptor, _SIZE_BYTES)
    finally:
        os.close(descriptor)


def _is_ours(folder: Path) -> bool:
    """Anybody may make folders under /tmp; only our own user's is believed and written to."""
    return folder.lstat().st_uid == os.getuid()


def noted(owner: str, here: ProcessName, folder: Path | None = None) -> frozenset[UUID] | None:
    """What the process that made the claim `owner` is at, or was when it died; None: unknown."""
    parts = owner.split("/")
    if len(parts) != 5 or parts[:2] != [here.host, here.namespace] or not parts[2].isdecimal():
        return None
    folder = folder or default_folder()
    try:
        if not _is_ours(folder):
            return None
        found = (folder / _file_name(parts[0], parts[1], int(parts[2]), parts[3])).read_bytes()
    except OSError:
        return None
    if len(found) != _SIZE_BYTES:  # there was no room: that process's notes are kept nowhere
        return None
    slots = (found[i : i + _SLOT_BYTES] for i in range(0, len(found), _SLOT_BYTES))
    return frozenset(UUID(bytes=slot) for slot in slots if slot != _EMPTY)


def default_folder() -> Path:
    """The same for all workers of one user on one machine."""
    return Path(tempfile.gettempdir()) / f"carelane-{os.getuid()}-in-hand"


def _file_name(host: str, namespace: str, pid: int, start: str) -> str:
    return f"{host}-{namespace}-{pid}-{start}"


def _forget_the_dead(folder: Path, here: ProcessName) -> None:
    """Remove notes a day after their process was first seen dead; read-only says that it was."""
    for path in folder.iterdir():
        owner = "/".join([*path.name.rsplit("-", 3), "claim"])
        if not is_dead(owner, here):
            continue
        with suppress(OSError):  # another worker may be quicker
            found = path.stat()
            if found.st_mode & stat.S_IWUSR:
                path.chmod(stat.S_IRUSR)
                os.utime(path)
            elif time.time() - found.st_mtime > _FORGET_AFTER_S:
                path.unlink()
