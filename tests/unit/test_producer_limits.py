"""The time that a body may take."""

from __future__ import annotations

import socket

from producer.limits import deadline


def test_a_body_that_does_not_come_in_time_ends_the_reading() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"{")  # and nothing more, with the connection left open
        with deadline(ours, 0.05) as late:
            assert ours.recv(10) == b"{"
            assert ours.recv(10) == b"", "would wait for ever"

    assert late.is_set()


def test_a_body_in_time_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadline(ours, 60) as late:
            theirs.sendall(b"{}")
            assert ours.recv(10) == b"{}"
        theirs.sendall(b"x")
        assert ours.recv(10) == b"x"

    assert not late.is_set()
