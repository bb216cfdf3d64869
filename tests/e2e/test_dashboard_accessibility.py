"""WCAG 2.2 AA by axe-core in Chromium, on every page, phone and desktop, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from sqlalchemy import Engine

from dashboard.permissions import Role
from shared.contracts import Status, Urgency
from shared.tables import explanations, llm_exchanges
from tests.dashboard_pages import PASSWORD, Server, Store, add_user
from tests.e2e.test_dashboard_browser import FLAG, press, sign_in

pytestmark = pytest.mark.e2e

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
}
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def full(store: Store, engine: Engine) -> str:
    """A message of every state; the id of the one that has most on its page."""
    add_user(engine, "ada", Role.LEAD)
    store.message("I have chest pain and cannot breathe", flags=[FLAG], patient_ref="pt-1")
    store.label(store.message("second opinion running"), status=Status.ESCALATED)
    store.message("waiting long", minutes_ago=5)
    store.status(store.message("unclear"), Status.NEEDS_REVIEW, "llm_off")
    store.labelled("late one", urgency=Urgency.URGENT, minutes_ago=400, assignee="ada")
    for n in range(50):
        store.labelled(f"message {n} " + "with many words " * 20, minutes_ago=n)
    message_id = store.message("I have chest pain \u202e", flags=[FLAG], patient_ref="pt-1")
    store.label(message_id, status=Status.ESCALATED, reasons=["unsure"], rationale="because")
    label_id = store.label(message_id, urgency=Urgency.EMERGENT, latency_ms=3, model_version="v1")
    words = [[0, 1, 2, 0], [2, 6, 2, 3], [7, 12, 0, 3]]
    result = {"category": "refill", "urgency": "emergent", "words": words}
    about = {"message_id": message_id, "label_id": label_id, "asked_by": "ada", "outcome": "ok"}
    store.add(explanations, **about, kind="words", model_version="v1", result=result)
    store.add(explanations, **about, kind="rationale", result={"text": "It names chest pain."})
    sent = {"sent": "I have chest pain", "answered": '{"i":"b","l":"A1"}', "outcome": "ok"}
    store.add(llm_exchanges, message_id=message_id, purpose="label", **sent)
    return str(message_id)


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for each in found
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_page_is_accessible_and_fits_the_screen(
    browser: Browser, dashboard_server: Server, full: str, size: ViewportSize, scheme: Scheme
) -> None:
    context = browser.new_context(
        base_url=dashboard_server.url,
        viewport=size,
        color_scheme=scheme,
        reduced_motion="reduce",
        # axe brings its own script into the page.
        bypass_csp=True,
    )
    page = context.new_page()
    page.goto("/sign-in")
    found = {"/sign-in": violations(page)}
    sign_in(page, PASSWORD)
    expect(page.locator("#live-state")).to_have_text("Live")

    paths = ("/", "/?show=all&category=refill&q=message", f"/messages/{full}")
    for path in (*paths, "/operations", "/audit", "/password", "/nowhere"):
        page.goto(path)
        for summary in page.locator("details summary").all():
            summary.click()
        found[path] = violations(page)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px"
    page.goto("/")
    press(page, "j", "x", "c")
    expect(page.locator("#change")).to_be_visible()
    found["change"] = violations(page)
    press(page, "Escape", "t")
    expect(page.locator("#assign-match")).to_contain_text("ada")
    found["assign"] = violations(page)
    page.locator("#assign").get_by_role("button", name="Cancel").click()
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    found["help"] = violations(page)
    context.close()

    assert {path: problems for path, problems in found.items() if problems} == {}


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_moves_by_itself_while_the_page_loads(
    browser: Browser, dashboard_server: Server, full: str, size: ViewportSize
) -> None:
    context = browser.new_context(base_url=dashboard_server.url, viewport=size)
    context.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => { for (const e of list.getEntries())"
        " if (!e.hadRecentInput) window.shift += e.value })"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page = context.new_page()
    sign_in(page, PASSWORD)

    for path in ("/", f"/messages/{full}", "/operations"):
        page.goto(path)
        page.wait_for_load_state("load")
        if path == "/":
            expect(page.locator("#live-state")).to_have_text("Live")
        shift = page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
            "() => done(window.shift))))"
        )
        assert shift < 0.005, f"{path} shifts by {shift}"
    context.close()
