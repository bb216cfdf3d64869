"""The Python client: batches, honest errors, patience with a server that asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from producer.client import CarelaneClient, NewMessage
from shared.errors import IntakeError, IntakeUnavailable
from shared.ids import new_message_id

Handler = Callable[[httpx.Request], httpx.Response]


def _client(handler: Handler, sleeps: list[float] | None = None, **options: int) -> CarelaneClient:
    waits = sleeps if sleeps is not None else []
    transport = httpx.MockTransport(handler)
    return CarelaneClient("http://x", "key", transport=transport, sleep=waits.append, **options)


def _take_all(request: httpx.Request) -> httpx.Response:
    rows = json.loads(request.content)["messages"]
    taken = [
        {"index": n, "external_id": r["external_id"], "id": str(new_message_id()),
         "outcome": "accepted"}
        for n, r in enumerate(rows)
    ]  # fmt: skip
    return httpx.Response(202, json={"messages": taken, "errors": []})


def _messages(count: int) -> list[NewMessage]:
    return [NewMessage(external_id=f"m-{n}", text="hello") for n in range(count)]


def test_batches_are_put_together_again_with_the_callers_places() -> None:
    with _client(_take_all, batch_size=2) as client:
        reply = client.submit(_messages(5))

    assert [each.index for each in reply.taken] == [0, 1, 2, 3, 4]
    assert [each.external_id for each in reply.taken] == [f"m-{n}" for n in range(5)]
    assert (reply.accepted, reply.duplicates) == (5, 0)


def test_it_waits_as_long_as_the_server_asks_and_tries_again() -> None:
    answers = [
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    ]
    sleeps: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        return answers.pop(0) if answers else _take_all(request)

    with _client(handler, sleeps) as client:
        reply = client.submit(_messages(1))

    assert reply.accepted == 1
    assert sleeps[0] == 7.0
    assert len(sleeps) == 2


def test_it_gives_up_with_a_word_on_where_and_why() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with _client(refuse, tries=3) as client, pytest.raises(IntakeUnavailable, match="3 tries"):
        client.submit(_messages(1))


def test_a_bad_key_is_said_and_not_tried_again() -> None:
    calls: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(401, json={"detail": "this API key is unknown"})

    with _client(refuse) as client, pytest.raises(IntakeError, match="key is unknown"):
        client.submit(_messages(1))

    assert len(calls) == 1


def test_a_batch_that_is_too_large_goes_in_smaller_parts() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        rows = json.loads(request.content)["messages"]
        if len(rows) > 2:
            return httpx.Response(413, json={"detail": "too large"})
        return _take_all(request)

    with _client(handler) as client:
        reply = client.submit(_messages(7))

    assert [each.index for each in reply.taken] == list(range(7))


def test_half_a_surrogate_pair_reaches_the_server_whose_business_it_is() -> None:
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(422, json={"errors": [{"index": 0, "reason": "r", "detail": "d"}]})

    with _client(handler) as client:
        reply = client.submit([NewMessage(external_id="m", text="\ud83d")])

    assert [each.reason for each in reply.refused] == ["r"]
    assert b"\\ud83d" in seen[0]
