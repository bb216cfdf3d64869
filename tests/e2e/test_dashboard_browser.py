from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect, sync_playwright
from sqlalchemy import Engine

from dashboard import accounts
from dashboard.permissions import Role
from shared.contracts import Lane, Status, Tier, Urgency
from shared.tables import labels
from tests.dashboard_pages import PASSWORD, WILD, Server, Store, add_user
from tests.worker_process import SURE
from tests.worker_stack import Clinic, Workers, clinic, workers

pytestmark = pytest.mark.e2e
__all__ = ["clinic", "workers"]

expect.set_options(timeout=20_000)  # a busy machine is no reason to fail

FLAG = {"rule": "chest_pain", "title": "Chest pain", "urgency": "emergent", "start": 7, "end": 17}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield launched
        launched.close()


DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
#: What people do all day is tried on both.
on_both = pytest.mark.parametrize("page", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])


@pytest.fixture
def page(
    browser: Browser, dashboard_server: Server, request: pytest.FixtureRequest
) -> Iterator[Page]:
    size: dict[str, Any] = getattr(request, "param", DESKTOP)
    context = browser.new_context(base_url=dashboard_server.url, **size)
    context.set_default_timeout(20_000)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert problems == []


@pytest.fixture
def worklist(page: Page, engine: Engine) -> Callable[[Role], Page]:
    """The worklist, open and live, for somebody of this role."""

    def open_it(role: Role = Role.CLINICIAN) -> Page:
        add_user(engine, "ada", role)
        sign_in(page, PASSWORD)
        page.wait_for_load_state("load")  # both scripts are in
        expect(page.locator("#live-state")).to_have_text("Live")
        # A reload would take this mark away.
        page.evaluate("window.neverReloaded = true")
        return page

    return open_it


def sign_in(page: Page, password: str) -> None:
    page.goto("/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@on_both
def test_processing_turns_into_the_label_without_a_reload(
    worklist: Callable[[], Page], store: Store
) -> None:
    page = worklist()

    message_id = store.message("Please renew my lisinopril.")
    line = page.locator(f"#m-{message_id}")
    expect(line).to_contain_text("processing…")
    store.label(message_id, status=Status.ESCALATED)
    expect(line).to_contain_text("second opinion")
    expect(line.locator(".categories.grey")).to_have_text("Refill")
    store.label(message_id, "medication", Urgency.URGENT, tier=Tier.LLM)

    expect(line).to_contain_text("Medication")
    expect(line).to_contain_text("Urgent")
    expect(line).not_to_contain_text("processing")
    assert page.evaluate("window.neverReloaded")


def test_a_message_that_the_machine_gives_up_on_says_so_and_why(
    worklist: Callable[[], Page], store: Store
) -> None:
    page = worklist()
    message_id = store.message()
    line = page.locator(f"#m-{message_id}")
    expect(line).to_contain_text("processing…")

    store.status(message_id, Status.NEEDS_REVIEW, "llm_refusal")

    expect(line).to_contain_text("Needs review")
    expect(line).to_contain_text("declined to answer")


@on_both
def test_a_possible_emergency_comes_in_on_top_while_still_processing(
    worklist: Callable[[], Page], store: Store
) -> None:
    for _ in range(3):
        store.labelled(urgency=Urgency.URGENT, minutes_ago=30)
    page = worklist()

    message_id = store.message("I have chest pain", flags=[FLAG])

    first = page.locator("#lines > li").first
    expect(first).to_have_id(f"m-{message_id}")
    expect(first).to_contain_text("Emergent")
    expect(first).to_contain_text("Chest pain")
    expect(first).to_contain_text("processing…")
    expect(page.locator("[data-count='urgency:emergent']")).to_have_text("Emergent (1)")


def test_the_line_under_the_pointer_stays_while_others_wait_to_come_in(
    worklist: Callable[[], Page], store: Store
) -> None:
    routine = store.labelled(minutes_ago=60)
    page = worklist()
    line = page.locator(f"#m-{routine}")
    line.hover()
    before = line.bounding_box()

    emergency = store.message("I have chest pain", flags=[FLAG])

    waiting = page.locator("#waiting")
    expect(waiting).to_contain_text("1 possible emergency")
    after = line.bounding_box()
    assert before is not None
    assert after is not None
    assert after["y"] == before["y"]
    waiting.click()
    expect(page.locator("#lines > li").first).to_have_id(f"m-{emergency}")


def test_a_done_message_leaves_every_open_list(worklist: Callable[[], Page], store: Store) -> None:
    message_id = store.labelled()
    page = worklist()
    expect(page.locator(f"#m-{message_id}")).to_be_visible()

    store.status(message_id, Status.DONE)

    expect(page.locator(f"#m-{message_id}")).to_have_count(0)
    expect(page.locator("#empty")).to_be_visible()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_list_is_worked_by_keys_alone(worklist: Callable[[], Page], store: Store) -> None:
    first, second, third = (store.labelled(f"message {n}", minutes_ago=90 - n) for n in range(3))
    page = worklist()

    press(page, "j", "j", "1")
    expect(page.locator("#said")).to_contain_text("Label changed.")
    expect(page.locator(f"#m-{second}")).to_contain_text("Emergent")
    press(page, "u")
    expect(page.locator("#said")).to_contain_text("Undone.")
    expect(page.locator(f"#m-{second}")).to_contain_text("Routine")

    press(page, "c")
    expect(page.locator("#change")).to_be_visible()
    press(page, "g", "2", "Enter")
    expect(page.locator(f"#m-{second}")).to_contain_text("Billing")
    expect(page.locator(f"#m-{second}")).to_contain_text("Urgent")

    press(page, "m")
    expect(page.locator(f"#m-{second}")).to_contain_text("ada")
    press(page, "d")
    expect(page.locator(f"#m-{second}")).to_have_count(0)
    assert store.read(second).status == "done"
    assert store.read(first).status == store.read(third).status == "labelled"
    expect(page.locator(f"#m-{third} a.open")).to_be_focused()
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Labels")).to_be_visible()


@on_both
def test_one_key_sets_category_pool_and_owner_for_all_selected_and_undo_takes_it_back(
    worklist: Callable[[], Page], store: Store, engine: Engine
) -> None:
    add_user(engine, "bob.stone", Role.CLINICIAN)
    ids = [store.labelled(minutes_ago=90 - n) for n in range(3)]
    page = worklist()
    first, second = (page.locator(f"#m-{each}") for each in ids[:2])
    select = ("j", "x", "j", "x")

    press(page, *select, "Shift+G")
    for line in (first, second):
        expect(line).to_contain_text("Billing")
        expect(line).to_have_attribute("data-pool", "billing")
    press(page, "u")
    expect(first).to_contain_text("Refill")

    press(page, "6")
    expect(second).to_have_attribute("data-pool", "referrals")
    expect(first).to_have_attribute("data-pool", "pharmacist")

    press(page, "k", "x", "j", "x", "t")
    expect(page.locator("#assign-match")).to_contain_text("ada, bob.stone")
    page.keyboard.type("sto")
    expect(page.locator("#assign-match")).to_have_text("Gives to bob.stone")
    press(page, "Enter")
    for line in (first, second):
        expect(line).to_contain_text("bob.stone")
    press(page, "u")

    expect(first).not_to_contain_text("bob.stone")
    assert [store.read(each).assignee for each in ids] == [None] * 3
    labels_of = [row.tier for row in store.rows(labels, message_id=ids[2])]
    assert labels_of == ["fast"]


def test_the_message_page_takes_the_same_single_keys_and_the_help_lists_them(
    worklist: Callable[[], Page], store: Store, engine: Engine
) -> None:
    add_user(engine, "bob", Role.CLINICIAN)
    message_id = store.labelled()
    page = worklist()
    page.goto(f"/messages/{message_id}")

    press(page, "Shift+D")
    expect(page.locator("#message h1")).to_contain_text("Results")
    page.wait_for_load_state("load")
    press(page, "8")
    expect(page.locator(".facts")).to_contain_text("Front desk")
    page.wait_for_load_state("load")
    press(page, "t", "b", "Enter")
    expect(page.get_by_label("Taken by")).to_have_value("bob")
    page.wait_for_load_state("load")
    press(page, "?")

    for said in (
        "set the category",
        "set the pool: Clinicians, Pharmacists",
        "give it to somebody",
    ):
        expect(page.locator("#help")).to_contain_text(said)


def test_a_line_that_is_done_leaves_though_the_stream_outran_the_answer(
    worklist: Callable[[], Page], store: Store
) -> None:
    first, second = (store.labelled(minutes_ago=90 - n) for n in range(2))
    page = worklist()
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/messages/decide", lambda route: held.append((route, route.fetch())))

    press(page, "j", "d")
    expect(page.locator(f"#m-{first}")).to_have_attribute("data-state", "done")
    [(route, answer)] = held
    route.fulfill(response=answer)

    expect(page.locator(f"#m-{first}")).to_have_count(0)
    expect(page.locator(f"#m-{second} a.open")).to_be_focused()


def test_the_line_under_the_cursor_keeps_its_place_and_focus_while_others_change(
    worklist: Callable[[], Page], store: Store
) -> None:
    store.labelled(minutes_ago=90)
    here = store.message(minutes_ago=1)
    page = worklist()
    press(page, "j", "j")
    link = page.locator(f"#m-{here} a.open")
    expect(link).to_be_focused()
    before = link.bounding_box()

    store.message("I have chest pain", flags=[FLAG])
    store.label(here, urgency=Urgency.EMERGENT)

    expect(page.locator(f"#m-{here}")).to_contain_text("Emergent")
    expect(page.locator("#waiting")).to_contain_text("2 lines")
    expect(link).to_be_focused()
    assert link.bounding_box() == before
    press(page, "n")
    expect(page.locator("#lines > li").first).to_have_id(f"m-{here}")


@on_both
def test_several_messages_are_marked_done_at_once_and_undone(
    worklist: Callable[[], Page], store: Store
) -> None:
    ids = [store.labelled(minutes_ago=90 - n) for n in range(4)]
    page = worklist()

    press(page, "j", "x", "j", "x")
    expect(page.locator("#bulk-count")).to_have_text("2 selected")
    page.locator("#bulk").get_by_role("button", name="Done").click()
    expect(page.locator("#lines > li")).to_have_count(2)
    page.locator("#said").get_by_role("button", name="Undo").click()

    expect(page.locator("#lines > li")).to_have_count(4)
    assert [store.read(each).status for each in ids] == ["labelled"] * 4


@on_both
def test_a_filter_applies_at_once_and_goes_on_living(
    worklist: Callable[[], Page], store: Store
) -> None:
    billing = store.labelled(category="billing")
    refill = store.labelled()
    page = worklist()

    page.get_by_label("Category", exact=True).select_option("billing")
    expect(page.locator(f"#m-{refill}")).to_have_count(0)
    expect(page.locator(f"#m-{billing}")).to_be_visible()
    another = store.labelled(category="billing")
    other = store.labelled(category="results")

    expect(page.locator(f"#m-{another}")).to_be_visible()
    expect(page.locator("[data-count='show:open']")).to_have_text("4")
    expect(page.locator(f"#m-{other}")).to_have_count(0)
    assert page.url.endswith("category=billing")
    assert page.evaluate("window.neverReloaded")


@on_both
def test_searching_finds_words_while_they_are_typed(
    worklist: Callable[[], Page], store: Store
) -> None:
    wanted = store.labelled("my sertraline makes me dizzy")
    store.labelled("another thing")
    page = worklist()

    press(page, "/")
    page.keyboard.type("sertr")

    expect(page.locator("#lines > li")).to_have_count(1)
    expect(page.locator(f"#m-{wanted}")).to_be_visible()
    expect(page.locator("#q")).to_be_focused()


def test_more_lines_come_below_and_stay(worklist: Callable[[], Page], store: Store) -> None:
    for n in range(60):
        store.labelled(minutes_ago=200 - n)
    page = worklist()
    expect(page.locator("#lines > li")).to_have_count(50)

    page.get_by_role("link", name="Show more").click()
    expect(page.locator("#lines > li")).to_have_count(60)
    urgent = store.labelled(urgency=Urgency.URGENT)

    expect(page.locator("#lines > li").first).to_have_id(f"m-{urgent}")
    expect(page.locator("#lines > li")).to_have_count(61)


def test_an_emptied_page_brings_the_rest_and_does_not_say_that_nothing_is_open(
    worklist: Callable[[], Page], store: Store
) -> None:
    made = [store.labelled(minutes_ago=200 - n) for n in range(60)]
    page = worklist()
    expect(page.locator("#lines > li")).to_have_count(50)
    page.evaluate("document.querySelectorAll('.pick input').forEach(box => box.checked = true)")

    press(page, "d")

    expect(page.locator("#lines > li")).to_have_count(10)
    expect(page.locator(f"#m-{made[50]}")).to_be_visible()
    expect(page.locator("#empty")).to_be_hidden()
    assert store.read(made[49]).status == "done"


def ids_shown(page: Page) -> list[str]:
    found: list[str] = page.locator("#lines > li").evaluate_all("all => all.map(each => each.id)")
    return found


def test_a_line_that_moves_past_the_pages_end_leaves_and_comes_once_with_the_next_page(
    worklist: Callable[[], Page], store: Store
) -> None:
    first = store.labelled(urgency=Urgency.URGENT, minutes_ago=300)
    made = [store.labelled(minutes_ago=200 - n) for n in range(60)]
    mover = store.labelled(urgency=Urgency.URGENT, minutes_ago=1)
    page = worklist()
    expect(page.locator(f"#m-{mover}")).to_be_visible()

    store.label(mover)
    expect(page.locator(f"#m-{mover}")).to_have_count(0)
    unseen = store.labelled()
    page.get_by_role("link", name="Show more").click()

    expect(page.locator("#lines > li")).to_have_count(63)
    order = [first, *made, mover, unseen]
    assert ids_shown(page) == [f"m-{each}" for each in order]


def test_a_line_that_changed_while_the_next_page_was_read_is_there_once_and_as_it_is_now(
    worklist: Callable[[], Page], store: Store
) -> None:
    made = [store.labelled(minutes_ago=200 - n) for n in range(60)]
    page = worklist()
    moved = page.locator(f"#m-{made[55]}")

    def meanwhile(route: Route) -> None:
        answer = route.fetch()  # read before the change, shown after it
        store.label(made[55], urgency=Urgency.EMERGENT)
        expect(moved).to_contain_text("Emergent")
        route.fulfill(response=answer)

    page.route("**/?after=*", meanwhile)
    page.get_by_role("link", name="Show more").click()

    expect(page.locator("#lines > li")).to_have_count(60)
    expect(moved).to_have_count(1)
    expect(moved).to_contain_text("Emergent")
    expect(page.locator("#lines > li").first).to_have_id(f"m-{made[55]}")


def test_a_filter_keeps_the_keyboards_focus(worklist: Callable[[], Page], store: Store) -> None:
    store.labelled(category="billing")
    page = worklist()
    chosen = page.get_by_label("Category", exact=True)

    chosen.focus()
    chosen.select_option("refill")

    expect(page.locator("#empty")).to_be_visible()
    expect(chosen).to_be_focused()


def test_that_lines_wait_is_told_to_a_screen_reader(
    worklist: Callable[[], Page], store: Store
) -> None:
    line = store.labelled(minutes_ago=60)
    page = worklist()
    page.locator(f"#m-{line}").hover()

    store.message("I have chest pain", flags=[FLAG])

    said = page.locator("#waiting-said")
    expect(said).to_contain_text("1 possible emergency")
    expect(said).to_have_attribute("role", "status")


@on_both
def test_the_message_page_is_worked_by_keys_too(worklist: Callable[[], Page], store: Store) -> None:
    message_id = store.labelled()
    page = worklist()
    page.goto(f"/messages/{message_id}")

    press(page, "c", "d", "1", "Enter")
    expect(page.locator("#message h1")).to_contain_text("Results")
    expect(page.locator("#message h1")).to_contain_text("Emergent")
    expect(page.locator("#said")).to_contain_text("Label changed.")
    press(page, "u")
    expect(page.locator("#message h1")).to_contain_text("Refill")
    press(page, "?")

    expect(page.locator("#help")).to_be_visible()


def test_the_change_form_sends_only_what_was_changed(
    worklist: Callable[[], Page], store: Store
) -> None:
    message_id = store.message()
    store.label(message_id, categories=["results", "billing"], pool="clinician")
    page = worklist()
    line = page.locator(f"#m-{message_id}")

    press(page, "j", "c", "2", "Enter")

    expect(line).to_contain_text("Urgent")
    expect(line).to_have_attribute("data-categories", "results billing ")
    expect(line).to_have_attribute("data-pool", "clinician")


def test_choosing_an_assignee_by_arrow_key_gives_nothing_away_before_the_button(
    worklist: Callable[[], Page], store: Store, engine: Engine
) -> None:
    add_user(engine, "bob", Role.CLINICIAN)
    message_id = store.labelled()
    page = worklist()
    page.goto(f"/messages/{message_id}")
    page.wait_for_load_state("load")
    posts: list[str] = []
    page.on("request", lambda sent: posts.append(sent.url) if sent.method == "POST" else None)

    page.get_by_label("Taken by").focus()
    press(page, "ArrowDown", "ArrowDown")
    expect(page.get_by_label("Taken by")).to_have_value("bob")
    assert posts == []
    page.get_by_role("button", name="Give", exact=True).click()

    expect(page.locator("#said")).to_contain_text("Assigned.")
    assert store.read(message_id).assignee == "bob"


def test_keys_of_one_character_can_be_turned_off_and_on(
    worklist: Callable[[], Page], store: Store
) -> None:
    message_id = store.labelled()
    page = worklist()
    page.get_by_role("button", name="Keys").click()
    page.locator("#keys-on").uncheck()
    press(page, "Escape")
    page.reload()
    page.wait_for_load_state("load")

    page.locator(f"#m-{message_id} a.open").focus()
    press(page, "x", "1", "?", "d")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#bulk")).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    page.locator("#keys-on").check()
    press(page, "Escape")
    page.locator(f"#m-{message_id} a.open").focus()
    press(page, "1")

    expect(page.locator(f"#m-{message_id}")).to_contain_text("Emergent")
    assert store.read(message_id).status == "labelled"


@on_both
def test_an_open_message_turns_from_processing_into_its_label(
    worklist: Callable[[], Page], store: Store
) -> None:
    message_id = store.message()
    page = worklist()
    page.goto(f"/messages/{message_id}")
    expect(page.locator(".message-state")).to_contain_text("processing…")
    page.evaluate("window.neverReloaded = true")
    asked: list[str | None] = []
    page.on(
        "request",
        lambda sent: (
            asked.append(sent.headers.get("x-carelane-background"))
            if sent.url.endswith(str(message_id))
            else None
        ),
    )

    store.label(message_id, "results", Urgency.URGENT)
    expect(page.locator("#message h1")).to_contain_text("Results")
    assert page.evaluate("window.neverReloaded")
    assert set(asked) == {"1"}
    store.label(message_id, "billing", Urgency.URGENT, tier=Tier.HUMAN)

    expect(page.locator("#moved")).to_contain_text("has changed")
    expect(page.locator("#message h1")).to_contain_text("Results")


def test_the_words_that_carried_a_decision_come_onto_the_open_page_by_themselves(
    worklist: Callable[[], Page], clinic: Clinic, workers: Workers
) -> None:
    page = worklist()
    workers.start("fast")
    [message_id] = clinic.accept(f"It is {SURE} that I take them in the evening with a glass")
    clinic.send(Lane.FAST, [message_id])
    expect(page.locator(f"#m-{message_id}")).to_contain_text("Refill")

    page.goto(f"/messages/{message_id}")
    page.evaluate("window.neverReloaded = true")

    expect(page.locator("#carried")).to_contain_text("the category Refill")
    expect(page.locator(".text mark.carried-category")).to_contain_text(SURE)
    expect(page.locator(".text mark.carried-category")).not_to_contain_text("evening")
    assert page.evaluate("window.neverReloaded")


@pytest.mark.parametrize("number", range(len(WILD)))
def test_wild_text_does_nothing_but_show_in_the_browser(
    worklist: Callable[[], Page], store: Store, number: int
) -> None:
    page = worklist()
    page.on("dialog", lambda _: pytest.fail("a script ran"))

    message_id = store.labelled(WILD[number], patient_ref=WILD[number][:200], minutes_ago=1)
    line = page.locator(f"#m-{message_id}")
    expect(line).to_have_count(1)
    expect(line.locator(".excerpt > *")).to_have_count(0)
    store.label(message_id, "billing", rationale=WILD[number][:200])
    expect(line).to_contain_text("Billing")
    page.goto(f"/messages/{message_id}")

    expect(page.locator(".text script, .text img, .rationale > *")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_a_message_is_seen_coming_opened_and_done_by_touch(
    browser: Browser, dashboard_server: Server, engine: Engine, store: Store
) -> None:
    add_user(engine, "ada", Role.CLINICIAN)
    context = browser.new_context(base_url=dashboard_server.url, **PHONE)
    page = context.new_page()
    sign_in(page, PASSWORD)
    page.wait_for_load_state("load")
    expect(page.locator("#live-state")).to_have_text("Live")

    message_id = store.message("Please renew my lisinopril.")
    line = page.locator(f"#m-{message_id}")
    expect(line).to_contain_text("processing…")
    store.label(message_id)
    expect(line).to_contain_text("Refill")
    line.tap()
    expect(page.locator("#message")).to_be_visible()
    page.wait_for_load_state("load")
    page.get_by_role("button", name="Done").tap()

    expect(page.locator(".message-state")).to_contain_text("Done")
    assert store.read(message_id).status == "done"
    context.close()


def test_a_lost_server_is_said_and_what_was_missed_is_caught_up(
    browser: Browser, dashboard_server: Server, engine: Engine, store: Store
) -> None:
    add_user(engine, "ada", Role.CLINICIAN)
    context = browser.new_context(base_url=dashboard_server.url)
    page = context.new_page()
    sign_in(page, PASSWORD)
    expect(page.locator("#live-state")).to_have_text("Live")

    dashboard_server.stop()
    expect(page.locator("#live-state")).to_contain_text("may be out of date")
    message_id = store.labelled()
    dashboard_server.start()

    expect(page.locator("#live-state")).to_have_text("Live", timeout=20_000)
    expect(page.locator(f"#m-{message_id}")).to_be_visible(timeout=20_000)
    context.close()


def test_the_first_sign_in_leads_through_a_password_of_ones_own(page: Page, engine: Engine) -> None:
    once = accounts.add_user(engine, "ada", Role.CLINICIAN)

    sign_in(page, once)
    page.get_by_label("Present password").fill(once)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()

    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_list_can_be_read_without_javascript(
    browser: Browser, dashboard_server: Server, engine: Engine, store: Store
) -> None:
    store.labelled("Please renew my lisinopril.")
    add_user(engine, "ada", Role.CLINICIAN)
    context = browser.new_context(base_url=dashboard_server.url, java_script_enabled=False)
    page = context.new_page()

    sign_in(page, PASSWORD)
    page.get_by_text("Please renew my lisinopril.").click()

    expect(page.get_by_role("heading", name="Labels")).to_be_visible()
    context.close()
