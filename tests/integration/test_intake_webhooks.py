"""Webhooks end to end: a label is committed, the portal is called, signed, until it answers."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from producer import webhooks
from producer.outbound import Caller
from producer.webhook_process import WebhookProcess, run_process
from producer.webhooks import Webhook, signature, signing_secret
from shared.contracts import CHANNEL_MESSAGES
from shared.database import transaction
from shared.ids import new_message_id
from shared.notify import Listener
from shared.settings import Settings
from tests.integration.intake_parts import SOURCE, change, rows
from tests.services import environment, eventually

pytestmark = pytest.mark.integration


@dataclass
class PortalServer:
    """A portal that notes what it is called with and answers as told."""

    url: str = ""
    answers: list[int] = field(default_factory=list)  # then 204
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]


@pytest.fixture
def portal() -> Iterator[PortalServer]:
    made = PortalServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.calls.append((headers, body))
            status = made.answers.pop(0) if made.answers else 204
            self.send_response(status)
            if status in (301, 307):
                self.send_header("Location", f"{made.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trying_out(settings: Settings) -> Settings:
    return replace(settings, webhooks_allow_private=True)


def _webhook(engine: Engine, url: str, source: str = SOURCE) -> Webhook:
    with transaction(engine) as connection:
        return webhooks.add(connection, source, url, allow_private=True)


def _labelled(engine: Engine, source: str = SOURCE, status: str = "labelled") -> UUID:
    message_id = new_message_id()
    change(
        engine,
        "INSERT INTO messages (id, source, external_id, text) VALUES (:i, :s, :e, 'x')",
        i=message_id,
        s=source,
        e=str(message_id),
    )
    _label(engine, message_id, "refill", status)
    return message_id


def _label(engine: Engine, message_id: UUID, category: str, status: str = "labelled") -> None:
    change(
        engine,
        """
        WITH made AS (
            INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version)
            VALUES (:id, ARRAY[:category], 'routine', 'fast', '1') RETURNING id
        )
        UPDATE messages SET status = :status, current_label_id = made.id FROM made
        WHERE messages.id = :id
        """,
        id=message_id,
        category=category,
        status=status,
    )


def _step(engine: Engine, settings: Settings) -> int:
    caller = Caller(allow_private=settings.webhooks_allow_private)
    with ThreadPoolExecutor(4) as pool:
        tried = WebhookProcess(engine, caller, settings).step(pool)
    caller.close()
    return tried


def _now_due(engine: Engine) -> None:
    change(engine, "UPDATE webhook_deliveries SET next_at = now()")


def test_a_label_calls_the_portal_with_a_signed_word_on_how_the_message_stands(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    webhook = _webhook(engine, f"{portal.url}/hook?x=1")
    message_id = _labelled(engine)

    _step(engine, trying_out)

    ((headers, body),) = portal.calls
    data = json.loads(body)["data"]
    assert json.loads(body)["type"] == "message.updated"
    assert (data["id"], data["status"]) == (str(message_id), "labelled")
    assert data["label"]["categories"] == ["refill"]
    assert "text" not in data
    secret = signing_secret(webhook.id, webhook.salt, trying_out.require("hmac_key"))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert headers["webhook-signature"] == signature(
        key, headers["webhook-id"], headers["webhook-timestamp"], body
    )
    assert _step(engine, trying_out) == 0, "delivered once"


@pytest.mark.parametrize("status", ["needs_review", "done"])
def test_what_a_person_must_decide_or_has_done_calls_too(
    engine: Engine, trying_out: Settings, portal: PortalServer, status: str
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine, status=status)

    _step(engine, trying_out)

    assert [body["data"]["status"] for body in portal.bodies()] == [status]


def test_a_correction_calls_again(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    message_id = _labelled(engine)
    _step(engine, trying_out)

    _label(engine, message_id, "billing")
    _step(engine, trying_out)

    said = [body["data"]["label"]["categories"] for body in portal.bodies()]
    assert said == [["refill"], ["billing"]]


def test_what_does_not_concern_the_portal_calls_nobody(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine, source="other-clinic")
    message_id = _labelled(engine)
    _step(engine, trying_out)
    portal.calls.clear()

    change(engine, "UPDATE messages SET first_read_at = now(), lease_owner = 'w'")
    change(engine, "UPDATE messages SET status = 'labelled' WHERE id = :i", i=message_id)

    assert _step(engine, trying_out) == 0
    assert portal.calls == []


@pytest.mark.parametrize("failure", [500, 404, 307, 301])
def test_a_portal_that_fails_is_called_again_later_with_the_same_id(
    engine: Engine, trying_out: Settings, portal: PortalServer, failure: int
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)
    portal.answers = [failure]

    _step(engine, trying_out)
    at_once = _step(engine, trying_out)
    _now_due(engine)
    _step(engine, trying_out)

    assert at_once == 0, "not before its pause is over"
    ids = {headers["webhook-id"] for headers, _ in portal.calls}
    assert (len(portal.calls), len(ids)) == (2, 1)
    (row,) = rows(engine, "SELECT attempts, outcome, delivered_at FROM webhook_deliveries")
    assert (row.attempts, row.outcome) == (2, "204")
    assert row.delivered_at is not None


def test_after_the_last_pause_a_call_is_given_up_and_kept_for_the_record(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)
    portal.answers = [500] * 20

    tries = 0
    while _step(engine, trying_out):
        tries += 1
        _now_due(engine)

    assert tries == len(webhooks.PAUSES_S) + 1
    (row,) = rows(engine, "SELECT outcome, failed_at FROM webhook_deliveries")
    assert row.outcome == "500"
    assert row.failed_at is not None


def test_a_portal_that_is_gone_is_called_no_more(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)
    portal.answers = [410]

    _step(engine, trying_out)
    _now_due(engine)
    _labelled(engine)

    assert _step(engine, trying_out) == 0
    (row,) = rows(engine, "SELECT disabled_reason FROM webhooks")
    assert "410" in row.disabled_reason


def test_private_addresses_are_not_called_unless_a_setting_says_so(
    engine: Engine, settings: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)

    _step(engine, settings)

    assert portal.calls == []
    (row,) = rows(engine, "SELECT outcome FROM webhook_deliveries")
    assert row.outcome == "private_address"


def test_a_process_that_died_while_calling_holds_a_call_for_a_while_only(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)
    with transaction(engine) as connection:
        assert len(webhooks.claim(connection)) == 1  # and nothing more: it died here

    assert _step(engine, trying_out) == 0
    _now_due(engine)
    assert _step(engine, trying_out) == 1
    assert len(portal.calls) == 1


def test_two_processes_make_each_call_once(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    for _ in range(30):
        _labelled(engine)

    with ThreadPoolExecutor(2) as pool:
        tried = list(pool.map(lambda _: _step(engine, trying_out), range(6)))

    assert sum(tried) == 30
    assert len({headers["webhook-id"] for headers, _ in portal.calls}) == 30
    assert len(portal.calls) == 30


@pytest.mark.parametrize("bad", ["http://a..b/", "http://portal.example/ü", "gopher://x/"])
def test_a_call_that_cannot_be_made_fails_alone(
    engine: Engine, trying_out: Settings, portal: PortalServer, bad: str
) -> None:
    # As one that an earlier version took.
    change(engine, "INSERT INTO webhooks (source, url, salt) VALUES (:s, :u, 'x')", s=SOURCE, u=bad)
    _webhook(engine, portal.url)
    _labelled(engine)

    _step(engine, trying_out)

    assert len(portal.calls) == 1
    found = rows(
        engine,
        "SELECT outcome, next_at > now() AS later, delivered_at IS NOT NULL AS delivered "
        "FROM webhook_deliveries ORDER BY webhook_id",
    )
    assert [(row.outcome, row.later, row.delivered) for row in found] == [
        (found[0].outcome, True, False),
        ("204", False, True),
    ]
    assert found[0].outcome in ("error", "connection")


@pytest.fixture
def dripping() -> Iterator[str]:
    """A portal that sends one more byte of a header ten times a second, for a minute."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            with suppress(OSError):
                for _ in range(600):
                    if over.wait(0.1):
                        break
                    self.wfile.write(b"x")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_portal_that_drips_does_not_outlast_a_calls_time(dripping: str) -> None:
    caller = Caller(allow_private=True, call_s=0.5)

    assert caller.post(dripping, b"{}", {}) == ("timeout", False)

    caller.close()


def test_a_slow_portal_does_not_hold_up_the_others(
    engine: Engine, trying_out: Settings, portal: PortalServer, dripping: str
) -> None:
    _webhook(engine, dripping, source="slow-clinic")
    _webhook(engine, portal.url)
    for _ in range(20):
        _labelled(engine, source="slow-clinic")
    caller = Caller(allow_private=True, call_s=60)
    stop = threading.Event()
    process = WebhookProcess(engine, caller, trying_out, stop)
    listener = Listener(trying_out, "test", CHANNEL_MESSAGES)
    running = threading.Thread(target=run_process, args=(process, listener, stop))
    running.start()
    try:
        tries = "SELECT 1 FROM webhook_deliveries WHERE attempts > 0"
        eventually(lambda: rows(engine, tries), what="calls to the slow portal")
        for _ in range(20):
            _labelled(engine)
        eventually(lambda: len(portal.calls) == 20, what="calls to the other", timeout_s=30)
        slow = rows(
            engine,
            "SELECT outcome FROM webhook_deliveries JOIN webhooks w ON w.id = webhook_id "
            "WHERE w.source = 'slow-clinic'",
        )
        assert [row.outcome for row in slow] == [None] * 20, "still waited for"
    finally:
        stop.set()
        caller.close()
        running.join(90)


def test_what_a_stopped_process_had_claimed_is_due_at_once_again(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)
    caller, stop = Caller(allow_private=True), threading.Event()
    stop.set()

    with ThreadPoolExecutor(4) as pool:
        WebhookProcess(engine, caller, trying_out, stop).step(pool)

    caller.close()
    (row,) = rows(engine, "SELECT attempts, next_at <= now() AS due FROM webhook_deliveries")
    assert (portal.calls, row.attempts, row.due) == ([], 0, True)


def test_old_calls_are_forgotten_and_open_ones_kept(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    _webhook(engine, portal.url)
    _labelled(engine)
    _step(engine, trying_out)
    change(engine, "UPDATE webhook_deliveries SET delivered_at = now() - interval '31 days'")
    _labelled(engine)

    with transaction(engine) as connection:
        assert webhooks.forget_old(connection) == 1

    assert len(rows(engine, "SELECT 1 FROM webhook_deliveries")) == 1


def test_the_commands_add_a_webhook_call_it_and_stop_when_told(
    engine: Engine, trying_out: Settings, portal: PortalServer
) -> None:
    carelane = Path(sys.executable).with_name("carelane")
    env = environment(trying_out)

    def webhooks_command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [carelane, "webhooks", *arguments],
            env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    added = webhooks_command("add", SOURCE, portal.url)
    assert added.stdout.startswith("whsec_")
    assert portal.url in webhooks_command("list").stdout
    assert webhooks_command("add", SOURCE, "ftp://x").returncode == 2

    process = subprocess.Popen([carelane, "webhooks", "run"], env=env, stderr=subprocess.DEVNULL)
    try:
        _labelled(engine)
        eventually(lambda: portal.calls, what="a call")
    finally:
        process.send_signal(signal.SIGTERM)
        returncode = process.wait(timeout=20)
    assert returncode == 0
    assert webhooks_command("disable", "1").returncode == 0
    assert "disabled" in webhooks_command("list").stdout
