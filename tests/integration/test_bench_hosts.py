"""The wire between hosts of bench/hosts: what it carries, and what it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.hosts.wire import Hosts, Quality
from bench.waiting import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        os.geteuid() != 0 or not Path("/dev/net/tun").exists() or shutil.which("ip") is None,
        reason="network namespaces need root, /dev/net/tun and iproute2",
    ),
]
_LISTEN = (
    "import socket, sys; s = socket.create_server((sys.argv[1], 7000)); print('up', flush=True)\n"
    "while True: c, _ = s.accept(); c.sendall(b'hello'); c.close()"
)
_ASK = (
    "import socket, sys; s = socket.create_connection((sys.argv[1], 7000), timeout=2); "
    "print(s.recv(5).decode())"
)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    try:
        with Hosts(["here", "there"], Quality(delay_ms=1, loss=0.0)) as joined:
            yield joined
    except RuntimeError as error:
        pytest.skip(f"no namespaces here: {error}")


def test_a_host_is_reached_until_it_is_cut_off_and_again_when_it_is_back(hosts: Hosts) -> None:
    listen = [*hosts.inside("there"), sys.executable, "-c", _LISTEN, hosts.address("there")]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()

            assert _answers(hosts)
            hosts.cut("there")
            wait_until(lambda: not _answers(hosts), 20, "the cut")
            hosts.join("there")
            wait_until(lambda: _answers(hosts), 20, "the host to be back")
        finally:
            server.kill()


def _answers(hosts: Hosts) -> bool:
    ask = [*hosts.inside("here"), sys.executable, "-c", _ASK, hosts.address("there")]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "hello"
