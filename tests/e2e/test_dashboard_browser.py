from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import Engine

from dashboard import accounts
from dashboard.permissions import Role
from shared.contracts import Status, Tier, Urgency
from tests.dashboard_pages import PASSWORD, Server, Store, add_user

pytestmark = pytest.mark.e2e

FLAG = {"rule": "chest_pain", "title": "Chest pain", "urgency": "emergent", "start": 7, "end": 17}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, dashboard_server: Server) -> Iterator[Page]:
    context = browser.new_context(base_url=dashboard_server.url)
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
    expect(page.locator("#counts .emergent")).to_contain_text("1 emergent")


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
