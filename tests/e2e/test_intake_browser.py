"""The demo portal and the API's documentation in Chromium: live, accessible, without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright
from sqlalchemy import Engine

from shared.settings import Settings
from tests.integration.intake_parts import change, listening, open_app

pytestmark = pytest.mark.e2e

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with (
        open_app(replace(settings, demo_portal=True, llm_simulated=True)) as app,
        listening(app) as made,
    ):
        yield made


def _label(engine: Engine) -> None:
    change(
        engine,
        """
        WITH made AS (
            INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version)
            SELECT id, '{refill}', 'routine', 'fast', '1' FROM messages RETURNING id, message_id
        )
        UPDATE messages SET status = 'labelled', current_label_id = made.id FROM made
        WHERE messages.id = made.message_id
        """,
    )


def _write(page: Page, text: str) -> None:
    page.goto("/")
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()


def test_a_patient_sees_processing_and_then_where_it_went_without_a_reload(
    browser: Browser, address: str, engine: Engine
) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    _write(page, "Please send my refill")
    expect(page.get_by_text("Response received, processing…")).to_be_visible()
    page.evaluate("window.stillTheSamePage = true")
    _label(engine)

    expect(page.get_by_text("Received. Your care team has it.")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("Pharmacists")).to_be_visible()
    assert page.evaluate("window.stillTheSamePage")
    assert complaints == []
    context.close()


def test_danger_is_answered_on_the_first_page(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()

    _write(page, "I have chest pain")

    expect(page.get_by_role("alert")).to_contain_text("call 911 now")
    context.close()


def test_all_of_it_works_without_javascript(browser: Browser, address: str, engine: Engine) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()

    _write(page, "Please send my refill")
    expect(page.get_by_text("Response received, processing…")).to_be_visible()
    _label(engine)

    expect(page.get_by_text("Pharmacists")).to_be_visible(timeout=15_000)
    context.close()


def test_a_lost_connection_is_said_and_caught_up_with(
    browser: Browser, address: str, engine: Engine
) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    _write(page, "Please send my refill")

    page.wait_for_load_state()  # with its script: offline it could not be fetched
    context.set_offline(True)
    expect(page.get_by_text("The connection is lost")).to_be_visible(timeout=15_000)
    _label(engine)
    context.set_offline(False)

    expect(page.get_by_text("Pharmacists")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("The connection is lost")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_page_is_accessible_and_fits_the_screen(
    browser: Browser, address: str, size: ViewportSize, scheme: str
) -> None:
    dark = scheme == "dark"
    context = browser.new_context(
        base_url=address, viewport=size, color_scheme="dark" if dark else "light", bypass_csp=True
    )
    page = context.new_page()

    _write(page, "I have chest pain")
    expect(page.get_by_role("alert")).to_be_visible()
    shown = page.url
    for path in (shown, "/portal/", "/docs"):
        page.goto(path)
        found = Axe().run(page, options=RULES).response["violations"]
        assert [each["id"] for each in found] == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px"
        expect(page.get_by_text("The LLM is simulated")).to_be_visible()
    context.close()
