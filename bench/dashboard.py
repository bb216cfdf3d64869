"""The dashboard under load: the first page among 100,000 messages, and 200 viewers at 100 a second.

    python -m bench.dashboard pages  [--messages 100000]
    python -m bench.dashboard live   [--viewers 200] [--rate 100] [--seconds 60]

Both start an embedded Postgres and gunicorn of their own in a temporary folder. `pages` fills the
table, then asks for each view many times over HTTP, and for the first paint in Chromium where
there is one. `live` opens the viewers' streams in a process of its own, inserts messages at the
rate, labels each as a worker would, and measures from commit to the byte at each viewer. Viewers,
inserts, Postgres and server share this machine's cores, so the numbers are a lower bound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine, text

from bench.measure import median, quantile
from dashboard.accounts import add_user, change_password, sign_in
from dashboard.permissions import Role
from localstack.postgres import EmbeddedPostgres
from localstack.stack import die_with_parent, free_port
from shared.database import make_engine, transaction
from shared.ids import new_message_id
from shared.notify import notify_messages
from shared.schema import upgrade
from shared.settings import Settings

PASSWORD = "thrown away in minutes"  # noqa: S105  of a server that lives for minutes
_WORDS = (
    "please renew my lisinopril prescription thank you since yesterday a rash on both arms the "
    "bill says I owe for the visit in may could you look at my results pain in the knee when I "
    "walk appointment next week must be moved my daughter needs a form for school the pharmacy "
    "has no record of the refill I feel dizzy after the new tablet"
).split()
CATEGORIES = ("symptom", "medication", "refill", "results", "appointment", "billing", "admin")


@dataclass(frozen=True, kw_only=True)
class Running:
    """A dashboard of its own."""

    url: str
    engine: Engine
    cookie: str
    csrf: str
    pid: int  # of gunicorn's worker


@contextmanager
def running() -> Iterator[Running]:
    """Postgres and gunicorn, thrown away at the end."""
    with tempfile.TemporaryDirectory(prefix="carelane-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        server.create_database("bench")
        settings = Settings(database_url=server.url("bench"), secret_key=secrets.token_hex(32))
        engine = make_engine(settings, "bench")
        upgrade(engine.url)
        once = add_user(engine, "bench", Role.LEAD)
        change_password(engine, sign_in(engine, "bench", once, "bench"), once, PASSWORD)
        port = free_port()
        process = _gunicorn(settings, port)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url)
            cookie, csrf = _session(url)
            pid = int(
                subprocess.run(
                    ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
                ).stdout.split()[0]
            )
            yield Running(url=url, engine=engine, cookie=cookie, csrf=csrf, pid=pid)
        finally:
            process.terminate()
            process.wait(timeout=30)
            engine.dispose()
            server.stop()


def _gunicorn(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "CARELANE_DATABASE_URL": str(settings.database_url),
        "CARELANE_SECRET_KEY": str(settings.secret_key),
        "CARELANE_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:dashboard.gunicorn_config"]
    options = ["--log-level", "warning", "--bind", f"127.0.0.1:{port}"]
    return subprocess.Popen(
        [*command, *options, "dashboard.app:create_app()"],
        env=environment,
        preexec_fn=die_with_parent,
    )


def _wait(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > until:
            raise SystemExit("the dashboard did not come up")
        time.sleep(0.2)


def _session(url: str) -> tuple[str, str]:
    with httpx.Client(base_url=url, timeout=30) as client:
        page = client.get("/sign-in").text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        form = {"name": "bench", "password": PASSWORD, "csrf_token": token}
        client.post("/sign-in", data=form)
        page = client.get("/").text
        token = page.split('"X-CSRF-Token": "')[1].split('"')[0]
        return f"carelane={client.cookies['carelane']}", token


# --- Pages --------------------------------------------------------------------------------------

_FILL = text(
    """
    INSERT INTO messages (id, source, external_id, patient_ref, text, received_at, status,
                          urgency_rank, settled_at, reviewed_at, first_read_at)
    SELECT gen_random_uuid(), 'bench', n::text, 'pt-' || n % 20000,
           (SELECT string_agg((cast(:words AS text[]))[1 + floor(random() * :size)::int], ' ')
            FROM generate_series(1, 15 + n % 60)),
           now() - (n * interval '12 seconds'),
           CASE WHEN n <= :open THEN 'labelled' ELSE 'done' END,
           CASE WHEN n % 100 < 2 THEN 0 WHEN n % 100 < 20 THEN 1 ELSE 2 END,
           now() - (n * interval '12 seconds') + interval '1 second',
           CASE WHEN n > :open THEN now() END,
           CASE WHEN n > :open THEN now() - (n * interval '12 seconds') + interval '9 minutes' END
    FROM generate_series(1, :messages) AS n
    """
)
_LABEL = text(
    """
    INSERT INTO labels (message_id, categories, urgency, tier, category_confidence,
                        model_version, taxonomy_version, latency_ms)
    SELECT id, ARRAY[(cast(:categories AS text[]))[1 + abs(hashtext(id::text)) % :size]],
           (ARRAY['emergent', 'urgent', 'routine'])[urgency_rank + 1], 'fast', 0.9, 'v1', '1', 3
    FROM messages
    """
)
_POINT = text(
    "UPDATE messages SET current_label_id = labels.id FROM labels WHERE message_id = messages.id"
)

VIEWS = {
    "worklist": "/",
    "page 2": None,
    "urgent only": "/?urgency=urgent",
    "one category": "/?category=billing",
    "one pool, unread": "/?pool=pharmacist&unread=1",
    "overdue": "/?age=overdue",
    "search, two words": "/?q=rash+arms&show=all",
    "search, no hit": "/?q=zebra&show=all",
    "done": "/?show=done",
    "operations": "/operations",
    "audit": "/audit",
}


def fill(engine: Engine, count: int, still_open: int) -> None:
    """`count` messages with a label each; `still_open` of them not done."""
    with transaction(engine) as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            _FILL, {"words": _WORDS, "size": len(_WORDS), "messages": count, "open": still_open}
        )
        connection.execute(_LABEL, {"categories": list(CATEGORIES), "size": len(CATEGORIES)})
        connection.execute(_POINT)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def pages(count: int, still_open: int, repeats: int) -> dict[str, object]:
    """Time of each view, in ms."""
    with running() as dashboard:
        fill(dashboard.engine, count, still_open)
        results: dict[str, object] = {"messages": count, "open": still_open}
        headers = {"Cookie": dashboard.cookie}
        with httpx.Client(base_url=dashboard.url, timeout=60, headers=headers) as client:
            for name, path in VIEWS.items():
                target = path or _next_page(client)
                client.get(target)
                taken = []
                for _ in range(repeats):
                    began = time.perf_counter()
                    client.get(target).raise_for_status()
                    taken.append(1000 * (time.perf_counter() - began))
                results[name] = {"median_ms": round(median(taken), 1), "p95_ms": _p95(taken)}
        results["first paint in Chromium"] = _first_paint(dashboard, repeats)
    return results


def _p95(taken: list[float]) -> float:
    return round(quantile(taken, 0.95), 1)


def _next_page(client: httpx.Client) -> str:
    page = client.get("/").text
    return page.split('id="more"><a href="')[1].split('"')[0].replace("&amp;", "&")


_PAINTED = """new Promise(done => new PerformanceObserver(list => {
    const found = list.getEntriesByName("first-contentful-paint")[0];
    if (found) done(found.startTime);
}).observe({type: "paint", buffered: true}))"""


def _first_paint(dashboard: Running, repeats: int) -> object:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        return "playwright is not installed here"
    name, value = dashboard.cookie.split("=", 1)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
        except Error:
            return "no Chromium here"
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_cookies([{"name": name, "value": value, "url": dashboard.url}])
        page = context.new_page()
        taken = []
        for _ in range(repeats):
            page.goto(dashboard.url, wait_until="load")
            taken.append(float(page.evaluate(_PAINTED)))
        browser.close()
    return {"median_ms": round(median(taken), 1), "p95_ms": _p95(taken)}


# --- Live ---------------------------------------------------------------------------------------


def watch(url: str, cookie: str, viewers: int, seconds: float, pipe: Pipe) -> None:
    """Hold `viewers` streams open; report when each saw which message in which state."""
    parts = urlsplit(url)
    selector = selectors.DefaultSelector()
    tails = []
    for number in range(viewers):
        # By hand: http.client would keep the stream's beginning in a buffer of its own.
        opened = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
        opened.sendall(
            f"GET /live?since= HTTP/1.1\r\nHost: bench\r\nCookie: {cookie}\r\n\r\n".encode()
        )
        got = b""
        while b"\r\n\r\n" not in got:
            got += opened.recv(4096)
        head, _, tail = got.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"viewer {number} was refused: {head[:60]!r}")
        opened.setblocking(False)
        selector.register(opened, selectors.EVENT_READ, number)
        tails.append(tail)
    pipe.send("ready")
    seen: list[dict[tuple[str, str], float]] = [{} for _ in range(viewers)]
    resyncs = 0
    until = time.time() + seconds
    while time.time() < until:
        for key, _ in selector.select(0.2):
            number = key.data
            try:
                got = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]  # a socket
            except BlockingIOError:
                continue
            now = time.time()
            lines = (tails[number] + got).split(b"\n")
            tails[number] = lines.pop()
            for line in lines:
                if line.startswith(b'data: <li id="m-'):
                    current = line[16:52].decode()
                    state = "labelled" if b" labelled" in line else "processing"
                    seen[number].setdefault((current, state), now)
                elif line.startswith(b"event: resync"):
                    resyncs += 1
    pipe.send((seen, resyncs - viewers))  # each is told to read the list once, at its start


def live(viewers: int, rate: float, seconds: float) -> dict[str, object]:
    """Delay from commit to every viewer, and the server's memory, under a steady rate."""
    with running() as dashboard:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=watch, args=(dashboard.url, dashboard.cookie, viewers, seconds + 15, theirs)
        )
        process.start()
        ours.recv()
        memory = [_memory_mb(dashboard.pid)]
        committed, late_s = _traffic(dashboard, rate, seconds, memory)
        seen, resyncs = ours.recv()
        process.join(timeout=60)
        memory.append(_memory_mb(dashboard.pid))
    delays = [
        1000 * (when - at)
        for each in seen
        for (message, state), at in committed.items()
        if (when := _seen(each, message, state)) is not None
    ]
    wanted = viewers * len(committed)
    return {
        "viewers": viewers,
        "messages_per_s": rate,
        "seconds": seconds,
        "changes_committed": len(committed),
        "changes_seen_share": round(len(delays) / wanted, 5),
        "told_to_read_anew": resyncs,
        "delay_ms": {
            "median": round(median(delays), 1),
            "p95": _p95(delays),
            "p99": round(quantile(delays, 0.99), 1),
            "worst": round(max(delays), 1),
        },
        "sender_behind_s": round(late_s, 2),
        "server_memory_mb": memory,
    }


def _seen(seen: Mapping[tuple[str, str], float], message: str, state: str) -> float | None:
    """When a viewer knew of a change: by its own event, or by a later one that contains it."""
    labelled = seen.get((message, "labelled"))
    return labelled if state == "labelled" else seen.get((message, state), labelled)


def _traffic(
    dashboard: Running, rate: float, seconds: float, memory: list[float]
) -> tuple[dict[tuple[str, str], float], float]:
    """Insert at `rate`, and label each message a tenth of a second later, both in chunks."""
    committed: dict[tuple[str, str], float] = {}
    tick_s = 0.1
    waiting: list[str] = []
    began = time.monotonic()
    late_s = 0.0
    for tick in range(int(seconds / tick_s)):
        fresh = [str(new_message_id()) for _ in range(round(rate * tick_s))]
        _commit(dashboard.engine, fresh, waiting)
        now = time.time()
        committed.update({(each, "processing"): now for each in fresh})
        committed.update({(each, "labelled"): now for each in waiting})
        waiting = fresh
        if tick % 100 == 99:
            memory.append(_memory_mb(dashboard.pid))
        late_s = time.monotonic() - began - (tick + 1) * tick_s
        time.sleep(max(0.0, -late_s))
    return committed, max(0.0, late_s)


def _commit(engine: Engine, fresh: list[str], labelled: list[str]) -> None:
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO messages (id, source, external_id, text, received_at) "
                "SELECT cast(id AS uuid), 'live', id, :text, :now FROM unnest(:ids) AS id"
            ),
            {"ids": fresh, "text": " ".join(random.choices(_WORDS, k=40)), "now": now},
        )
        if labelled:
            connection.execute(
                text(
                    "WITH added AS (INSERT INTO labels (message_id, categories, urgency, tier, "
                    "taxonomy_version) SELECT cast(id AS uuid), ARRAY['refill'], 'routine', "
                    "'fast', '1' FROM unnest(:ids) AS id RETURNING id, message_id) "
                    "UPDATE messages SET status = 'labelled', current_label_id = added.id, "
                    "settled_at = now() FROM added WHERE messages.id = added.message_id"
                ),
                {"ids": labelled},
            )
        notify_messages(connection, [*fresh, *labelled])  # type: ignore[list-item]  # only printed


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def main() -> None:
    """Run one part and print its numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("pages")
    one.add_argument("--messages", type=int, default=100_000)
    one.add_argument("--open", type=int, default=3_000)
    one.add_argument("--repeats", type=int, default=20)
    other = parts.add_parser("live")
    other.add_argument("--viewers", type=int, default=200)
    other.add_argument("--rate", type=float, default=100)
    other.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if options.part == "pages":
        found = pages(options.messages, options.open, options.repeats)
    else:
        found = live(options.viewers, options.rate, options.seconds)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
