from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from dashboard import accounts
from dashboard.live import Hub
from dashboard.permissions import Role
from shared.database import transaction
from shared.settings import Settings
from tests.dashboard_pages import Person, Store
from tests.services import eventually

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]


@pytest.fixture
def hub(app: Flask) -> Hub:
    found = app.extensions["carelane"].hub
    assert isinstance(found, Hub)
    return found


def soon() -> float:
    return time.time() + 20


def until(stream: Iterator[bytes], wanted: str) -> str:
    """Read the stream until `wanted` was in it; the stream's end fails the test."""
    seen = ""
    for piece in stream:
        seen += piece.decode()
        if wanted in seen:
            return seen
    pytest.fail(f"the stream ended without {wanted!r}: {seen[-500:]}")


def test_a_change_reaches_every_viewer(hub: Hub, store: Store) -> None:
    viewers = [hub.stream(hub.position, soon()) for _ in range(3)]
    for viewer in viewers:
        next(viewer)

    message_id = store.message("Please renew it.")

    for viewer in viewers:
        assert "processing…" in until(viewer, str(message_id))


def test_the_label_follows_as_the_line_stands_then(hub: Hub, store: Store) -> None:
    message_id = store.message()
    viewer = hub.stream(hub.position, soon())
    next(viewer)

    store.label(message_id)

    assert "Refill" in until(viewer, "fast model")


def test_a_viewer_who_comes_back_gets_what_it_missed_once(hub: Hub, store: Store) -> None:
    before = hub.position
    message_id = store.message()
    eventually(lambda: hub.position != before, what="the hub heard of the message")

    back = hub.stream(before, soon())

    seen = until(back, str(message_id))
    assert "event: resync" not in seen
    assert seen.count(f'id="m-{message_id}"') == 1


@pytest.mark.parametrize("since", [None, "", "another:4", "nonsense", "x:y"])
def test_a_viewer_whose_place_is_unknown_is_told_to_read_anew(hub: Hub, since: str | None) -> None:
    assert "event: resync" in until(hub.stream(since, soon()), "resync")


def test_a_viewer_too_slow_for_its_queue_is_told_to_read_anew(hub: Hub, store: Store) -> None:
    viewer = hub.stream(hub.position, soon())
    next(viewer)
    start = hub.position
    for _ in range(130):
        before = hub.position
        store.message()
        eventually(lambda before=before: hub.position != before, what="the event went out")  # type: ignore[misc]

    assert hub.position != start
    seen = until(viewer, "event: resync")
    assert len(seen) < 400_000


def test_viewers_are_told_when_postgres_is_lost_and_read_anew_when_it_is_back(
    hub: Hub, store: Store, engine: Engine
) -> None:
    viewer = hub.stream(hub.position, soon())
    next(viewer)

    with transaction(engine) as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )

    seen = until(viewer, "event: resync")
    assert seen.index("event: lost") < seen.index("event: resync")
    message_id = store.message()
    until(viewer, str(message_id))


def test_any_number_of_viewers_share_one_listening_connection(
    app: Flask, hub: Hub, engine: Engine
) -> None:
    viewers = [hub.stream(hub.position, soon()) for _ in range(50)]
    for viewer in viewers:
        next(viewer)

    with transaction(engine) as connection:
        listening = connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        ).scalar_one()

    assert hub.viewers == 50
    assert listening == 1


def test_a_viewer_who_goes_leaves_nothing_behind(hub: Hub) -> None:
    viewer = hub.stream(hub.position, soon())
    next(viewer)

    viewer.close()  # type: ignore[attr-defined]  # a generator, as the server closes it

    assert hub.viewers == 0


def test_a_stream_ends_when_its_time_is_over_and_when_the_process_stops(hub: Hub) -> None:
    over = list(hub.stream(hub.position, time.time()))
    assert b"resync" not in b"".join(over)
    viewer = hub.stream(hub.position, soon())
    next(viewer)

    hub.stop()

    assert "resync" not in b"".join(viewer).decode()


def test_a_notification_that_is_no_json_does_no_harm(
    hub: Hub, store: Store, engine: Engine
) -> None:
    viewer = hub.stream(hub.position, soon())
    next(viewer)

    with transaction(engine) as connection:
        for payload in ("", "{", '{"ids": ["x"]}', '{"ids": 4}', "[]"):
            connection.execute(
                text("SELECT pg_notify('carelane_messages', :payload)"), {"payload": payload}
            )
    message_id = store.message()

    until(viewer, str(message_id))


def test_counts_that_were_put_off_are_told_later_without_another_change(
    settings: Settings, store: Store
) -> None:
    answers = iter([None, '{"show:open": 1}'])
    hub = Hub(settings, lambda _: "", lambda: next(answers, None))
    hub.start()
    assert hub.connected.wait(10)
    viewer = hub.stream(hub.position, soon())
    next(viewer)

    store.message()

    assert '{"show:open": 1}' in until(viewer, "event: counts\ndata: {")
    hub.stop()


def test_a_stream_needs_somebody_signed_in(app: Flask, settings: Settings) -> None:
    assert app.test_client().get("/live").status_code == 401


def change_password(engine: Engine, name: str) -> None:
    accounts.reset_password(engine, name)


def disable(engine: Engine, name: str) -> None:
    accounts.set_enabled(engine, name, False)


def take_the_role(engine: Engine, name: str) -> None:
    accounts.set_role(engine, name, Role.OPERATIONS)


@pytest.mark.parametrize("lose_access", [change_password, disable, take_the_role])
def test_an_open_stream_ends_soon_after_its_reader_lost_access(
    signed_in: SignedIn, hub: Hub, engine: Engine, lose_access: Callable[[Engine, str], None]
) -> None:
    hub.heartbeat_s = 0.2
    person = signed_in(Role.CLINICIAN)
    answer = person.get("/live", buffered=False)
    body = iter(cast("Iterable[bytes]", answer.response))
    seen = b""
    while seen.count(b": still here") < 2:  # asked, and still let in
        seen += next(body)

    lose_access(engine, person.name)

    given_up_at = time.monotonic() + 20
    for _ in body:
        assert time.monotonic() < given_up_at, "the stream went on"
    answer.close()


def test_the_page_names_the_place_from_which_its_stream_goes_on(
    signed_in: SignedIn, hub: Hub, store: Store
) -> None:
    person = signed_in(Role.CLINICIAN)
    page = person.get("/").text
    position = page.split('data-position="')[1].split('"')[0]

    message_id = store.message()
    answer = person.get(f"/live?since={position}", buffered=False)

    body = iter(cast("Iterable[bytes]", answer.response))
    seen = ""
    while str(message_id) not in seen:
        seen += next(body).decode()
    answer.close()
    assert "resync" not in seen
