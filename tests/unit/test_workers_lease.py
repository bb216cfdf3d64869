"""Leases name their process well enough to see that it is dead."""

from __future__ import annotations

import os
import subprocess
import sys

from workers.lease import ProcessName, is_dead

HERE = ProcessName.of_pid(os.getpid())


def test_a_living_process_is_not_dead() -> None:
    assert not is_dead(HERE.new_claim(), HERE)


def test_an_ended_process_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = ProcessName.of_pid(process.pid).new_claim()
    assert not is_dead(owner, HERE)

    process.communicate(b"\n")

    assert is_dead(owner, HERE)


def test_a_pid_that_is_used_again_does_not_hide_a_death() -> None:
    earlier = ProcessName(HERE.host, HERE.namespace, HERE.pid, "1")

    assert is_dead(earlier.new_claim(), HERE)


def test_a_process_of_another_host_or_container_is_left_alone() -> None:
    assert not is_dead(f"elsewhere/{HERE.namespace}/1/1/abc", HERE)
    assert not is_dead(f"{HERE.host}/other/1/1/abc", HERE)
    assert not is_dead("somebody", HERE)


def test_every_claim_has_an_owner_of_its_own() -> None:
    assert HERE.new_claim() != HERE.new_claim()
