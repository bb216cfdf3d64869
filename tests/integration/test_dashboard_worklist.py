from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from dashboard import queries
from dashboard.permissions import Role
from shared.contracts import Status, Tier, Urgency
from shared.tables import audit_log
from tests.dashboard_pages import Person, Store
from tests.integration.test_dashboard_pages import ids_in_order
from tests.services import eventually

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]


@pytest.fixture
def ada(signed_in: SignedIn) -> Person:
    return signed_in(Role.CLINICIAN)


@pytest.fixture
def found(ada: Person, store: Store) -> dict[str, str]:
    """One message of each kind, by name."""
    made: dict[str, UUID] = {
        "queued": store.message("queued text"),
        "escalated": store.message("escalated text"),
        "review": store.labelled("review text", category="results", minutes_ago=9),
        "billing": store.labelled("a bill", category="billing", first_read_at="2026-01-01Z"),
        "urgent": store.labelled("urgent text", urgency=Urgency.URGENT, minutes_ago=300),
        "old": store.labelled("old text", category="other", minutes_ago=2000),
        "mine": store.labelled("mine text", category="other", assignee=ada.name, minutes_ago=70),
        "done": store.labelled("done text", category="other", minutes_ago=70),
        "llm": store.message("llm text", patient_ref="pt-7"),
    }
    store.label(made["escalated"], "symptom", status=Status.ESCALATED)
    store.status(made["review"], Status.NEEDS_REVIEW, "llm_off")
    store.status(made["done"], Status.DONE)
    store.label(made["llm"], "medication", tier=Tier.LLM)
    return {str(message_id): name for name, message_id in made.items()}


@pytest.mark.parametrize(
    ("link", "names"),
    [
        ("/", "queued escalated review billing urgent old mine llm"),
        ("/?show=needs_review", "review"),
        ("/?show=processing", "queued escalated"),
        ("/?show=labelled", "billing urgent old mine llm"),
        ("/?show=done", "done"),
        ("/?show=all", "queued escalated review billing urgent old mine llm done"),
        ("/?urgency=urgent", "urgent"),
        ("/?pool=billing", "billing"),
        ("/?pool=front_desk", "old mine"),
        ("/?category=results", "review"),
        ("/?tier=llm", "llm"),
        ("/?age=overdue", "urgent"),
        ("/?age=day", "old"),
        ("/?age=hour&show=labelled", "billing llm"),
        ("/?unread=1&show=labelled", "urgent old mine llm"),
        ("/?mine=1", "mine"),
        ("/?q=BIL", "billing"),
        ("/?q=text+urg", "urgent"),
        ("/?q=pt-7", "llm"),
        ("/?q=nowhere", ""),
        ("/?q=done+text", ""),
        ("/?q=done+text&show=all", "done"),
    ],
)
def test_a_filter_shows_its_messages_and_no_others(
    ada: Person, found: dict[str, str], link: str, names: str
) -> None:
    page = ada.get(link).text

    assert {found[each] for each in ids_in_order(page)} == set(names.split())


def test_what_is_done_comes_newest_first_and_pages_on(ada: Person, store: Store) -> None:
    made = [str(store.labelled(minutes_ago=n)) for n in range(70)]
    for each in made:
        store.status(UUID(each), Status.DONE)

    first = ada.get("/?show=done").text
    link = first.split('id="more"><a href="')[1].split('"')[0].replace("&amp;", "&")
    second = ada.get(link).text

    assert ids_in_order(first) + ids_in_order(second) == made


def test_the_numbers_above_the_list_count_what_is_open(ada: Person, found: dict[str, str]) -> None:
    expected = {
        "show:open": 8,
        "show:needs_review": 1,
        "show:processing": 2,
        "show:labelled": 5,
        "unread": 7,
        f"assignee:{ada.name}": 1,
    }

    def counted_as_expected() -> bool:
        page = ada.get("/").text
        counted = {
            part.split('"')[0]: int(part.split(">")[1].split("<")[0])
            for part in page.split('<b data-count="')[1:]
        }
        return counted == expected

    # Counts of a moment ago are shown again for a few seconds.
    eventually(counted_as_expected, what=f"counts {expected}")


def test_a_search_is_audited_without_its_words(ada: Person, store: Store) -> None:
    ada.get("/?q=smith")

    (entry,) = store.rows(audit_log, action="searched")
    assert entry.actor == ada.name
    assert "smith" not in str(entry.detail)


def test_every_search_is_audited_whatever_part_of_its_list_it_asks_for(
    ada: Person, store: Store
) -> None:
    for n in range(60):
        store.labelled("smith", minutes_ago=n)
    first = ada.get("/?q=smith").text
    more = first.split('id="more"><a href="')[1].split('"')[0].replace("&amp;", "&")

    ada.get(more)
    ada.get("/?q=smith&lines=50")

    entries = store.rows(audit_log, action="searched")
    assert [entry.detail["lines"] for entry in entries] == [50, 10, 50]


@pytest.mark.parametrize("rank", ["99999", "-1", "9" * 30, "x"])
def test_a_place_that_no_list_has_is_refused_in_words(ada: Person, rank: str) -> None:
    place = f"{rank}~2026-01-01T00:00:00Z~00000000-0000-7000-8000-000000000000"

    answer = ada.get(f"/?after={place}")

    assert answer.status_code == 400
    assert "place in the list cannot be read" in answer.text


@pytest.mark.parametrize("before", ["1" + "0" * 20, "-1", "x"])
def test_a_place_that_the_audit_log_cannot_have_is_refused_in_words(
    signed_in: SignedIn, before: str
) -> None:
    answer = signed_in(Role.AUDITOR).get(f"/audit?before={before}")

    assert answer.status_code == 400
    assert "place in the log cannot be read" in answer.text


def test_a_name_that_postgres_cannot_hold_has_no_entries(signed_in: SignedIn) -> None:
    assert signed_in(Role.AUDITOR).get("/audit?who=a%00b&action=%00").status_code == 200


def test_the_time_to_first_read_is_on_the_page(ada: Person, store: Store) -> None:
    message_id = store.labelled(urgency=Urgency.EMERGENT, minutes_ago=12)
    ada.get(f"/messages/{message_id}")

    page = ada.get("/").text

    assert "12 min" in page.split('class="first-read"')[1]
    assert "over the target of" in page.split('class="first-read"')[1]


@pytest.mark.parametrize("newest", [1, 4, 500])
def test_a_search_over_everything_finds_the_same_however_far_back_it_is(
    signed_in: SignedIn, store: Store, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    monkeypatch.setattr(queries, "_NEWEST", newest)
    rash = [store.labelled(f"a rash {n}", minutes_ago=n) for n in range(6)]
    store.labelled("something else", minutes_ago=2)
    old = store.labelled("a zebra", minutes_ago=99)
    person = signed_in(Role.CLINICIAN)

    seen: list[str] = []
    path: str | None = "/?q=rash&show=all&lines=2"
    while path:
        page = person.get(path).text
        seen += [part.split('"', 1)[0] for part in page.split('<li id="m-')[1:]]
        more = page.split('id="more">')[1]
        link = more.split('"')[1].replace("&amp;", "&") if more.startswith("<a") else None
        path = link and f"{link}&lines=2"

    assert seen == [str(each) for each in rash]
    assert str(old) in person.get("/?q=zebra&show=all").text


def test_a_files_address_changes_with_its_content_and_is_kept_for_long(
    signed_in: SignedIn,
) -> None:
    person = signed_in(Role.CLINICIAN)
    address = person.get("/").text.split('src="')[1].split('"')[0]

    with person.get(address) as answer:
        assert answer.status_code == 200

    assert "?v=" in address
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers
