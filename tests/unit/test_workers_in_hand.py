"""Notes of the message in hand: they outlive their process, and only they make an attempt count."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from workers import in_hand
from workers.in_hand import Notes, noted
from workers.lease import ProcessName

HERE = ProcessName.of_pid(os.getpid())


def test_a_note_stands_while_the_message_is_in_hand(tmp_path: Path) -> None:
    notes, one, other = Notes(HERE, tmp_path), uuid4(), uuid4()

    with notes.at(one), notes.at(other):
        inside = noted(HERE.new_claim(), HERE, tmp_path)

    assert inside == {one, other}
    assert noted(HERE.new_claim(), HERE, tmp_path) == frozenset()


def test_a_note_outlives_its_killed_process(tmp_path: Path) -> None:
    id_ = uuid4()
    code = f"""
import os, signal
from pathlib import Path
from uuid import UUID
from workers.in_hand import Notes
from workers.lease import ProcessName
process = ProcessName.of_pid(os.getpid())
print(process.new_claim(), flush=True)
with Notes(process, Path({str(tmp_path)!r})).at(UUID({str(id_)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == -signal.SIGKILL
    assert noted(done.stdout.strip(), HERE, tmp_path) == {id_}


def test_nothing_is_known_of_a_process_elsewhere_or_without_notes(tmp_path: Path) -> None:
    elsewhere = ProcessName("another-host", HERE.namespace, HERE.pid, HERE.start)
    Notes(HERE, tmp_path)

    assert noted(elsewhere.new_claim(), HERE, tmp_path) is None
    assert noted(ProcessName.of_pid(1).new_claim(), HERE, tmp_path) is None
    assert noted("not a claim", HERE, tmp_path) is None


def test_a_folder_that_cannot_be_written_only_makes_each_claim_count(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notes = Notes(HERE, tmp_path / "file")

    with notes.at(UUID(int=1)):
        assert noted(HERE.new_claim(), HERE, tmp_path / "file") is None


def test_a_full_file_system_only_makes_each_claim_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "as asked")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    notes = Notes(HERE, tmp_path)

    with notes.at(UUID(int=1)):
        assert noted(HERE.new_claim(), HERE, tmp_path) is None


def test_nothing_is_written_to_another_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    notes = Notes(HERE, tmp_path)

    with notes.at(UUID(int=1)):
        assert not list(tmp_path.iterdir())


def test_notes_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    Notes(HERE, tmp_path / "notes")
    [path] = (tmp_path / "notes").iterdir()
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    path.unlink()
    path.symlink_to(theirs)

    Notes(HERE, tmp_path / "notes")

    assert theirs.read_text() == "kept"


def test_notes_of_the_dead_are_kept_for_a_day_after_their_death_was_seen(tmp_path: Path) -> None:
    dead = ProcessName(HERE.host, HERE.namespace, HERE.pid, "1")
    Notes(dead, tmp_path)
    [path] = tmp_path.iterdir()
    os.utime(path, (0, 0))  # written long ago, by a worker that lived long

    Notes(HERE, tmp_path)
    assert path.exists()

    os.utime(path, (0, 0))
    Notes(HERE, tmp_path)
    assert not path.exists()
    assert noted(HERE.new_claim(), HERE, tmp_path) == frozenset()


def test_a_name_of_a_host_may_hold_dashes(tmp_path: Path) -> None:
    dashed = ProcessName("ward-7-b", "1", 42, "9")

    Notes(dashed, tmp_path)

    assert noted(dashed.new_claim(), dashed, tmp_path) == frozenset()
    assert in_hand.default_folder().name.startswith("carelane-")
