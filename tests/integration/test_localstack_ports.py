"""Ports: taken ones are named, with the setting that moves us."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from localstack.settings import LocalSettings
from localstack.stack import PortTaken, free_port, ports, refuse_taken_ports

pytestmark = pytest.mark.integration


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_taken_port_is_named_with_its_setting_and_a_free_one(taken: int) -> None:
    wanted = {"CARELANE_PORT_INTAKE": free_port(), "CARELANE_PORT_DASHBOARD": taken}

    with pytest.raises(PortTaken, match=rf"port {taken} .* CARELANE_PORT_DASHBOARD=\d+ make run"):
        refuse_taken_ports(wanted)


def test_two_settings_with_one_port_are_refused() -> None:
    with pytest.raises(PortTaken, match="CARELANE_PORT_INTAKE and CARELANE_PORT_DASHBOARD"):
        refuse_taken_ports(dict.fromkeys(["CARELANE_PORT_INTAKE", "CARELANE_PORT_DASHBOARD"], 8000))


def test_a_port_just_left_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()

    refuse_taken_ports({"CARELANE_PORT_INTAKE": port})


def test_only_what_runs_here_needs_a_port() -> None:
    settings = LocalSettings()

    assert len(ports(settings, sqs=True, llm=True)) == 4
    assert set(ports(settings, sqs=False, llm=False)) == {
        "CARELANE_PORT_INTAKE",
        "CARELANE_PORT_DASHBOARD",
    }
