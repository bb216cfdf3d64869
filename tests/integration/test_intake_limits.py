"""The intake's limits: refusals that keep nothing and say when to come back."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from localstack.stack import free_port
from producer.limits import Rates
from shared.database import transaction
from shared.settings import Settings
from tests.integration.intake_parts import Portal, change, new_key, open_app, rows
from tests.services import environment, eventually

pytestmark = pytest.mark.integration


def _batch(name: str, count: int) -> dict[str, object]:
    return {"messages": [{"external_id": f"{name}-{n}", "text": "x"} for n in range(count)]}


def test_too_many_messages_a_minute_are_asked_to_wait(settings: Settings, engine: Engine) -> None:
    slow = replace(settings, max_messages_per_minute=10, max_batch_messages=10)
    with open_app(slow) as app:
        portal = Portal(app, new_key(engine, settings))
        other = Portal(app, new_key(engine, settings, "other-clinic"))
        first, second = portal.post(_batch("a", 10)), portal.post(_batch("b", 5))
        others = other.post(_batch("a", 5))

    assert (first.status_code, second.status_code, others.status_code) == (202, 429, 202)
    assert second.content_type == "application/problem+json"
    assert second.json["type"] == "urn:carelane:problem:rate_limited"
    assert 25 <= int(second.headers["Retry-After"]) <= 31
    assert len(rows(engine, "SELECT 1 FROM messages")) == 15


def test_a_sources_rate_is_one_for_all_intake_processes(settings: Settings, engine: Engine) -> None:
    slow = replace(settings, max_messages_per_minute=10, max_batch_messages=10)
    key = new_key(engine, settings)
    with open_app(slow) as app, open_app(slow) as another:
        answers = [
            Portal(each, key).post(_batch(name, 4))
            for each, name in ((app, "a"), (another, "b"), (app, "c"), (another, "d"))
        ]

    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]


def test_what_a_full_house_turned_away_is_not_counted_against_the_rate(
    settings: Settings, engine: Engine
) -> None:
    slow = replace(settings, max_messages_per_minute=10, max_batch_messages=10, max_backlog=1)
    key = new_key(engine, settings)
    with open_app(slow) as app:
        assert Portal(app, key).post(_batch("a", 1)).status_code == 202
    with open_app(slow) as app:
        assert Portal(app, key).post(_batch("b", 9)).status_code == 429
    with open_app(replace(slow, max_backlog=100)) as app:
        assert Portal(app, key).post(_batch("c", 9)).status_code == 202


def _take(engine: Engine, rates: Rates, messages: int, source: str = "a") -> float:
    with transaction(engine) as connection:
        return rates.wait_s(connection, source, messages)


def _pass(engine: Engine, seconds: float) -> None:
    """Let time pass for the rates."""
    later = "UPDATE intake_rates SET taken_until = taken_until - make_interval(secs => :s)"
    change(engine, later, s=seconds)


def test_a_source_gets_its_minute_at_once_and_then_waits_for_the_refill(engine: Engine) -> None:
    rates = Rates(60, largest_call=10)

    assert _take(engine, rates, 60) == 0
    assert 4 < _take(engine, rates, 5) <= 5
    assert _take(engine, rates, 60, "b") == 0
    _pass(engine, 5)

    assert _take(engine, rates, 5) == 0
    assert _take(engine, rates, 5) > 0


def test_the_largest_call_fits_however_small_the_rate(engine: Engine) -> None:
    rates = Rates(1, largest_call=500)

    assert _take(engine, rates, 500) == 0
    assert _take(engine, rates, 1) > 0


def test_never_more_than_the_rate_allows_goes_through(engine: Engine) -> None:
    rates, dice, passed_s, through = Rates(60, largest_call=100), random.Random(7), 0.0, 0
    for _ in range(60):
        messages, pause_s = dice.randint(1, 100), dice.uniform(0, 100)
        if _take(engine, rates, messages) == 0:
            through += messages
        assert through <= 100 + passed_s + 20  # and what really passes meanwhile
        _pass(engine, pause_s)
        passed_s += pause_s


def test_two_calls_at_once_do_not_both_get_the_last_of_it(engine: Engine) -> None:
    rates = Rates(60, largest_call=10)

    with ThreadPoolExecutor(4) as pool:
        waits = list(pool.map(lambda _: _take(engine, rates, 20), range(12)))

    assert sum(wait == 0 for wait in waits) == 3


def test_a_backlog_stops_the_intake_except_for_danger_that_comes_alone(
    settings: Settings, engine: Engine
) -> None:
    with open_app(replace(settings, max_backlog=3)) as app:
        portal = Portal(app, new_key(engine, settings))
        assert portal.post(_batch("a", 3)).status_code == 202
    with open_app(replace(settings, max_backlog=3)) as app:  # it looks anew
        portal = Portal(app, portal.key)
        plain = portal.post({"external_id": "p", "text": "a form please"})
        danger = portal.post({"external_id": "d", "text": "chest pain"})
        bulk = portal.post({"messages": [{"external_id": f"{n}", "text": "rash"} for n in "ab"]})

    assert [plain.status_code, danger.status_code, bulk.status_code] == [429, 202, 429]
    assert plain.json["type"] == "urn:carelane:problem:overloaded"
    assert int(plain.headers["Retry-After"]) >= 1
    change(engine, "UPDATE messages SET status = 'labelled'")
    with open_app(replace(settings, max_backlog=3)) as app:
        assert Portal(app, portal.key).post(_batch("b", 1)).status_code == 202


def test_a_burst_meets_the_limit_before_the_backlog_is_looked_at_again(
    settings: Settings, engine: Engine
) -> None:
    with open_app(replace(settings, max_backlog=30)) as app:
        portal = Portal(app, new_key(engine, settings))
        answers = [portal.post(_batch(name, 10)) for name in "abcde"]

    assert [each.status_code for each in answers] == [202, 202, 202, 429, 429]
    assert len(rows(engine, "SELECT 1 FROM messages")) == 30


def test_the_demo_portal_says_it_on_a_page(settings: Settings) -> None:
    with open_app(replace(settings, demo_portal=True, max_backlog=1)) as app:
        browser = app.test_client()
        browser.post("/portal/", data={"text": "one"})
    with open_app(replace(settings, demo_portal=True, max_backlog=1)) as app:
        answer = app.test_client().post("/portal/", data={"text": "two"})

    assert answer.status_code == 429
    assert answer.content_type.startswith("text/html")
    assert "Send it again in" in answer.text


@contextmanager
def _gunicorn(settings: Settings) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("gunicorn"), "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--threads", "4", "--no-control-socket"),
            "producer.app:create_app()",
        ],
        env=environment(settings),
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(listens, what="a listening intake")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_body_that_drips_in_is_cut_off_and_others_are_served(
    settings: Settings, engine: Engine
) -> None:
    key = new_key(engine, settings)
    body = json.dumps({"external_id": "a", "text": "hello"}).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    with _gunicorn(replace(settings, body_timeout_s=1.0)) as port:
        drips = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for drip in drips:  # every thread that the server has
            drip.sendall(head + b"1000\r\n\r\n" + body[:5])
        with socket.create_connection(("127.0.0.1", port)) as good:
            good.sendall(head + f"{len(body)}\r\n\r\n".encode() + body)
            served = good.makefile("rb").readline()
        answers = [drip.makefile("rb").readline() for drip in drips]
        for drip in drips:
            drip.close()

    assert b" 202 " in served
    assert {answer.split()[1] for answer in answers} == {b"408"}
