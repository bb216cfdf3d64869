"""Carelane on several hosts with a bad network; one is cut off and comes back: see README.md.

sudo .venvs/runtime/bin/python -m bench.hosts cut [--host relay] ...
sudo .venvs/runtime/bin/python -m bench.hosts scale [--hosts 1,2,3,4] ...
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import httpx
from sqlalchemy import Engine, create_engine, text

from bench.ground import Ground, common_ground
from bench.hosts.wire import Hosts, Quality
from bench.processes import Processes
from bench.report import machine
from bench.stack import Stack
from bench.texts import message_texts
from bench.waiting import wait_until
from localstack.stack import free_port
from shared.settings import Settings

_RESULTS: Final = Path(__file__).parent.parent / "results"
#: The database, the queue service and the intake: the others are hosts of their own.
_BASE: Final = "base"
_PATIENCE_S: Final = 300.0
_CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """All hosts, running."""

    hosts: Hosts
    stack: Stack
    engine: Engine
    portal: httpx.Client

    def send(self, texts: list[str], rate_per_s: float | None = None) -> list[str]:
        """Hand messages in, at once or at a rate; the ids that were accepted."""
        rows = [{"external_id": uuid.uuid4().hex, "text": each} for each in texts]
        if rate_per_s is None:
            return self._post(rows)
        started, ids = time.perf_counter(), []
        for place, row in enumerate(rows):
            time.sleep(max(0.0, place / rate_per_s - (time.perf_counter() - started)))
            ids += self._post([row])
        return ids

    def _post(self, rows: list[dict[str, str]]) -> list[str]:
        answer = self.portal.post("/v1/messages", json={"messages": rows})
        answer.raise_for_status()
        return [str(each["id"]) for each in answer.json()["messages"]]

    def count(self, condition: str) -> int:
        """Messages of which this holds."""
        with self.engine.connect() as connection:
            statement = text(f"SELECT count(*) FROM messages m WHERE {condition}")  # noqa: S608
            return int(connection.execute(statement).scalar_one())

    def clear(self) -> None:
        """Forget all messages."""
        with self.engine.begin() as connection:
            connection.execute(text("TRUNCATE messages, llm_calls, label_cache CASCADE"))


@contextmanager
def cluster(fast_hosts: int, quality: Quality) -> Iterator[Cluster]:
    """Hosts, wire, services and processes; this process moves to the base host, for good."""
    fast = [f"fast{number}" for number in range(1, fast_hosts + 1)]
    names = [_BASE, "relay", "llm", "dashboard", *fast]
    with Hosts(names, quality) as hosts:
        _enter(hosts.namespace(_BASE))
        with (
            tempfile.TemporaryDirectory(prefix="carelane-hosts-") as folder,
            common_ground(Path(folder), 1.0) as ground,
        ):
            yield from _running(hosts, ground, names, fast)


def _enter(namespace: str) -> None:
    """Move this process to a namespace; what it starts from now on runs there."""
    with Path(f"/run/netns/{namespace}").open() as place:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(place.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")


def _running(hosts: Hosts, ground: Ground, names: list[str], fast: list[str]) -> Iterator[Cluster]:
    database = ground.database("carelane")
    database_port = free_port()
    settings = Settings(
        database_url=f"postgresql://carelane@127.0.0.1:{database_port}/carelane",
        queue_prefix=f"hosts-{secrets.token_hex(4)}",
        sqs_endpoint_url=ground.sqs_endpoint,
        secret_key=secrets.token_hex(32),
        hmac_key=secrets.token_hex(32),
        openai_api_key="standin",
        openai_base_url=ground.llm_base_url,
        llm_simulated=True,
    )
    stack = Stack(
        settings,
        ground.folder / "logs" / "carelane",
        inside=lambda name: hosts.inside(name) if name in names else (),
    )
    forwarders = Processes(dict(os.environ), ground.folder / "logs")
    engine = create_engine(database)
    try:
        _join_up(hosts, ground, stack, forwarders, database_port)
        stack.prepare()
        stack.start("intake", "sweeper", "relay", "llm", "dashboard")
        for name in fast:
            stack.start_copy("fast", name)
        with httpx.Client(
            base_url=stack.settings.intake_url, headers=stack.headers(), timeout=60
        ) as portal:
            running = Cluster(hosts=hosts, stack=stack, engine=engine, portal=portal)
            _warm_up(running, len(fast))
            yield running
    finally:
        stack.stop()
        forwarders.stop_all()
        engine.dispose()


def _join_up(
    hosts: Hosts, ground: Ground, stack: Stack, forwarders: Processes, database_port: int
) -> None:
    """Forwarders: services to the wire on the base, and to them on every other host."""
    base = hosts.address(_BASE)
    socket = str(ground.postgres.socket_folder() / ".s.PGSQL.5432")
    # Doors of their own: what listens on every address has the same number there already.
    doors = {port: free_port() for port in (ground.sqs_port, ground.llm_port)}
    doors[database_port] = database_port
    dashboard = _port(stack.settings.dashboard_url)
    opened = [
        *(f"{address}:{database_port}={socket}" for address in (base, "127.0.0.1")),
        *(f"{base}:{doors[p]}=127.0.0.1:{p}" for p in (ground.sqs_port, ground.llm_port)),
        f"127.0.0.1:{dashboard}={hosts.address('dashboard')}:{dashboard}",
    ]
    forward = (sys.executable, "-m", "bench.hosts.forward")
    forwarders.start("forward-base", "python", *forward[1:], *opened)
    forwarders.wait_for_log("forward-base", "all forwarded")
    there = [f"127.0.0.1:{port}={base}:{door}" for port, door in doors.items()]
    for name in hosts.names[1:]:
        own = list(there)
        if name == "dashboard":
            own.append(f"{hosts.address(name)}:{dashboard}=127.0.0.1:{dashboard}")
        forwarders.start(f"forward-{name}", *hosts.inside(name), *forward, *own)


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def _warm_up(running: Cluster, processes: int) -> None:
    warm = ["A message that warms the model up."] * 64 * processes
    running.send(warm)
    wait_until(
        lambda: running.count("settled_at IS NOT NULL") >= len(warm), _PATIENCE_S, "first labels"
    )
    running.clear()


def _wire_options(command: Any) -> Any:
    for option in (
        click.option("--delay", default=5.0, show_default=True, help="Each way, in ms."),
        click.option("--loss", default=0.5, show_default=True, help="Frames lost, in percent."),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Several hosts on one machine; needs root, iproute2 and /dev/net/tun."""


@main.command()
@_wire_options
@click.option("--host", "cut_hosts", default="relay,fast1,llm,dashboard", show_default=True)
@click.option("--cut", "cut_s", default=8.0, show_default=True, help="How long, in s.")
@click.option("--rate", default=10.0, show_default=True, help="Messages/s meanwhile.")
@click.option("--fast", default=2, show_default=True, help="Fast worker hosts.")
def cut(delay: float, loss: float, cut_hosts: str, cut_s: float, rate: float, fast: int) -> None:
    """Cut one host after the other off the wire and bring it back, under load; count."""
    texts = message_texts(1)
    rows = []
    with cluster(fast, Quality(delay_ms=delay, loss=loss / 100)) as running:
        for host in cut_hosts.split(","):
            running.clear()
            rows.append(_cut(running, host, list(islice(texts, round(3 * cut_s * rate))), rate))
            click.echo(json.dumps(rows[-1]))
    _write("hosts_cut", {"delay_ms": delay, "loss": loss / 100, "cut_s": cut_s}, rows)
    if any(row["lost"] or row["labelled_twice"] for row in rows):
        sys.exit(1)


def _cut(running: Cluster, host: str, texts: list[str], rate: float) -> dict[str, Any]:
    third = len(texts) // 3
    ids = running.send(texts[:third], rate)
    running.hosts.cut(host)
    ids += running.send(texts[third : 2 * third], rate)
    meanwhile = running.count("settled_at IS NOT NULL")
    running.hosts.join(host)
    joined = time.perf_counter()
    ids += running.send(texts[2 * third :], rate)
    wait_until(
        lambda: running.count("settled_at IS NOT NULL") >= len(ids), _PATIENCE_S, "all settled"
    )
    settled_s = time.perf_counter() - joined
    running.stack.wait_until_up("dashboard")
    twice = "(SELECT count(*) FROM labels l WHERE l.message_id = m.id AND NOT l.provisional) > 1"
    return {
        "host": host,
        "accepted": len(ids),
        "settled_by_the_end_of_the_cut": meanwhile,
        "lost": len(ids) - running.count("settled_at IS NOT NULL"),
        "labelled_twice": running.count(twice),
        "to_people": running.count("status = 'needs_review'"),
        "all_settled_after_rejoining_s": round(settled_s, 1),
    }


@main.command()
@_wire_options
@click.option("--hosts", default="1,2,3,4", show_default=True, help="Numbers of fast hosts.")
@click.option("--messages", default=1000, show_default=True, help="Of each burst.")
def scale(delay: float, loss: float, hosts: str, messages: int) -> None:
    """Labels per second of a burst by the number of fast worker hosts."""
    rows = []
    for count in map(int, hosts.split(",")):
        # A namespace is entered for good, so each number runs in a process of its own.
        child = os.fork()
        if not child:
            os._exit(_burst(count, messages, Quality(delay_ms=delay, loss=loss / 100)))
        _, status = os.waitpid(child, 0)
        if status:
            raise click.ClickException(f"the run with {count} fast hosts failed")
        rows.append(json.loads(_part(count).read_text()))
        _part(count).unlink()
        click.echo(json.dumps(rows[-1]))
    _write("hosts_scale", {"delay_ms": delay, "loss": loss / 100, "messages": messages}, rows)


def _burst(count: int, messages: int, quality: Quality) -> int:
    with cluster(count, quality) as running:
        texts = list(islice(message_texts(1), messages))
        started = time.perf_counter()
        running.send(texts)
        labelled = "current_label_id IS NOT NULL OR provisional_label_id IS NOT NULL"
        wait_until(lambda: running.count(labelled) >= messages, _PATIENCE_S, "all labelled")
        rate = messages / (time.perf_counter() - started)
    _part(count).write_text(json.dumps({"fast_hosts": count, "labelled_per_s": round(rate, 1)}))
    return 0


def _part(count: int) -> Path:
    return _RESULTS / f".hosts_{count}.json"


def _write(name: str, options: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    found = {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load_average": os.getloadavg(),
        "options": options,
        "rows": rows,
    }
    (_RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
